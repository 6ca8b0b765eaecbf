"""Routes of the calculators: what counts and scores say. They read and change nothing.

Scores, changes and margins are points, -100 to 100, not rounded; what n does not allow is null.
"""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.nps.model import statistics as rules
from services.nps.model.classes import Counts, count, nps_class, score_said
from services.nps.model.comparison import compare, paired
from services.nps.model.eligibility import eligible_from
from services.nps.model.intervals import Interval
from services.nps.model.planner import sample_size
from services.nps.model.proportion import wilson
from services.nps.model.zones import zone_or_default
from shared.auth import Scope, require
from shared.http import CalendarInstant

router = APIRouter(prefix="/statistics")

MOST_SCORES = 1_000_000  # of one request
MOST_ANSWERS = 10**12  # of a count
SMALLEST_MARGIN = 0.001  # points; bounds the answer
WIDEST_MARGIN = 200


Count = Annotated[int, Field(ge=0, le=MOST_ANSWERS, strict=True)]
Points = Annotated[float | None, Field(description="Points; null where n does not allow it.")]
Probability = Annotated[float | None, Field(description="0 to 1; null where n does not allow it.")]
Said = Annotated[Any, Field(description="A score; anything but a whole 0 to 10 counts nowhere.")]


class _Shown(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class CountsBody(_Shown):
    """Answers by class."""

    promoter: Count = Field(description="Answers of 9 and 10.", examples=[50])
    passive: Count = Field(description="Answers of 7 and 8.", examples=[30])
    detractor: Count = Field(description="Answers of 0 to 6.", examples=[20])

    def counts(self) -> Counts:
        """As the rules have it."""
        return Counts(promoter=self.promoter, passive=self.passive, detractor=self.detractor)


class SummaryQuestion(BaseModel):
    """Counts, or the scores themselves."""

    counts: CountsBody | None = Field(default=None, description="Answers by class.")
    scores: list[Said] | None = Field(
        default=None, max_length=MOST_SCORES, description="The scores instead of counts."
    )
    skipped: Count | None = Field(
        default=None, description="Who was shown the question and went on; in no denominator."
    )
    dismissed: Count | None = Field(
        default=None, description="Who closed the question; in no denominator."
    )

    @model_validator(mode="after")
    def has_one_of_both(self) -> Self:
        """Refuse a question that has neither, or whose parts may contradict each other."""
        if (self.counts is None) == (self.scores is None):
            raise ValueError("either counts or scores")
        return self

    def answers(self) -> Counts:
        """The answers by class."""
        if self.counts is not None:
            return self.counts.counts()
        said = (score_said(each) for each in self.scores or ())
        return count(nps_class(each) for each in said if each is not None)


class ShareBody(BaseModel):
    """The three shares, each 0 to 1."""

    promoter: float
    passive: float
    detractor: float


class AdjustedIntervalBody(_Shown):
    """The 95 % adjusted-Wald interval, in points."""

    centre: float = Field(description="The adjusted score.")
    half_width: float = Field(description="Before it is clipped.")
    low: float = Field(description="At least -100.")
    high: float = Field(description="At most 100.")


class SummaryBody(_Shown):
    """What the answers say."""

    counts: CountsBody = Field(description="Answers by class.")
    n: int = Field(description="Answers that count.")
    nps: Points = Field(description="From counts, not from rounded shares.")
    nps_shown: int | None = Field(description="As a whole number, halves away from zero.")
    share: ShareBody | None = Field(description="0 to 1 each.")
    variance: float | None = Field(description="Of the variable that is -1, 0 or +1.")
    se_wald: Points
    moe95_wald: Points
    ci95_adjusted_wald: AdjustedIntervalBody | None
    too_few: bool = Field(description="Fewer than 30 answers.")


class CompareQuestion(BaseModel):
    """Answers of two waves of different people."""

    before: CountsBody
    after: CountsBody


class CompareBody(_Shown):
    """How the score changed; all null where either side has no answer."""

    change: Points = Field(description="After less before, of the plain scores.")
    change_shown: int | None = Field(description="As a whole number, halves away from zero.")
    z: float | None = Field(description="On adjusted values.")
    p_two_sided: Probability
    diff_low: Points = Field(description="Low end of the 95 % interval of the difference.")
    diff_high: Points = Field(description="Its high end.")
    significant_95: bool | None = Field(description="Whether p is below 0.05.")


class PairBody(BaseModel):
    """Two scores of one person."""

    before: Said = None
    after: Said = None


class PairedQuestion(BaseModel):
    """Pairs of scores; one with anything but whole scores is dropped."""

    rows: list[PairBody] = Field(max_length=MOST_SCORES)


class PairedBody(_Shown):
    """How the same people changed."""

    n: int = Field(description="Pairs that count.")
    change: Points
    z: float | None = Field(description="Null for one pair, and where all changed alike.")
    p_two_sided: Probability


class SampleSizeQuestion(BaseModel):
    """How close the score is to be known."""

    variance: float = Field(ge=0, le=1, description="Of the variable that is -1, 0 or +1.")
    moe_points: float = Field(
        ge=SMALLEST_MARGIN, le=WIDEST_MARGIN, description="Margin to either side, at 95 %."
    )


class SampleSizeBody(BaseModel):
    """How many answers that takes."""

    n: int = Field(description="Answers, not invitations.")


class ProportionQuestion(BaseModel):
    """x of n people."""

    x: Count
    n: Count

    @model_validator(mode="after")
    def is_a_part(self) -> Self:
        """Refuse more than all."""
        if self.x > self.n:
            raise ValueError("x: at most n")
        return self


class ProportionBody(BaseModel):
    """A share with Wilson's 95 % interval; null of nobody."""

    proportion: Probability
    low: Probability
    high: Probability


class EligibleQuestion(BaseModel):
    """A sign-up."""

    signup_at: CalendarInstant = Field(description="When the person signed up.")
    zone: str | None = Field(
        default=None,
        description="IANA zone; a text that is none is skipped: UTC.",
        examples=["Asia/Seoul"],
    )


class EligibleBody(BaseModel):
    """When the person may first be asked."""

    eligible_from: datetime = Field(
        description="45 civil days later at the local time of the sign-up."
    )


class IntervalBody(_Shown):
    """From low to high, both included."""

    low: float
    high: float

    @classmethod
    def of(cls, found: Interval | None) -> Self | None:
        """The interval, shown."""
        return None if found is None else cls(low=found.low, high=found.high)


@router.post("/summary", summary="The score of answers", dependencies=[require(Scope.READ)])
async def summarise(asked: SummaryQuestion) -> SummaryBody:
    """The score with its shares and its interval."""
    return SummaryBody.model_validate(rules.summary(asked.answers()))


@router.post("/compare", summary="Whether a score changed", dependencies=[require(Scope.READ)])
async def compare_waves(asked: CompareQuestion) -> CompareBody:
    """The change between answers of different people, with its test."""
    return CompareBody.model_validate(compare(asked.before.counts(), asked.after.counts()))


@router.post(
    "/paired", summary="Whether the same people changed", dependencies=[require(Scope.READ)]
)
async def compare_people(asked: PairedQuestion) -> PairedBody:
    """The change of people who answered twice, with its test."""
    said = ((score_said(row.before), score_said(row.after)) for row in asked.rows)
    return PairedBody.model_validate(
        paired(
            (nps_class(before), nps_class(after))
            for before, after in said
            if before is not None and after is not None
        )
    )


@router.post(
    "/sample-size",
    summary="How many answers a margin takes",
    dependencies=[require(Scope.READ)],
)
async def plan_sample(asked: SampleSizeQuestion) -> SampleSizeBody:
    """The answers that a 95 % margin takes."""
    return SampleSizeBody(n=sample_size(variance=asked.variance, moe_points=asked.moe_points))


@router.post("/proportion", summary="A share with its interval", dependencies=[require(Scope.READ)])
async def share_of(asked: ProportionQuestion) -> ProportionBody:
    """The share x of n, with Wilson's interval."""
    found = wilson(asked.x, asked.n)
    interval = found.interval
    return ProportionBody(
        proportion=found.proportion,
        low=None if interval is None else interval.low,
        high=None if interval is None else interval.high,
    )


@router.post(
    "/eligible-from",
    summary="When a person may first be asked",
    dependencies=[require(Scope.READ)],
)
async def first_asked(asked: EligibleQuestion) -> EligibleBody:
    """The first instant of asking, by the rule that waves decide with."""
    return EligibleBody(eligible_from=eligible_from(asked.signup_at, zone_or_default(asked.zone)))
