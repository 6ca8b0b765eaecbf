"""What the routes answer. A field that speaks of a part not there yet is null, never 0."""

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from services.health.model.explain import Measure
from services.health.model.score import Band

SCORE = Field(description="0 to 100, higher is better; null where nothing is known.")
USAGE_HEALTH = Field(
    description="100 times the chance of at least one event within the silence the workspace cares"
    " about (H days); null without any event."
)
BAND = Field(description="red below 50, amber below 85, green from 85, unknown without facts.")
NOT_YET = "Null until the part of Mainstay that knows it has told."


class Body(BaseModel):
    """Read from the values of the model by their attributes."""

    model_config = ConfigDict(from_attributes=True)


class ContributionBody(Body):
    """What one measure adds to the score. The points of all measures add up to the score."""

    measure: Measure = Field(description="What was measured.")
    points: float = Field(
        description="Mean effect of the measure's presence against its absence (Shapley value)."
    )
    words: str = Field(
        description="The reason for people.",
        examples=["11 active weeks of the last 13; usually every 3 days, now 11"],
    )
    values: dict[str, float | int] = Field(description="The numbers behind the words.")


class DeltaBody(Body):
    """How the points of one measure changed."""

    measure: Measure = Field(description="What was measured.")
    points: float = Field(description="Points now less points then.")
    words: str = Field(
        description="The change for people.",
        examples=["11 active weeks of the last 13 (30 days before: 9)"],
    )
    since: datetime = Field(description="The instant compared with: 30 days before as_of.")


class FreshnessBody(Body):
    """How old the newest event behind the score is."""

    last_event_at: datetime | None = Field(description="The newest event; null without any.")
    age_days: float | None = Field(description="Days from it to as_of.")


class DimensionBody(Body):
    """One side of the account that a scorecard looks at."""

    dimension: str = Field(description="Its name.", examples=["usage"])
    score: float | None = SCORE
    weight: float = Field(description="Its share of the account's score, 0 to 1.")
    coverage: float = Field(description="Share of its measures that have facts, 0 to 1.")


class ScoreBody(Body):
    """The score of an account as of an instant, with all that it stands on."""

    account: str = Field(description="The account's id.")
    as_of: datetime = Field(description="Only events before this instant count.")
    score: float | None = SCORE
    band: Band = BAND
    coverage: float = Field(description="Share of the scorecard's weight that has facts, 0 to 1.")
    freshness: FreshnessBody = Field(description="How old the newest fact is.")
    usage_health: float | None = USAGE_HEALTH
    dimensions: list[DimensionBody] = Field(description="The parts of the score.")
    contributions: list[ContributionBody] = Field(
        description="Reasons, the first one first. Points add up to the score."
    )
    deltas: list[DeltaBody] = Field(description="What changed in 30 days, the most first.")
    caps: list[str] = Field(description="Rules that hold the band down; none are set yet.")
    override: None = Field(description="A person's value in place of the score; none can be set.")
    config_version: str = Field(description="The scorecard.", examples=["default@1"])
    events: list[str] = Field(
        description="Ids of the events that weigh most: those that began the ten newest active"
        " days, the newest first."
    )


class HistoryPoint(Body):
    """The score at one instant."""

    t: datetime = Field(description="Only events before this instant count.")
    score: float | None = SCORE
    usage_health: float | None = USAGE_HEALTH
    band: Band = BAND


class HistoryBody(Body):
    """The score over time."""

    account: str = Field(description="The account's id.")
    step: str = Field(description="Distance of two instants.", examples=["1d"])
    items: list[HistoryPoint] = Field(description="Oldest first; both ends included.")


class AccountItem(Body):
    """An account in the list."""

    account: str = Field(description="The account's id.", examples=["acme"])
    name: str | None = Field(description="As told last; null while nobody did.")
    plan: str | None = Field(description="As told last.")
    stage: str | None = Field(description="Lifecycle stage as told last.")
    segment: str | None = Field(description="As told last.")
    owner: str | None = Field(description="Staff e-mail of the owner, as told last.")
    score: float | None = SCORE
    usage_health: float | None = USAGE_HEALTH
    band: Band = BAND
    reason: str = Field(
        description="The first reason, in words.",
        examples=["2 active weeks of the last 13; usually every 3 days, now 41"],
    )
    last_event_at: datetime | None = Field(description="The newest use; null without any.")


