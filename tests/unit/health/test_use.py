"""Rollups of a batch, and the kept habit that late, shuffled and split events must not change."""

import random
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.health.model.late import carried_on, late_days
from services.health.model.score import ActiveDay, Habit, habit_of, scale_of
from services.health.model.use import AccountDay, use_of
from shared.events.told import AccountId
from tests.unit.health.builders import instant, used

H90 = scale_of(90)
ACME = AccountId("w1", "acme")


def test_a_day_keeps_its_first_and_last_instant_and_its_count():
    batch = [
        used("2026-03-02T12:00", event_id="noon"),
        used("2026-03-02T08:00", event_id="morning"),
        used("2026-03-02T20:00", event_id="evening"),
    ]

    (day,) = use_of(batch).days[ACME]

    assert day == ActiveDay(
        date(2026, 3, 2), instant("2026-03-02T08:00"), instant("2026-03-02T20:00"), 3, "morning"
    )


def test_of_two_events_at_one_instant_the_lower_id_is_first():
    batch = [used("2026-03-02", event_id="b"), used("2026-03-02", event_id="a")]

    assert use_of(batch).days[ACME][0].first_event == "a"
    assert use_of(batch[::-1]).days[ACME][0].first_event == "a"


def test_users_and_features_are_counted_by_day():
    batch = [
        used("2026-03-02T12:00", user="ada", feature="reports"),
        used("2026-03-02T13:00", user="ada", feature="boards"),
        used("2026-03-02T14:00", user=None, feature="boards"),
    ]

    use = use_of(batch)

    key = AccountDay("w1", "acme", date(2026, 3, 2))
    assert use.by_user == {key: {"ada": 2}}
    assert use.by_feature == {key: {"reports": 1, "boards": 2}}


def test_events_without_account_and_synthetic_ones_count_nowhere():
    batch = [used("2026-03-02", account=None), used("2026-03-02", synthetic=True)]

    use = use_of(batch)

    assert not use.days
    assert not use.by_user
    assert not use.by_feature


def test_the_same_account_id_in_two_workspaces_is_two_accounts():
    batch = [used("2026-03-02", workspace="w1"), used("2026-03-02", workspace="w2")]

    assert set(use_of(batch).days) == {AccountId("w1", "acme"), AccountId("w2", "acme")}


def test_a_day_is_a_day_of_utc():
    before, after = use_of(
        [used(instant("2026-03-02T23:59:59.999999")), used(instant("2026-03-03T00:00"))]
    ).days[ACME]

    assert (before.day, after.day) == (date(2026, 3, 2), date(2026, 3, 3))


def test_a_later_event_of_the_newest_day_changes_no_count():
    (first,) = use_of([used("2026-03-02T08:00")]).days[ACME]
    kept = habit_of([first], H90)

    after = carried_on(kept, use_of([used("2026-03-02T20:00")]).days[ACME], H90, known_first={})

    assert kept is not None
    assert after == kept._replace(last_at=instant("2026-03-02T20:00"))


def test_an_earlier_event_of_the_newest_day_undoes_the_kept_habit():
    kept = habit_of(use_of([used("2026-03-02T08:00")]).days[ACME], H90)

    assert (
        carried_on(kept, use_of([used("2026-03-02T07:59")]).days[ACME], H90, known_first={}) is None
    )


def test_a_late_event_on_a_known_day_changes_nothing_unless_it_begins_the_day_earlier():
    days = use_of([used("2026-03-01T08:00"), used("2026-03-02T08:00")]).days[ACME]
    kept = habit_of(days, H90)
    known = {days[0].day: days[0].first_at}

    same = carried_on(kept, use_of([used("2026-03-01T08:00")]).days[ACME], H90, known_first=known)
    earlier = carried_on(
        kept, use_of([used("2026-03-01T07:59")]).days[ACME], H90, known_first=known
    )
    new = carried_on(kept, use_of([used("2026-02-28")]).days[ACME], H90, known_first={})

    assert same == kept
    assert earlier is None
    assert new is None


def test_another_silence_undoes_the_kept_habit():
    kept = habit_of(use_of([used("2026-03-02T08:00")]).days[ACME], H90)

    assert (
        carried_on(kept, use_of([used("2026-03-05")]).days[ACME], scale_of(30), known_first={})
        is None
    )


MINUTES = st.lists(st.integers(0, 200 * 1440), min_size=1, max_size=60)


@given(
    minutes=MINUTES, seed=st.randoms(use_true_random=False), silence=st.sampled_from([7, 90, 200])
)
def test_shuffled_split_and_late_batches_keep_the_same_bits(
    minutes: list[int], seed: random.Random, silence: int
):
    scale = scale_of(silence)
    start = instant("2026-01-01")
    events = [
        used(start + timedelta(minutes=minute), event_id=f"e{number}")
        for number, minute in enumerate(minutes)
    ]
    in_order = use_of(sorted(events, key=lambda event: event.envelope.time)).days[ACME]

    seed.shuffle(events)
    days: dict[date, ActiveDay] = {}
    kept: Habit | None = None
    while events:
        size = seed.randint(1, 10)
        batch, events = use_of(events[:size]).days[ACME], events[size:]
        known = {day: days[day].first_at for day in late_days(kept, batch) if day in days}
        for day in batch:
            days[day.day] = merged(days.get(day.day), day)
        stored = [days[day] for day in sorted(days)]
        kept = carried_on(kept, batch, scale, known_first=known) or habit_of(stored, scale)

    assert [days[day] for day in sorted(days)] == in_order
    assert kept == habit_of(in_order, scale)


def merged(known: ActiveDay | None, added: ActiveDay) -> ActiveDay:
    """As the upsert merges them."""
    if known is None:
        return added
    first_at, first_event = min(
        (known.first_at, known.first_event), (added.first_at, added.first_event)
    )
    return ActiveDay(
        known.day,
        first_at,
        max(known.last_at, added.last_at),
        known.events + added.events,
        first_event,
    )
