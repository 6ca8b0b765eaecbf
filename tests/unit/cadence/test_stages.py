"""The stage of an account by facts alone (events.md 4)."""

from decimal import Decimal

import pytest

from services.cadence.model.stages import Stage, StageFacts, stage_named, stage_of

PAYING = Decimal(100)


@pytest.mark.parametrize(
    ("facts", "stage", "because"),
    [
        (StageFacts(), "prospect", "nothing_known"),
        (StageFacts(seed=Stage.KICKOFF), "kickoff", "seed"),
        (StageFacts(seed=Stage.KICKOFF, onboarded=True), "kickoff", "seed"),
        (StageFacts(mrr=PAYING, ever_paid=True), "implementation", "paying"),
        (StageFacts(seed=Stage.RENEWAL, mrr=PAYING, ever_paid=True), "implementation", "paying"),
        (StageFacts(mrr=PAYING, ever_paid=True, onboarded=True), "adoption", "onboarded"),
        (StageFacts(ever_paid=True, onboarded=True), "churned", "churned"),
        (StageFacts(ever_paid=True, left_once=True), "churned", "churned"),
        (StageFacts(mrr=PAYING, ever_paid=True, left_once=True), "adoption", "reactivated"),
    ],
)
def test_the_stage_follows_from_money_and_onboarding(facts: StageFacts, stage: str, because: str):
    assert stage_of(facts) == (stage, because)


@pytest.mark.parametrize(
    ("text", "stage"), [("launch", Stage.LAUNCH), ("Launch", None), ("", None), (None, None)]
)
def test_a_text_that_is_no_stage_seeds_none(text: str | None, stage: Stage | None):
    assert stage_named(text) is stage
