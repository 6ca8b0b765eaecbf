"""Routes of the simulators: what the rules would do with given facts. They read and change nothing.

The workspace's own settings are not looked at: the body says everything.
"""

from datetime import date, datetime, time, timedelta
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from services.cadence.model.anchor import Anchor, Weekday, ZoneEvent
from services.cadence.model.contact_due import MaxGap, days_overdue, due_on
from services.cadence.model.occurrences import (
    Facts,
    Occurrence,
    Policy,
    Skip,
    Standing,
    anchor_at_sign_up,
    plan,
)
from services.cadence.model.quiet import QuietHours
from services.cadence.model.spans import Span
from services.cadence.model.zones import Oddity, ZoneChain, ZoneKind, ZoneSource
from shared.auth import Scope, require
from shared.http import CalendarInstant
from shared.zones import packaged

router = APIRouter()

LONGEST_HORIZON = timedelta(days=30 * 366)  # bounds the work of one request
MOST = 500  # spans, or zone events, of one request
LONGEST_GRACE_HOURS = 366 * 24


def _local(clock: time) -> time:
    if clock.tzinfo is not None:
        raise ValueError("a local time has no offset")
    return clock


LocalTime = Annotated[time, AfterValidator(_local)]
Zone = Annotated[
    str | None,
    Field(description="IANA zone; a text that is none is skipped.", examples=["Asia/Seoul"]),
]


class _Body(BaseModel):
    model_config = ConfigDict(populate_by_name=True)


class SpanBody(_Body):
    """A half-open span."""

    from_: CalendarInstant = Field(alias="from", description="The first instant inside.")
    to: CalendarInstant = Field(description="The first instant outside.")

    def span(self) -> Span:
        """As the rules have it."""
        return Span(self.from_, self.to)


class QuietBody(_Body):
    """Local hours of the day in which nothing is sent."""

    from_: LocalTime = Field(alias="from", description="Start, HH:MM.", examples=["22:00"])
    to: LocalTime = Field(
        description="End; not after the start: the next day's.", examples=["07:00"]
    )


class ZoneEventBody(_Body):
    """What is said of the person's zone from an instant on."""

    at: CalendarInstant = Field(description="From when it holds.")
    kind: ZoneKind = Field(
        description="moved: the same wall clock there; learned: the sign-up happened there."
    )
    zone: str = Field(description="IANA zone; a text that is none changes nothing.")


class CadenceFacts(_Body):
    """All that the simulation knows. A field that is absent or null is unknown."""

    signup_at: CalendarInstant = Field(description="When the person signed up.")
    ingested_at: CalendarInstant | None = Field(
        default=None, description="When the sign-up became known; nothing is sent before."
    )
    user_zone: Zone = None
    account_zone: Zone = None
    workspace_zone: Zone = None
    zone_events: list[ZoneEventBody] | None = Field(
        default=None, max_length=MOST, description="In any order."
    )
    quiet: QuietBody | None = Field(default=None, description="Quiet hours; null: none.")
    grace_hours: float | None = Field(
        default=None,
        ge=0,
        le=LONGEST_GRACE_HOURS,
        description="How late a message may go, equal included; null: 6.",
    )
    outages: list[SpanBody] | None = Field(
        default=None, max_length=MOST, description="When nothing could be sent."
    )
    pauses: list[SpanBody] | None = Field(
        default=None, max_length=MOST, description="When the person is not written to."
    )
    churned_at: CalendarInstant | None = Field(
        default=None, description="Nothing goes at or after it."
    )
    reactivated_at: CalendarInstant | None = Field(default=None, description="Until then.")
    horizon: SpanBody = Field(description="The span that is asked for; at most 30 years.")

    @model_validator(mode="after")
    def has_a_bounded_horizon(self) -> Self:
        """Refuse a horizon that would take long to go through."""
        if self.horizon.to - self.horizon.from_ > LONGEST_HORIZON:
            raise ValueError("horizon: at most 30 years")
        return self

    def facts(self) -> Facts:
        """What is known of the person."""
        return Facts(
            signed_up_at=self.signup_at,
            known_at=self.ingested_at,
            zones=ZoneChain(
                user=self.user_zone, account=self.account_zone, workspace=self.workspace_zone
            ),
            zone_events=[
                ZoneEvent(each.at, each.kind, each.zone) for each in self.zone_events or ()
            ],
            standing=Standing(
                pauses=[each.span() for each in self.pauses or ()],
                churned_at=self.churned_at,
                reactivated_at=self.reactivated_at,
            ),
        )

    def policy(self) -> Policy:
        """The numbers that are given; the usual ones for the rest."""
        usual = Policy()
        return Policy(
            grace=usual.grace if self.grace_hours is None else timedelta(hours=self.grace_hours),
            spacing=usual.spacing,
            quiet=None if self.quiet is None else QuietHours(self.quiet.from_, self.quiet.to),
        )


