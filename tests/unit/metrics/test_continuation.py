"""Books that are carried on say what a fold over all facts says."""

from datetime import timedelta
from itertools import count

import pytest

from services.metrics.model.continuation import carried_on, continuation_of
from services.metrics.model.identity import name_of
from services.metrics.model.knowledge import (
    END_OF_TIME,
    Knowledge,
    Place,
    StateRecord,
    timeline_at,
)
from services.metrics.model.objects import NO_OBJECTS
from services.metrics.model.state import priced
from shared.events.billing import SubscriptionState
from tests.unit.metrics.builders import instant, state

_offsets = count()
IMPORTED = instant("2026-06-01")


def record(day: int, mrr: int) -> StateRecord:
    """A state of January, imported with many others at one instant."""
    said = state(f"2026-01-{day:02}", str(mrr))
    assert isinstance(said, SubscriptionState)
    place = Place(0, next(_offsets))
    return StateRecord(name_of(said), "acme", IMPORTED, place, priced(said, NO_OBJECTS), said)


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_an_import_of_one_instant_that_is_cut_in_two_is_carried_on(cut: int):
    records = [record(day, 100 * day) for day in range(1, 7)]
    before = Knowledge(account="acme", states=records[:cut])
    whole = Knowledge(account="acme", states=records)
    begun = timeline_at(before, END_OF_TIME)
    continuation = continuation_of(before, begun)
    assert continuation is not None

    found = carried_on(continuation, records[cut:])

    assert found is not None
    assert (*begun, *(row.value for row in found.added)) == timeline_at(whole, END_OF_TIME)
    assert {row.known_from for row in found.added} == {IMPORTED}


def test_what_was_recorded_before_the_last_fact_is_not_carried_on():
    records = [record(day, 100 * day) for day in range(1, 4)]
    before = Knowledge(account="acme", states=records[:2])
    continuation = continuation_of(before, timeline_at(before, END_OF_TIME))
    assert continuation is not None
    earlier = records[2]._replace(recorded_at=IMPORTED - timedelta(seconds=1))

    assert carried_on(continuation, [earlier]) is None
