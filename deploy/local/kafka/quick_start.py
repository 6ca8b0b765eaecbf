"""How Java is started for Kafka, and the ahead-of-time cache that halves the time it takes.

Java 25 can write what it loaded and linked during one run into a file (66 MB) that later runs
map into memory: ready in 1 s instead of 2-4 s. Writing it takes about 10 s, once per user, Java
and set of jars. Any other Java simply starts without.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from deploy.local.jars import cache_directory, class_path, lock_digest
from deploy.local.java import Java, find_java

LOG_SETTINGS = Path(__file__).with_name("log4j2.properties")
HEAP = ("-Xms64m", "-Xmx320m")
# One thread to collect and no second compiler: the least memory and the quickest start.
SMALL = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
QUIET = ("-Xlog:disable", "-Xlog:all=error:stderr")


@dataclass(frozen=True, slots=True)
class Runtime:
    """A Java and the verified jars of Kafka."""

    java: Java
    class_path: str
    # Where a broker writes a new cache when it ends; None in every run but that one.
    cache_output: Path | None = None

    def command(self, main_class: str, *arguments: str, flags: tuple[str, ...] = ()) -> list[str]:
        """The command line that runs `main_class` of Kafka."""
        settings = (f"-Dlog4j2.configurationFile={LOG_SETTINGS}", "-cp", self.class_path)
        java = [str(self.java.path), *HEAP, *SMALL, *QUIET, *self.java.silencing_flags, *flags]
        return [*java, *settings, main_class, *arguments]

    def broker_command(self, properties_file: Path) -> list[str]:
        """The command line that runs a node, quickly where there is a cache for this runtime."""
        cache = self.quick_start_cache()
        flags: tuple[str, ...] = ()
        if self.cache_output:
            flags = (f"-XX:AOTCacheOutput={self.cache_output}",)
        elif cache and cache.exists():
            flags = (f"-XX:AOTCache={cache}",)
        return self.command("kafka.Kafka", str(properties_file), flags=flags)

    def quick_start_cache(self) -> Path | None:
        """Where the cache of this runtime is or would be; None for a Java that knows none.

        A cache fits one build of Java, at one place, and the very jar files (path and time of
        change) it was written with, so all of these are in its name.
        """
        if not self.java.knows_aot_cache:
            return None
        jars = [
            f"{jar}@{Path(jar).stat().st_mtime_ns}" for jar in self.class_path.split(os.pathsep)
        ]
        parts = [self.java.banner, str(self.java.path.resolve()), *jars]
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
        return cache_directory() / f"kafka-{lock_digest()}-{key}.aot"


def prepare_runtime() -> Runtime:
    """The runtime of this machine, its jars fetched where they are missing."""
    return Runtime(java=find_java(), class_path=class_path())
