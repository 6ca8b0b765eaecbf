"""Routes of what is to go to a person, and why something went or did not."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from services.cadence.model.anchor import Anchor
from services.cadence.model.planning import Decided, MessageRow, forecast
from services.cadence.settings import CadenceSettings
from services.cadence.store import messages, shown
from services.cadence.store.journeys import list_offered
from services.cadence.store.known import list_known
from shared.auth import Reading
from shared.events.told import PersonId
from shared.http import Cursor, Limit, NotFound, Page, Transaction, decode_place, encode_place
from shared.zones import packaged

router = APIRouter()

User = Annotated[str, Path(description="The person's id.", max_length=200)]
Weeks = Annotated[int, Query(ge=1, le=53, description="How far ahead.")]


class AnchorShown(BaseModel):
    """A person's weekly hour as it is now."""

    weekday: str = Field(description="MON to SUN.")
    time: str = Field(description="HH:MM, local.")
    zone: str = Field(description="IANA zone.")
    zone_source: str = Field(description="user, account, workspace or default")

    @classmethod
    def of(cls, anchor: Anchor) -> "AnchorShown":
        """The anchor, shown."""
        return cls(
            weekday=anchor.weekday.value,
            time=f"{anchor.local_time:%H:%M}",
            zone=anchor.zone,
            zone_source=anchor.zone_source.value,
        )


class ScheduledBody(BaseModel):
    """A message to come."""

    message: str = Field(description="Identity of the occurrence.")
    program: str = Field(description="Its program.")
    step: str = Field(description="Its step.")
    template: str = Field(description="Its template.")
    variant: str | None = Field(description="The wording drawn; null: there is one.")
    channels: list[str] = Field(description="In the order in which they are tried.")
    purpose: str = Field(description="What it is for.")
    occurrence_at: datetime = Field(description="Before quiet hours.")
    due_at: datetime = Field(description="After quiet hours.")
    zone: str = Field(description="IANA zone of the local hour.")
    zone_source: str = Field(description="Who said the zone.")

    @classmethod
    def of(cls, row: MessageRow) -> "ScheduledBody":
        """The message, shown."""
        return cls(
            message=row.identity,
            program=row.program,
            step=row.step,
            template=row.template,
            variant=row.variant,
            channels=list(row.channels),
            purpose=row.purpose.value,
            occurrence_at=row.nominal_at,
            due_at=row.due_at,
            zone=row.zone,
            zone_source=row.zone_source,
        )


class SkippedBody(BaseModel):
    """What would be due and does not go."""

    message: str = Field(description="Identity of the occurrence.")
    due_at: datetime | None = Field(description="When it would be due.")
    reason: str | None = Field(description="paused, churned, held_out, ...")

    @classmethod
    def of(cls, decided: Decided) -> "SkippedBody":
        """The decision, shown."""
        return cls(message=decided.identity, due_at=decided.due_at, reason=decided.reason)


class Schedule(BaseModel):
    """A person's messages to come, as if nothing else became known."""

    user: str = Field(description="The person's id.")
    as_of: datetime = Field(description="When this was planned.")
    anchor: AnchorShown | None = Field(description="Null while nobody signed up.")
    tzdata: str = Field(description="Version of the IANA database.")
    items: list[ScheduledBody] = Field(description="By when they are due.")
    skips: list[SkippedBody] = Field(description="What does not go, and why.")


class DecisionBody(BaseModel):
    """What was decided of a message, once."""

    message: str = Field(description="Identity of the occurrence.")
    at: datetime = Field(description="When it was decided.")
    due_at: datetime | None = Field(description="When it was due, after quiet hours.")
    outcome: str = Field(
        description="planned, moved, taken_back, skipped, deferred, dropped, missed, superseded"
    )
    reason: str | None = Field(description="The rule that decided; null: by plan.")
    winner: str | None = Field(description="The message that it gave way to.")
    rules: list[str] = Field(description="Every rule that was consulted, in order.")
    rule_version: int = Field(description="Version of the rules.")
    tzdata: str = Field(description="Version of the IANA database.")

    @classmethod
    def of(cls, row: Any) -> "DecisionBody":
        """The decision as its row has it."""
        return cls(
            message=row.identity,
            at=row.at,
            due_at=row.due_at,
            outcome=row.outcome,
            reason=row.reason,
            winner=row.winner,
            rules=msgspec.json.decode(row.rules),
            rule_version=row.rule_version,
            tzdata=row.tzdata,
        )


@router.get("/users/{user:path}/schedule", summary="What is to go to a person in the next weeks")
async def get_schedule(
    request: Request, caller: Reading, tx: Transaction, user: User, weeks: Weeks = 8
) -> Schedule:
    """By the very function that plans. Caps are decided when a message goes. Raises NotFound."""
    person = PersonId(caller.workspace, user)
    now = await messages.get_now(tx)
    settings: CadenceSettings = request.app.state.settings
    known = (await list_known(tx, [person], now=now, words=settings.words))[person]
    if known.facts is None and not known.occasions:
        raise NotFound(f"nobody is known as {user!r}")
    offered = await list_offered(tx, [caller.workspace])
    database = packaged()
    found = forecast(
        known,
        offered[caller.workspace],
        now=now,
        database=database,
        ahead=timedelta(weeks=weeks),
    )
    return Schedule(
        user=user,
        as_of=now,
        anchor=None if found.anchor is None else AnchorShown.of(found.anchor),
        tzdata=database.version,
        items=[ScheduledBody.of(row) for row in found.messages],
        skips=[SkippedBody.of(decided) for decided in found.skipped],
    )


@router.get("/users/{user:path}/decisions", summary="Why a person was written to, and why not")
async def list_decisions(
    caller: Reading, tx: Transaction, user: User, limit: Limit = 50, cursor: Cursor = None
) -> Page[DecisionBody]:
    """The newest first. Each names every rule that was consulted, and the winner under a cap."""
    before = shown.BEGINNING if cursor is None else decode_place(cursor, int)
    found = await shown.list_decisions(tx, caller.workspace, user, before=before, limit=limit + 1)
    page = found[:limit]
    return Page(
        items=[DecisionBody.of(row) for row in page],
        next_cursor=encode_place(page[-1].number) if len(found) > limit else None,
    )
