"""The guard against writing to very many at once."""

from datetime import datetime, timedelta

import pytest

from services.cadence.model.blast import NeedsConfirmation, guard, peak_of
from tests.unit.cadence.people import at

START = at("2025-06-02T09:00Z")


def minutes(*after: int) -> list[datetime]:
    return [START + timedelta(minutes=minute) for minute in after]


def test_an_hour_holds_its_start_and_not_its_end():
    assert peak_of(minutes(60, 0)) == (START, 1)
    assert peak_of(minutes(59, 0)) == (START, 2)


def test_the_busiest_hour_may_begin_at_any_minute():
    assert peak_of(minutes(0, 50, 70, 100, 109, 200)) == (START + timedelta(minutes=50), 4)


def test_nothing_to_send_has_no_peak():
    assert guard([], most=0, confirmed=None) == (None, 0)


def test_a_blast_has_to_be_confirmed_by_its_number():
    sends = minutes(0, 1, 2)

    assert guard(sends, most=3, confirmed=None).messages == 3
    with pytest.raises(NeedsConfirmation, match="confirmed=3"):
        guard(sends, most=2, confirmed=None)
    with pytest.raises(NeedsConfirmation):
        guard(sends, most=2, confirmed=2)
    assert guard(sends, most=2, confirmed=3).messages == 3
