"""The lifecycle stage of an account, as far as facts alone tell it: no gates yet (events.md 4)."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple


class Stage(StrEnum):
    """The one lifecycle of an account."""

    PROSPECT = "prospect"
    HANDOFF = "handoff"
    KICKOFF = "kickoff"
    IMPLEMENTATION = "implementation"
    TRAINING = "training"
    LAUNCH = "launch"
    REVIEW = "review"
    ADOPTION = "adoption"
    ADVANCEMENT = "advancement"
    RENEWAL = "renewal"
    ADVOCACY = "advocacy"
    CHURNED = "churned"


class Because(StrEnum):
    """The fact that decided the stage."""

    NOTHING_KNOWN = "nothing_known"
    SEED = "seed"
    PAYING = "paying"
    ONBOARDED = "onboarded"
    REACTIVATED = "reactivated"
    CHURNED = "churned"


@dataclass(frozen=True, kw_only=True)
class StageFacts:
    """What the ledger and health say of an account. `seed`: the stage that a CRM gave it last.

    `mrr` in minor units; `ever_paid`: it was above 0 once; `left_once`: it fell to 0 after that.
    """

    seed: Stage | None = None
    mrr: Decimal = Decimal(0)
    ever_paid: bool = False
    left_once: bool = False
    onboarded: bool = False


class Staged(NamedTuple):
    """A stage, and why."""

    stage: Stage
    because: Because


def stage_of(facts: StageFacts) -> Staged:
    """The stage: of a paying account adoption once onboarded, or back, and implementation before;
    churned at MRR 0 after having paid; else the seed, else prospect.
    """
    if facts.mrr > 0 and facts.left_once:
        return Staged(Stage.ADOPTION, Because.REACTIVATED)
    if facts.mrr > 0 and facts.onboarded:
        return Staged(Stage.ADOPTION, Because.ONBOARDED)
    if facts.mrr > 0:
        return Staged(Stage.IMPLEMENTATION, Because.PAYING)
    if facts.ever_paid:
        return Staged(Stage.CHURNED, Because.CHURNED)
    if facts.seed is not None:
        return Staged(facts.seed, Because.SEED)
    return Staged(Stage.PROSPECT, Because.NOTHING_KNOWN)


def stage_named(text: str | None) -> Stage | None:
    """The stage of that name; None for a text that names none."""
    return Stage(text) if text is not None and text in set(Stage) else None
