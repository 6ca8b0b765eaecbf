"""Kafka's jars, by exact version and sha256 from `deploy/kafka-jars.lock`, in a per-user cache."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import StackError

LOCK = Path(__file__).parents[1] / "kafka-jars.lock"
DOWNLOADS_AT_ONCE = 8
TOOLS = "org.apache.kafka:kafka-tools"  # command-line tools, not needed to run a broker


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock: Maven group, artifact and version, and the file's sha256."""

    group: str
    artifact: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


def cache_directory() -> Path:
    """Where downloads and Java caches live: `STACK_CACHE`, else the user's cache directory."""
    chosen = os.environ.get("STACK_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    directory = Path(chosen) if chosen else Path(base) / "mainstay"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@contextmanager
def cache_locked(part: str) -> Iterator[Path]:
    """The cache directory; inside the block no other start fills the same `part` of it."""
    directory = cache_directory()
    with (directory / f"{part}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield directory


def locked_jars() -> list[Jar]:
    """The lines of the lock, in its order."""
    lines = (line.split() for line in LOCK.read_text().splitlines())
    return [_jar(line[0], line[1]) for line in lines if line and line[0] != "#"]


def lock_digest() -> str:
    """Changes whenever a jar does; 12 hexadecimal digits, part of the names in the cache."""
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]


def class_path(*, tools: bool = False) -> str:
    """The class path of a broker, every jar fetched and verified; with the operators' tools or not.

    Raises `StackError` when a jar cannot be fetched or is not the one in the lock.
    """
    wanted = [jar for jar in locked_jars() if tools or not str(jar).startswith(TOOLS)]
    with cache_locked("jars") as cache, ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        files = list(pool.map(lambda jar: _verified(jar, cache / "maven"), wanted))
    return os.pathsep.join(map(str, files))


def _jar(coordinates: str, sha256: str) -> Jar:
    group, artifact, version = coordinates.split(":")
    return Jar(group, artifact, version, sha256)


def _verified(jar: Jar, cache: Path) -> Path:
    file = _cached_file(jar, cache)
    if file.exists():
        if _sha256(file) == jar.sha256:
            return file
        # Left by an interrupted download.
        file.unlink()
    _fetch(jar, cache)
    if (found := _sha256(file)) != jar.sha256:
        file.unlink()
        raise StackError(f"{jar} has sha256 {found}, not the {jar.sha256} of {LOCK.name}")
    return file


def _cached_file(jar: Jar, cache: Path) -> Path:
    folder = cache.joinpath(*jar.group.split("."), jar.artifact, jar.version)
    return folder / f"{jar.artifact}-{jar.version}.jar"


def _fetch(jar: Jar, cache: Path) -> None:
    # Each jar alone: a transitive resolution picks other versions than Kafka ships with.
    # Imported here, because only a first start needs it and it takes 0.2 s.
    from jgo.maven import MavenContext  # noqa: PLC0415

    context = MavenContext(repo_cache=cache, local_repos=[])
    try:
        context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StackError(f"cannot fetch {jar}, needed for Kafka: {reason[:200]}") from error


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
