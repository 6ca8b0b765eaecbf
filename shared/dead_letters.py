"""The routes every consuming service has: what it gave up on, applying it after all, the audit."""

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from shared.auth import Caller, Managing, Reading
from shared.bus import tables
from shared.bus.handlers import Lane
from shared.bus.redrive import (
    DeadLetterUnknown,
    Outcome,
    Redriver,
    StillBroken,
    Verdict,
    uuid_of,
)
from shared.bus.tables import Filters, LetterState, Place
from shared.clock import format_instant, parse_instant
from shared.db import Database
from shared.http import (
    Cursor,
    InvalidRequest,
    Limit,
    Page,
    Problem,
    Transaction,
    decode_cursor,
    encode_cursor,
)

LISTED_BYTES = 32 * 1024  # of a record in a list: a page holds up to 500
NO_NUL = r"^[^\x00]*$"  # PostgreSQL keeps no such text, so nothing is found by it
PREFIX = "/v1/dead-letters"

# --- bodies --------------------------------------------------------------------------------------


class DeadLetterView(BaseModel):
    """A record that a lane gave up, with the reason."""

    id: str = Field(description="Its id; the same however often the record is given up.")
    state: LetterState = Field(description="Whether it was decided about, and how.")
    event_id: str | None = Field(description="Id of the event; null where it could not be read.")
    event_type: str | None = Field(
        description="Type of the event; null where it could not be read.",
        examples=["usage.tracked.v1"],
    )
    lane: str = Field(description="The consumer loop that gave it up.", examples=["live"])
    topic: str = Field(description="Kafka topic.", examples=["ingest.usage.v1"])
    partition: int = Field(description="Partition of the topic.")
    offset: int = Field(description="Place in the partition.")
    key: str | None = Field(description="Record key: workspace and account.", examples=["w1/acme"])
    headers: list[tuple[str, str | None]] = Field(
        description="Record headers; the value is null where it is no text."
    )
    code: str = Field(
        description="Stable reason; `parked` where it only waits behind another of its key.",
        examples=["schema_violation"],
    )
    message: str = Field(description="What was wrong, for people.")
    error_class: str | None = Field(description="What the code raised; null where it did not.")
    code_version: str | None = Field(description="The code that gave it up.")
    behind: str | None = Field(
        description="The first open dead letter of its key when it was given up."
    )
    bytes: str | None = Field(
        description="The record as it stands in Kafka, base64. In a list null above 32 KiB."
    )
    size_bytes: int | None = Field(description="Size of the record's value.")
    appended_at: datetime | None = Field(description="When the broker took it.")
    dead_at: datetime = Field(description="When it was given up.")
    last_tried_at: datetime | None = Field(description="When a redrive last tried it.")
    redriven_at: datetime | None = Field(description="When it was applied after all.")
    redriven_by: str | None = Field(
        description="Key id of whoever redrove it, or an operator's name."
    )
    discarded_at: datetime | None = Field(description="When it was discarded.")
    discarded_by: str | None = Field(
        description="Key id of whoever discarded it, or an operator's name."
    )


class VerdictView(BaseModel):
    """What a redrive made of a dead letter, or would make of it."""

    id: str = Field(description="Id of the dead letter.")
    outcome: Outcome = Field(
        description="`duplicate`: its event was applied meanwhile, so nothing was left to do."
        " `refused`: it was not even tried."
    )
    code: str | None = Field(
        default=None,
        description="Stable reason of still_broken and refused.",
        examples=["earlier_letter_open"],
    )
    message: str | None = Field(default=None, description="That reason for people.")


class RedrivenView(VerdictView):
    """The answer about one dead letter."""

    status: Outcome = Field(description="The same as `outcome`.")


class RunView(BaseModel):
    """What became of the dead letters that were meant, in the order of the log."""

    items: list[VerdictView] = Field(description="One for each letter that was looked at.")
    more: bool = Field(description="Whether more are meant than this answer speaks of.")
    next_cursor: str | None = Field(
        description="Send it as `cursor` to go on behind the last item; null at the end."
    )


