"""The machine: which core does what, how much processor time was used, and facts for a report."""

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

import psutil

GIBIBYTE = 2**30

# Whose versions decide the figures.
PACKAGES = (
    "aiokafka",
    "asyncpg",
    "confluent-kafka",
    "cramjam",
    "fastapi",
    "faststream",
    "msgspec",
    "numpy",
    "pydantic",
    "sqlalchemy",
    "uvicorn",
    "uvloop",
)


@dataclass(frozen=True)
class Cores:
    """The measured process runs on one core; load, Kafka and PostgreSQL on the others."""

    measured: frozenset[int]
    others: frozenset[int]


def cores() -> Cores:
    """How the cores we may use are shared out; a single core has to do for all."""
    first, *others = sorted(os.sched_getaffinity(0))
    return Cores(frozenset({first}), frozenset(others or [first]))


@contextmanager
def pinned(to: frozenset[int]) -> Iterator[None]:
    """Within the block we, and whatever we start, run on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, to)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """User and system seconds that a process has used so far, over all its threads."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def family_cpu_seconds(pid: int) -> float:
    """The same for a process together with its children, those that have ended included."""
    parent = psutil.Process(pid)
    times = parent.cpu_times()
    ended = float(times.children_user + times.children_system)
    return cpu_seconds(pid) + ended + sum(cpu_seconds(child.pid) for child in parent.children())


def facts() -> Mapping[str, str]:
    """What a reader must know to compare the figures with his own."""
    share = cores()
    return {
        "processor": f"{_processor()}, {psutil.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / GIBIBYTE:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "pinned": f"measured process to core {_listed(share.measured)}, the rest to"
        f" {_listed(share.others)}",
        "load before": f"{os.getloadavg()[0]:.1f} (1 minute)",
    }


def _processor() -> str:
    """The model's name where the system tells it, else the architecture."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - no plain file
            models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model n")]
    except OSError:
        models = []
    return models[0] if models else platform.machine()


def _listed(numbers: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
