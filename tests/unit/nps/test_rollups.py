"""Roll-ups: three readings of the same answers, and what silence could change."""

from decimal import Decimal

import pytest

from services.nps.model.classes import Counts
from services.nps.model.rollups import AccountAnswers, roll_up


def account(name: str, counts: Counts, mrr: int | None) -> AccountAnswers:
    return AccountAnswers(account=name, counts=counts, mrr=None if mrr is None else Decimal(mrr))


SMALL = account("small", Counts(promoter=3), 100)
LARGE = account("large", Counts(detractor=1), 300)
SILENT = account("silent", Counts(), 400)
UNKNOWN = account("unknown", Counts(passive=1), None)


def test_the_readings_differ_by_what_they_weigh():
    found = roll_up([SMALL, LARGE, SILENT])

    assert found.respondent.nps == 50
    assert found.account_mean == 0
    assert found.mrr_weighted == -50
    assert found.coverage_accounts == pytest.approx(2 / 3)
    assert found.coverage_mrr == 0.5
    assert found.kish_effective_accounts == pytest.approx(400**2 / (100**2 + 300**2))


def test_silent_accounts_bound_the_mrr_weighted_score():
    found = roll_up([SMALL, LARGE, SILENT]).mrr_weighted_bounds_if_silent_were

    assert found is not None
    assert (found.low, found.high) == (-75, 25)


def test_a_silent_account_has_no_score_and_is_listed():
    found = roll_up([SILENT])

    assert [(each.account, each.n, each.nps) for each in found.per_account] == [("silent", 0, None)]
    assert found.account_mean is None
    assert found.mrr_weighted is None
    assert found.kish_effective_accounts is None
    assert found.coverage_mrr == 0


def test_an_account_of_unknown_mrr_answers_and_weighs_nothing():
    found = roll_up([SMALL, UNKNOWN])

    assert found.account_mean == 50
    assert found.mrr_weighted == 100
    assert found.coverage_mrr == 1


def test_without_accounts_nothing_is_known():
    found = roll_up([])

    assert found.coverage_accounts is None
    assert found.coverage_mrr is None
    assert found.mrr_weighted_bounds_if_silent_were is None


def test_the_example_of_the_specification_closes():
    """15 points by MRR at a coverage of 70.9 % leave -18 to +40."""
    heard, silent = Decimal(709), Decimal(291)
    answers = Counts(promoter=115, detractor=85)  # 15 points
    found = roll_up(
        [
            AccountAnswers(account="heard", counts=answers, mrr=heard),
            AccountAnswers(account="silent", counts=Counts(), mrr=silent),
        ]
    ).mrr_weighted_bounds_if_silent_were

    assert found is not None
    assert (round(found.low), round(found.high)) == (-18, 40)