class RedriveBody(BaseModel):
    """Which open dead letters are meant: those that meet everything given."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"code": "schema_violation", "from": "2026-11-01T00:00:00Z", "dry_run": True}
            ]
        },
    )

    code: str | None = Field(default=None, description="Reason.", pattern=NO_NUL, max_length=200)
    lane: str | None = Field(default=None, description="Lane.", pattern=NO_NUL, max_length=200)
    type: str | None = Field(
        default=None, description="Type of the event.", pattern=NO_NUL, max_length=200
    )
    from_: str | None = Field(
        default=None, alias="from", max_length=40, description="Given up at or after, RFC 3339."
    )
    to: str | None = Field(default=None, max_length=40, description="Given up before, RFC 3339.")
    all: bool = Field(default=False, description="Has to be true where nothing else is given.")
    dry_run: bool = Field(
        default=False, description="Only say what would happen: nothing is written or published."
    )
    limit: int = Field(default=100, ge=1, le=500, description="Most letters to look at.")
    cursor: str | None = Field(
        default=None, max_length=512, description="`next_cursor` of the answer before."
    )


class DiscardBody(BaseModel):
    """Why a record shall never be applied."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "sent by a test"}]}
    )

    reason: str = Field(
        min_length=1, max_length=500, pattern=NO_NUL, description="For the audit, in words."
    )


class DiscardedView(BaseModel):
    """A dead letter was discarded."""

    id: str = Field(description="Id of the dead letter.")
    state: LetterState = Field(description="discarded.")


class AuditView(BaseModel):
    """Somebody redrove or discarded a dead letter."""

    at: datetime = Field(description="When.")
    by: str = Field(description="Key id, or an operator's name.")
    action: Literal["redrive", "discard"] = Field(description="What was asked for.")
    dead_letter: str = Field(description="Id of the dead letter.")
    outcome: str = Field(
        description="applied, duplicate, still_broken or discarded.", examples=["applied"]
    )
    message: str | None = Field(description="Why it is still broken, or why it was discarded.")


# --- parameters ----------------------------------------------------------------------------------

LetterPath = Annotated[str, Path(max_length=100, description="Id of the dead letter.")]
DryRun = Annotated[
    bool, Query(description="Only say what would happen: nothing is written or published.")
]
UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "dead_letter_unknown"}
}
DECIDED: dict[int | str, dict[str, Any]] = {
    409: {
        "model": Problem,
        "description": "already_redriven, already_discarded, earlier_letter_open or lane_gone",
    }
}
BROKEN: dict[int | str, dict[str, Any]] = {
    422: {"model": Problem, "description": "still_broken: the code that runs now fails too"}
}


def _filters(
    *,
    code: Annotated[
        str | None, Query(max_length=200, pattern=NO_NUL, description="Only of this reason.")
    ] = None,
    lane: Annotated[
        str | None, Query(max_length=200, pattern=NO_NUL, description="Only of this lane.")
    ] = None,
    event_type: Annotated[
        str | None,
        Query(alias="type", max_length=200, pattern=NO_NUL, description="Only of this event type."),
    ] = None,
    since: Annotated[
        str | None,
        Query(alias="from", max_length=40, description="Given up at or after, RFC 3339."),
    ] = None,
    until: Annotated[
        str | None, Query(alias="to", max_length=40, description="Given up before, RFC 3339.")
    ] = None,
    state: Annotated[
        Literal["open", "redriven", "discarded", "all"],
        Query(description="Only what waits for a decision, or was decided so."),
    ] = "all",
) -> Filters:
    return Filters(
        code=code,
        lane=lane,
        event_type=event_type,
        since=_instant("from", since),
        until=_instant("to", until),
        state=None if state == "all" else LetterState(state),
    )


Filtered = Annotated[Filters, Depends(_filters)]


def _instant(name: str, given: str | None) -> datetime | None:
    if given is None:
        return None
    try:
        return parse_instant(given)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(
            f"{name}: {given!r} is no RFC 3339 instant; write 2026-03-01T00:00:00Z, a + as %2B"
        ) from error


