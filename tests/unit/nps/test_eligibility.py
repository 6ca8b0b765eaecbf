"""Whom a wave asks: each rule at its boundary, and which of two reasons counts."""

from datetime import UTC, date, datetime, timedelta

import pytest

from services.nps.model.eligibility import (
    Candidate,
    CandidateByDate,
    Decision,
    Rules,
    decide,
    decide_on,
    eligible_from,
)
from services.nps.model.zones import zone_or_default
from shared.zones import UnknownZone, packaged

SEOUL, NEW_YORK = packaged().zone("Asia/Seoul"), packaged().zone("America/New_York")
OPENS_ON = date(2026, 4, 1)
RULES = Rules()
LONG_AGO = date(2025, 1, 1)


def days_before(days: int) -> date:
    return OPENS_ON - timedelta(days=days)


@pytest.mark.parametrize(("days", "decision"), [(44, "too_young"), (45, "ask")])
def test_a_person_is_asked_from_day_45_on(days: int, decision: str):
    assert decide_on(CandidateByDate(signed_up_on=days_before(days)), RULES, OPENS_ON) == decision


@pytest.mark.parametrize(("days", "decision"), [(0, "quarantine"), (89, "quarantine"), (90, "ask")])
def test_a_person_is_asked_again_from_day_90_on(days: int, decision: str):
    person = CandidateByDate(signed_up_on=LONG_AGO, last_invited_on=days_before(days))

    assert decide_on(person, RULES, OPENS_ON) == decision


@pytest.mark.parametrize(("days", "decision"), [(-1, "ask"), (0, "churned"), (1, "churned")])
def test_whoever_is_gone_that_day_is_not_asked(days: int, decision: str):
    person = CandidateByDate(signed_up_on=LONG_AGO, gone_on=days_before(days))

    assert decide_on(person, RULES, OPENS_ON) == decision


def test_whoever_has_no_known_sign_up_is_too_young():
    assert decide_on(CandidateByDate(signed_up_on=None), RULES, OPENS_ON) == Decision.TOO_YOUNG


def test_of_two_reasons_the_first_counts():
    everything = {
        "signed_up_on": days_before(1),
        "opted_out": True,
        "gone_on": days_before(1),
        "last_invited_on": days_before(1),
    }
    cleared = {"opted_out": False, "gone_on": None, "signed_up_on": LONG_AGO}

    found = [decide_on(CandidateByDate(**everything), RULES, OPENS_ON)]  # type: ignore[arg-type]
    for name, value in cleared.items():
        everything[name] = value
        found.append(decide_on(CandidateByDate(**everything), RULES, OPENS_ON))  # type: ignore[arg-type]

    assert found == ["opted_out", "churned", "too_young", "quarantine"]


def test_the_instant_of_eligibility_is_already_eligible():
    person = Candidate(signed_up_at=datetime(2025, 1, 10, 0, 30, tzinfo=UTC), zone=SEOUL)
    eligible = datetime(2025, 2, 24, 0, 30, tzinfo=UTC)

    assert decide(person, RULES, eligible) == Decision.ASK
    assert decide(person, RULES, eligible - timedelta(microseconds=1)) == Decision.TOO_YOUNG


def test_quarantine_counts_civil_days_from_the_invitation():
    person = Candidate(
        signed_up_at=datetime(2024, 1, 1, tzinfo=UTC),
        zone=NEW_YORK,
        last_invited_at=datetime(2025, 2, 1, 14, tzinfo=UTC),
    )
    until = datetime(2025, 5, 2, 13, tzinfo=UTC)  # 09:00 there, in summer time

    assert decide(person, RULES, until) == Decision.ASK
    assert decide(person, RULES, until - timedelta(seconds=1)) == Decision.QUARANTINE


@pytest.mark.parametrize(
    ("signed_up_at", "expected"),
    [
        # 02:30 does not exist on 2025-03-09: later by the gap.
        (datetime(2025, 1, 23, 7, 30, tzinfo=UTC), datetime(2025, 3, 9, 7, 30, tzinfo=UTC)),
        # 01:30 comes twice on 2025-11-02: the first pass.
        (datetime(2025, 9, 18, 5, 30, tzinfo=UTC), datetime(2025, 11, 2, 5, 30, tzinfo=UTC)),
    ],
)
def test_odd_local_times_of_the_day_of_asking(signed_up_at: datetime, expected: datetime):
    assert eligible_from(signed_up_at, NEW_YORK) == expected


def test_a_month_and_a_half_is_45_days():
    assert eligible_from(datetime(2025, 1, 31, tzinfo=UTC), packaged().zone("UTC")) == datetime(
        2025, 3, 17, tzinfo=UTC
    )


@pytest.mark.parametrize("name", ["", "Asia", "..", "/etc/passwd", "asia/seoul", "tzdata.zi"])
def test_a_text_that_is_no_zone_is_skipped(name: str):
    with pytest.raises(UnknownZone):
        packaged().zone(name)
    assert zone_or_default(name, "Asia/Seoul").key == "Asia/Seoul"
    assert zone_or_default(name, None).key == "UTC"
