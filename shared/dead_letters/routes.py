"""The routes: looking at dead letters, applying them after all, discarding them, the audit."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request

from shared.auth import Caller, Managing, Reading
from shared.bus import tables
from shared.bus.handlers import Lane
from shared.bus.redrive import Redriver, uuid_of
from shared.bus.tables import LetterState
from shared.bus.verdicts import DeadLetterUnknown, Outcome, StillBroken
from shared.db import Database
from shared.dead_letters.bodies import (
    AuditView,
    DeadLetterView,
    DiscardBody,
    DiscardedView,
    RedriveBody,
    RedrivenView,
    RunView,
    audit_view,
    letter_view,
    redriven_view,
    verdict_view,
)
from shared.dead_letters.parameters import (
    BROKEN,
    DECIDED,
    UNKNOWN,
    DryRun,
    Filtered,
    LetterPath,
    known_form,
    log_cursor,
    log_place,
    meant,
    number_place,
    time_cursor,
    time_place,
)
from shared.http import Cursor, Limit, Page, Transaction, encode_cursor

LISTED_BYTES = 32 * 1024  # of a record in a list: a page holds up to 500
PREFIX = "/v1/dead-letters"


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
        """Of the caller's workspace. A dry run leaves no entry, nor does what was refused."""
        letter_id = None if dead_letter is None else known_form(dead_letter)
        found = await tables.list_audit(
            tx,
            caller.workspace,
            letter_id=letter_id,
            after=number_place(cursor) if cursor else None,
            limit=limit + 1,
        )
        more = len(found) > limit
        return Page(
            items=[audit_view(row) for row in found[:limit]],
            next_cursor=encode_cursor(str(found[limit - 1].id)) if more else None,
        )

    @router.post("/redrive", summary="Apply the dead letters of a reason, a lane, a time")
    async def redrive_open(request: Request, caller: Managing, body: RedriveBody) -> RunView:
        """In the order of the log, each in a transaction of its own, for some seconds at most."""
        filters = meant(body)
        after = log_place(body.cursor) if body.cursor else None
        redriving = redriver(request, caller)
        act = redriving.rehearse_open if body.dry_run else redriving.redrive_open
        run = await act(filters, after=after, limit=body.limit)
        return RunView(
            items=[verdict_view(verdict) for verdict in run.verdicts],
            more=run.after is not None,
            next_cursor=log_cursor(run.after) if run.after else None,
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
            return redriven_view(await redriving.rehearse(letter_id))
        verdict = await redriving.redrive(letter_id)
        if verdict.outcome is Outcome.STILL_BROKEN:
            raise StillBroken(f"dead letter {verdict.id}: {verdict.code}: {verdict.message}")
        return redriven_view(verdict)

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
        after=time_place(cursor) if cursor else None,
        limit=limit + 1,
        shown_bytes=LISTED_BYTES,
    )
    items = [letter_view(row) for row in found[:limit]]
    return Page(items=items, next_cursor=time_cursor(items[-1]) if len(found) > limit else None)


@showing.get("/{letter_id}", summary="One dead letter with its whole record", responses=UNKNOWN)
async def get_dead_letter(
    caller: Reading, tx: Transaction, letter_id: LetterPath
) -> DeadLetterView:
    """Another workspace's looks as if there were none."""
    known = uuid_of(letter_id)
    row = None if known is None else await tables.get_dead_letter(tx, known, caller.workspace)
    if row is None:
        raise DeadLetterUnknown(f"no dead letter {letter_id!r}")
    return letter_view(row)