class ProfileBody(BaseModel):
    """What was said of the account, each field as told last; null while nobody named it."""

    name: str | None = Field(default=None, description="Name for people.")
    plan: str | None = Field(default=None, description="Plan.")
    tier: str | None = Field(
        default=None, description="standard, important or most_important, as told."
    )
    segment: str | None = Field(default=None, description="Segment.")
    tags: list[str] | None = Field(default=None, description="Tags.")
    industry: str | None = Field(default=None, description="Industry.")
    owner: str | None = Field(default=None, description="Staff e-mail of the owner.")
    seller: str | None = Field(default=None, description="Who sold.")
    parent: str | None = Field(default=None, description="Id of the parent account.")
    icp_score: float | None = Field(default=None, description="Fit, 0 to 100.")
    seats: int | None = Field(default=None, description="Seats paid for.")
    pricing_model: str | None = Field(default=None, description="seat or value.")
    acquisition_channel: str | None = Field(default=None, description="How the account came.")
    lifecycle_stage: str | None = Field(default=None, description="Lifecycle stage as told.")
    time_zone: str | None = Field(default=None, description="IANA zone.")
    locale: str | None = Field(default=None, description="Locale.")
    signed_up_at: datetime | None = Field(default=None, description="When it signed up.")
    integrations: int | None = Field(default=None, description="Integrations in use.")
    external_ids: dict[str, str] | None = Field(default=None, description="Ids elsewhere.")
    synthetic: bool | None = Field(
        default=None, description="A walk-through account, in no list and no metric."
    )


class UserBody(BaseModel):
    """A member of the account."""

    user: str = Field(description="The person's id.")
    role: str | None = Field(description="user, admin, champion or sponsor, as told last.")
    signed_up_at: datetime | None = Field(
        description="As told last, else when the person was first identified."
    )
    first_seen_on: date = Field(description="UTC day of the first event with this account.")
    last_seen_on: date = Field(description="UTC day of the newest event with this account.")
    events: int = Field(description="Events in the last 30 days.")


class DailyUse(BaseModel):
    """One day of the strip."""

    day: date = Field(description="UTC day.")
    events: int = Field(description="Events of that day; 0 is a day without use.")


class FeatureUse(BaseModel):
    """A feature and its use."""

    feature: str = Field(description="The feature.")
    events: int = Field(description="Events in the last 30 days.")


class TopUser(BaseModel):
    """Whether the account hangs on one person."""

    user: str = Field(description="The busiest user.")
    share: float = Field(description="Their share of all users' events in 30 days, 0 to 1.")


class UsageBody(BaseModel):
    """How the account uses the product. Spans are whole UTC days up to that of as_of."""

    first_event_at: datetime | None = Field(description="The first use ever.")
    last_event_at: datetime | None = Field(description="The newest use.")
    usual_gap_days: float | None = Field(
        description="Moving geometric mean of the days between active days; null before two."
    )
    early_active_weeks: int | None = Field(
        description="Active weeks that began within 90 days of the first event."
    )
    events: int = Field(description="Events in the last 30 days.")
    active_days: int = Field(description="Active days in the last 30.")
    active_users: int = Field(description="Users with an event in the last 30 days.")
    top_user: TopUser | None = Field(description="The busiest user; null without any.")
    breadth: int = Field(description="Features used in the last 30 days.")
    features: list[FeatureUse] = Field(description="The ten most used ones.")
    strip: list[DailyUse] = Field(description="The last 26 weeks, a day each, oldest first.")


class ContractBody(BaseModel):
    """What was last said of a contract, and at which of its dates."""

    contract: str = Field(description="The contract's id.")
    state: str = Field(
        description="opt_out_closing, opted_out, renewal_due, renewed or ended: what came last."
    )
    on: date = Field(description="The day in question, the last one inside.")
    auto_renew: bool = Field(description="Whether it renews by itself.")


class AccountBody(BaseModel):
    """All that is known of an account: the 360."""

    account: str = Field(description="The account's id.")
    as_of: datetime = Field(description="Use and score are as of this instant.")
    profile: ProfileBody = Field(description="What was said of it, as told last.")
    users_total: int = Field(description="Members seen so far.")
    users: list[UserBody] = Field(description="Members, those seen last first, 100 at most.")
    usage: UsageBody = Field(description="How it uses the product.")
    score: ScoreBody = Field(description="The score with its reasons.")
    signals: list[Any] | None = Field(default=None, description=f"Alerts. {NOT_YET}")
    onboarding: dict[str, Any] | None = Field(default=None, description=f"Onboarding. {NOT_YET}")
    contract: ContractBody | None = Field(
        default=None, description="The contract as metrics told last; null before it did."
    )
    nps: dict[str, Any] | None = Field(default=None, description=f"NPS. {NOT_YET}")
    mrr: str | None = Field(
        default=None,
        description="Recurring revenue a month, in minor units of the reporting currency, as the"
        " ledger told last; null before it did.",
    )
    mrr_at_risk: str | None = Field(
        default=None, description="The part of it that is past due, in the same units."
    )
    contacts: list[Any] | None = Field(default=None, description=f"Touches. {NOT_YET}")


class ScoreLine(BaseModel):
    """A score among those of all accounts."""

    account: str = Field(description="The account's id.")
    t: str = Field(description="as_of as given.")
    score: float = Field(description="0 to 100, higher is better.")
    usage_health: float = USAGE_HEALTH
    band: Band = BAND


class ScoresBody(BaseModel):
    """The scores of all accounts with an event before as_of."""

    items: list[ScoreLine] = Field(description="By account id.")
