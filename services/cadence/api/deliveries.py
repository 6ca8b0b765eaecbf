"""Routes of messages: the list of what went and what did not, and one of them with all there is."""

from datetime import datetime
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from services.cadence.api.people import DecisionBody
from services.cadence.model.delivery import State
from services.cadence.store import shown
from shared.auth import Reading
from shared.http import Cursor, Limit, NotFound, Page, Transaction, decode_place, encode_place

router = APIRouter()

MOST_DECISIONS = 500  # of one message; it is decided a few times


class PageEnd(NamedTuple):
    """Where a page ended."""

    due_at: datetime
    identity: str


class DeliveryBody(BaseModel):
    """A message and how far it came."""

    message: str = Field(description="Identity of the occurrence.")
    user: str = Field(description="The person's id.")
    account: str | None = Field(description="The person's account.")
    program: str = Field(description="Its program.")
    step: str = Field(description="Its step.")
    template: str = Field(description="Its template.")
    variant: str | None = Field(description="The wording drawn; null: there is one.")
    channel: str | None = Field(description="The channel taken; null until then.")
    channels: list[str] = Field(description="In the order in which they are tried.")
    pillar: str = Field(description="website_research, onboarding, adoption or support.")
    purpose: str = Field(description="What it is for.")
    state: str = Field(
        description="planned, claimed, handed_over, accepted, rejected, uncertain, missed,"
        " superseded or dropped"
    )
    reason: str | None = Field(description="Why so.")
    winner: str | None = Field(description="The message that it gave way to.")
    occurrence_at: datetime = Field(description="Before quiet hours.")
    due_at: datetime = Field(description="After quiet hours.")
    zone: str = Field(description="IANA zone of the local hour.")
    zone_source: str = Field(description="Who said the zone.")
    tzdata: str = Field(description="Version of the IANA database.")
    provider: str | None = Field(description="Who took it.")
    attempts: int = Field(description="How often it was begun.")
    handed_over_at: datetime | None = Field(description="From here on it may be out.")
    ended_at: datetime | None = Field(description="When its end was known.")
    bounced_at: datetime | None = Field(description="When it came back.")
    unsubscribed_at: datetime | None = Field(description="When somebody left by it.")

    @classmethod
    def of(cls, row: Any) -> "DeliveryBody":
        """The message as its row has it."""
        return cls(**_said(row))


class Letter(BaseModel):
    """What went out, as it is kept."""

    message_id: str = Field(description="The Message-ID header.")
    subject: str = Field(description="The subject.")
    digest: str = Field(description="SHA-256 of its bytes, hex.")


class Hits(BaseModel):
    """What was fetched of it, by who fetched it."""

    opens: dict[str, int] = Field(description="human, proxy_prefetch, scanner, unknown")
    clicks: dict[str, int] = Field(description="human, proxy_prefetch, scanner, unknown")


class MessageBody(DeliveryBody):
    """A message with its letter, its hits and every decision about it."""

    letter: Letter | None = Field(description="Null while nothing was written.")
    hits: Hits = Field(description="What was fetched of it.")
    decisions: list[DecisionBody] = Field(description="The oldest first.")


class DeliveriesQuery(BaseModel):
    """Which messages to list."""

    user: str | None = Field(default=None, max_length=200, description="Only this person's.")
    account: str | None = Field(default=None, max_length=200, description="Only this account's.")
    program: str | None = Field(default=None, max_length=200, description="Only this program's.")
    state: State | None = Field(default=None, description="Only those in this state.")
    limit: Limit = 50
    cursor: Cursor = None


@router.get("/deliveries", summary="What went, what is to go, and what did not")
async def list_deliveries(
    caller: Reading, tx: Transaction, query: Annotated[DeliveriesQuery, Query()]
) -> Page[DeliveryBody]:
    """By when they are due, the latest first."""
    asked = shown.Asked(
        user=query.user,
        account=query.account,
        program=query.program,
        state=None if query.state is None else query.state.value,
    )
    before = None if query.cursor is None else decode_place(query.cursor, PageEnd)
    found = await shown.list_deliveries(
        tx, caller.workspace, asked, before=before, limit=query.limit + 1
    )
    page = found[: query.limit]
    more = len(found) > query.limit
    return Page(
        items=[DeliveryBody.of(row) for row in page],
        next_cursor=encode_place(PageEnd(page[-1].due_at, page[-1].identity)) if more else None,
    )


@router.get("/messages/{identity:path}", summary="One message, with all there is of it")
async def get_message(
    caller: Reading,
    tx: Transaction,
    identity: Annotated[str, Path(description="Identity of the occurrence.", max_length=1000)],
) -> MessageBody:
    """Its state, its letter, what was fetched of it and every decision. Raises NotFound."""
    row = await shown.get_message(tx, caller.workspace, identity)
    if row is None:
        raise NotFound(f"there is no message {identity!r}")
    hits = await shown.count_hits(tx, caller.workspace, identity)
    decided = await shown.list_decisions_of(tx, caller.workspace, identity, limit=MOST_DECISIONS)
    letter = (
        None
        if row.message_id is None
        else Letter(message_id=row.message_id, subject=row.subject, digest=row.digest)
    )
    return MessageBody(
        **_said(row),
        letter=letter,
        hits=Hits(
            opens={hit.class_: hit.times for hit in hits if hit.kind == "open"},
            clicks={hit.class_: hit.times for hit in hits if hit.kind == "click"},
        ),
        decisions=[DecisionBody.of(each) for each in decided],
    )


def _said(row: Any) -> dict[str, Any]:
    return {
        "message": row.identity,
        "user": row.user_id,
        "account": row.account,
        "program": row.program,
        "step": row.step,
        "template": row.template,
        "variant": row.variant,
        "channel": row.channel,
        "channels": list(row.channels),
        "pillar": row.pillar,
        "purpose": row.purpose,
        "state": row.state,
        "reason": row.reason,
        "winner": row.winner,
        "occurrence_at": row.occurrence_at,
        "due_at": row.due_at,
        "zone": row.zone,
        "zone_source": row.zone_source,
        "tzdata": row.tzdata,
        "provider": row.provider,
        "attempts": row.attempt,
        "handed_over_at": row.handed_over_at,
        "ended_at": row.ended_at,
        "bounced_at": row.bounced_at,
        "unsubscribed_at": row.unsubscribed_at,
    }