class AnchorBody(BaseModel):
    """The weekday and hour of the sign-up."""

    weekday: Weekday = Field(description="In the zone.")
    time: str = Field(description="HH:MM, in the zone; seconds are dropped.", examples=["08:10"])
    zone: str = Field(description="IANA zone of the sign-up.")
    zone_source: ZoneSource = Field(description="Who said the zone.")

    @classmethod
    def of(cls, anchor: Anchor) -> "AnchorBody":
        """The anchor, shown."""
        return cls(
            weekday=anchor.weekday,
            time=format(anchor.local_time, "%H:%M"),
            zone=anchor.zone,
            zone_source=anchor.zone_source,
        )


class SkipBody(BaseModel):
    """An occurrence that was due and is not sent."""

    occurrence: date = Field(description="Its civil date, by which it is named.")
    due_at: datetime = Field(description="When it was due, after quiet hours.")
    reason: Skip = Field(description="Why it is not sent.")


class Simulation(BaseModel):
    """What would be sent, and what not."""

    anchor: AnchorBody = Field(description="Of the sign-up; zone events do not change it.")
    sends: list[datetime] = Field(description="Every instant of sending inside the horizon.")
    late_sends: list[datetime] = Field(description="Those of `sends` that go late.")
    skips: list[SkipBody] = Field(description="What was due inside the horizon and is not sent.")
    resolved: dict[date, Oddity] = Field(
        description="Local times among the sent that do not exist on their date (gap: later by its"
        " length), or do twice (overlap: the first pass)."
    )
    tzdata: str = Field(description="Version of the IANA database.", examples=["2026f"])

    @classmethod
    def of(
        cls, anchor: Anchor, planned: list[Occurrence], horizon: Span, tzdata: str
    ) -> "Simulation":
        """What the rules planned, shown."""
        sent = [
            (each.send_at, each)
            for each in planned
            if each.send_at is not None and each.send_at in horizon
        ]
        return cls(
            anchor=AnchorBody.of(anchor),
            sends=sorted(send_at for send_at, _ in sent),
            late_sends=sorted(send_at for send_at, each in sent if each.late),
            skips=[
                SkipBody(occurrence=each.on, due_at=each.due_at, reason=each.skip)
                for each in planned
                if each.skip is not None
            ],
            resolved={each.on: each.oddity for _, each in sent if each.oddity is not None},
            tzdata=tzdata,
        )


class ContactQuestion(BaseModel):
    """When somebody was last in touch, and how often somebody has to be."""

    max_gap: MaxGap = Field(description="The longest time between two contacts.")
    last_contact_on: date = Field(description="Civil date of the last contact by a person.")
    as_of: date | AwareDatetime = Field(
        description="The civil date asked for; of an instant its own date, as written."
    )


class ContactAnswer(BaseModel):
    """When the next contact is due."""

    due_on: date = Field(description="The last day in time.")
    days_overdue: int = Field(description="Days since it; 0 on it and before.")


@router.post(
    "/cadences/simulate",
    summary="When a person would be written to, and why not",
    dependencies=[require(Scope.READ)],
)
async def simulate_cadence(given: CadenceFacts) -> Simulation:
    """The plan that the facts given would make: the same function schedules real messages."""
    database = packaged()
    horizon = given.horizon.span()
    facts = given.facts()
    planned = plan(
        facts,
        given.policy(),
        horizon,
        database,
        outages=[each.span() for each in given.outages or ()],
    )
    return Simulation.of(anchor_at_sign_up(facts, database), planned, horizon, database.version)


@router.post(
    "/contact-sla/simulate",
    summary="When the next contact by a person is due",
    dependencies=[require(Scope.READ)],
)
async def simulate_contact_sla(asked: ContactQuestion) -> ContactAnswer:
    """The due date that follows from the last contact."""
    due = due_on(asked.last_contact_on, asked.max_gap)
    as_of = asked.as_of.date() if isinstance(asked.as_of, datetime) else asked.as_of
    return ContactAnswer(due_on=due, days_overdue=days_overdue(due, as_of))
