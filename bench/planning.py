"""Planning: what it costs to know when a million people are due in the next eight days.

The rule alone, in one process and without a database; people come one after the other and are
forgotten, so memory stays as it is however many there are.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psutil

from bench.figures import Comparison, Measure
from bench.machine import cores, cpu_seconds, pinned
from bench.running import NotMeasurable
from services.cadence.model.anchor import ZoneEvent
from services.cadence.model.occurrences import Facts, Policy, plan
from services.cadence.model.spans import Span
from services.cadence.model.zones import ZoneChain, ZoneKind
from shared.zones import packaged

FULL = 1_000_000
QUICK = 50_000
NOW = datetime(2026, 10, 30, tzinfo=UTC)  # clocks change within the horizon
HORIZON = Span(NOW, NOW + timedelta(days=8))
PAST_DAYS = 3 * 365  # how long ago people may have signed up
MOVED = 0.05  # share of people who live elsewhere by now
MEBIBYTE = 2**20
# Growth beyond it is no warm-up of caches any more.
MOST_GROWTH_MEBIBYTES = 32
ZONES = (
    "Asia/Seoul",
    "Asia/Tokyo",
    "America/New_York",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Europe/London",
    "Europe/Berlin",
    "Australia/Sydney",
    "Asia/Kolkata",
    "UTC",
)


def compare(*, rounds: int, people: int, tell: Callable[[str], None]) -> list[Comparison]:
    """The planning of so many people. Raises NotMeasurable where memory grew with them."""
    found = []
    for _ in range(rounds):
        with pinned(cores().measured):
            measure, grown = _planned(people)
        tell(
            f"planning: {people:,} people in {measure.wall_seconds:.1f} s,"
            f" {grown:.1f} MiB more at most"
        )
        found.append({"Mainstay": measure})
    return [Comparison(title="people planned for eight days, rule alone", rounds=found)]


def persons(count: int, *, seed: int) -> Iterator[Facts]:
    """So many people, the same in every run, from all over the world."""
    chance = random.Random(seed)
    for _ in range(count):
        signed_up_at = NOW - timedelta(minutes=chance.randrange(PAST_DAYS * 24 * 60))
        moved: tuple[ZoneEvent, ...] = ()
        if chance.random() < MOVED:
            at = signed_up_at + (NOW - signed_up_at) * chance.random()
            moved = (ZoneEvent(at, ZoneKind.MOVED, chance.choice(ZONES)),)
        yield Facts(
            signed_up_at=signed_up_at,
            zones=ZoneChain(user=chance.choice(ZONES)),
            zone_events=moved,
        )


def _planned(people: int) -> tuple[Measure, float]:
    database, policy = packaged(), Policy()
    process = psutil.Process()
    before, most = process.memory_info().rss, 0
    started, used = time.perf_counter(), cpu_seconds(os.getpid())
    due = 0
    for number, facts in enumerate(persons(people, seed=7)):
        due += len(plan(facts, policy, HORIZON, database))
        if number % 10_000 == 0:
            most = max(most, process.memory_info().rss - before)
    measure = Measure(
        events=people,
        cpu_seconds=cpu_seconds(os.getpid()) - used,
        wall_seconds=time.perf_counter() - started,
    )
    if not people <= due <= 2 * people:  # everybody is due once in eight days, some twice
        raise NotMeasurable(f"{people:,} people were due {due:,} times")
    grown = most / MEBIBYTE
    if grown > MOST_GROWTH_MEBIBYTES:
        raise NotMeasurable(f"memory grew by {grown:.0f} MiB")
    return measure, grown