# --- routes --------------------------------------------------------------------------------------


def judging(service: str, lanes: Sequence[Lane]) -> APIRouter:
    """The routes that decide about the dead letters of one service, with the folds of its lanes."""
    router = APIRouter(prefix=PREFIX, tags=["dead letters"])

    def redriver(request: Request, caller: Caller) -> Redriver:
        database: Database = request.app.state.database
        return Redriver(
            service=service,
            lanes=lanes,
            database=database,
            workspace=caller.workspace,
            by=caller.key_id,
        )

    @router.get("/audit", summary="Who redrove or discarded what, newest first")
    async def list_audit(
        caller: Reading,
        tx: Transaction,
        dead_letter: Annotated[
            str | None, Query(max_length=100, description="Only of this dead letter.")
        ] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[AuditView]:
        letter_id = None if dead_letter is None else _known_form(dead_letter)
        found = await tables.list_audit(
            tx,
            caller.workspace,
            letter_id=letter_id,
            after=_number_place(cursor) if cursor else None,
            limit=limit + 1,
        )
        more = len(found) > limit
        return Page(
            items=[_audit_view(row) for row in found[:limit]],
            next_cursor=encode_cursor(str(found[limit - 1].id)) if more else None,
        )

    @router.post("/redrive", summary="Apply the dead letters of a reason, a lane, a time")
    async def redrive_open(request: Request, caller: Managing, body: RedriveBody) -> RunView:
        """In the order of the log, each in a transaction of its own, for some seconds at most."""
        filters = _meant(body)
        after = _log_place(body.cursor) if body.cursor else None
        redriving = redriver(request, caller)
        act = redriving.rehearse_open if body.dry_run else redriving.redrive_open
        run = await act(filters, after=after, limit=body.limit)
        return RunView(
            items=[_verdict_view(verdict) for verdict in run.verdicts],
            more=run.after is not None,
            next_cursor=_log_cursor(run.after) if run.after else None,
        )

    @router.post(
        "/{letter_id}/redrive",
        summary="Apply a dead letter with the code that runs now",
        responses=UNKNOWN | DECIDED | BROKEN,
    )
    async def redrive_dead_letter(
        request: Request, letter_id: LetterPath, caller: Managing, *, dry_run: DryRun = False
    ) -> RedrivenView:
        """A dry run answers 200 also where the record is still broken, and says why."""
        redriving = redriver(request, caller)
        if dry_run:
            return _redriven_view(await redriving.rehearse(letter_id))
        verdict = await redriving.redrive(letter_id)
        if verdict.outcome is Outcome.STILL_BROKEN:
            raise StillBroken(f"dead letter {verdict.id}: {verdict.code}: {verdict.message}")
        return _redriven_view(verdict)

    @router.post(
        "/{letter_id}/discard",
        summary="Decide that a record shall never be applied",
        responses=UNKNOWN | DECIDED,
    )
    async def discard_dead_letter(
        request: Request, letter_id: LetterPath, caller: Managing, body: DiscardBody
    ) -> DiscardedView:
        """What waits behind it can be redriven then."""
        await redriver(request, caller).discard(letter_id, why=body.reason)
        return DiscardedView(id=letter_id, state=LetterState.DISCARDED)

    return router


# Included after `judging`: else the path of one letter would take /audit for an id.
showing = APIRouter(prefix=PREFIX, tags=["dead letters"])


@showing.get("", summary="What this service gave up on, newest first")
async def list_dead_letters(
    caller: Reading,
    tx: Transaction,
    filters: Filtered,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[DeadLetterView]:
    """The dead letters of the caller's workspace."""
    found = await tables.list_dead_letters(
        tx,
        caller.workspace,
        filters,
        after=_time_place(cursor) if cursor else None,
        limit=limit + 1,
        shown_bytes=LISTED_BYTES,
    )
    items = [_view(row) for row in found[:limit]]
    return Page(items=items, next_cursor=_time_cursor(items[-1]) if len(found) > limit else None)


@showing.get("/{letter_id}", summary="One dead letter with its whole record", responses=UNKNOWN)
async def get_dead_letter(
    caller: Reading, tx: Transaction, letter_id: LetterPath
) -> DeadLetterView:
    """Another workspace's looks as if there were none."""
    known = uuid_of(letter_id)
    row = None if known is None else await tables.get_dead_letter(tx, known)
    if row is None or row.workspace != caller.workspace:
        raise DeadLetterUnknown(f"no dead letter {letter_id!r}")
    return _view(row)


# --- views and cursors ---------------------------------------------------------------------------


def _meant(body: RedriveBody) -> Filters:
    filters = Filters(
        code=body.code,
        lane=body.lane,
        event_type=body.type,
        since=_instant("from", body.from_),
        until=_instant("to", body.to),
    )
    if filters == Filters() and not body.all:
        raise InvalidRequest("say which are meant: code, lane, type, from or to; or all: true")
    return filters


def _known_form(letter_id: str) -> str:
    known = uuid_of(letter_id)
    if known is None:
        raise InvalidRequest(f"dead_letter: {letter_id!r} is no id")
    return known


def _time_cursor(last: DeadLetterView) -> str:
    return encode_cursor(f"{format_instant(last.dead_at)} {last.id}")


def _time_place(cursor: str) -> tuple[datetime, str]:
    """Time and id of the last dead letter of the page before."""
    instant, _, letter_id = decode_cursor(cursor).partition(" ")
    try:
        return parse_instant(instant), str(UUID(letter_id))
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(f"cursor {cursor!r} is none of ours") from error


def _number_place(cursor: str) -> int:
    """Number of the last audit entry of the page before."""
    number = decode_cursor(cursor)
    if not (number.isascii() and number.isdecimal() and len(number) < len(str(2**63))):
        raise InvalidRequest(f"cursor {cursor!r} is none of ours")
    return int(number)


def _log_cursor(place: Place) -> str:
    return encode_cursor(msgspec.json.encode(place).decode())


def _log_place(cursor: str) -> Place:
    """Place of the last dead letter of the answer before."""
    try:
        return msgspec.json.decode(decode_cursor(cursor), type=Place)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"cursor {cursor!r} is none of ours") from error


def _view(row: Any) -> DeadLetterView:
    return DeadLetterView(
        id=str(row.id),
        state=tables.state_of(row),
        event_id=row.event_id,
        event_type=row.event_type,
        lane=row.lane,
        topic=row.topic,
        partition=row.part,
        offset=row.offset,
        key=None if row.key is None else bytes(row.key).decode("utf-8", "replace"),
        headers=[(name, said) for name, said, *_ in row.headers],
        code=row.code,
        message=row.message,
        error_class=row.error_class,
        code_version=row.code_version,
        behind=None if row.behind is None else str(row.behind),
        bytes=None if row.value is None else b64encode(row.value).decode(),
        size_bytes=row.size_bytes,
        appended_at=row.appended_at,
        dead_at=row.dead_at,
        last_tried_at=row.last_tried_at,
        redriven_at=row.redriven_at,
        redriven_by=row.redriven_by,
        discarded_at=row.discarded_at,
        discarded_by=row.discarded_by,
    )


def _verdict_view(verdict: Verdict) -> VerdictView:
    return VerdictView(
        id=verdict.id, outcome=verdict.outcome, code=verdict.code, message=verdict.message
    )


def _redriven_view(verdict: Verdict) -> RedrivenView:
    return RedrivenView(
        id=verdict.id,
        outcome=verdict.outcome,
        code=verdict.code,
        message=verdict.message,
        status=verdict.outcome,
    )


def _audit_view(row: Any) -> AuditView:
    return AuditView(
        at=row.at,
        by=row.by,
        action=row.action,
        dead_letter=str(row.dead_letter),
        outcome=row.outcome,
        message=row.message,
    )
