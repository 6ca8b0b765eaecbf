"""Applies dead letters after all, once their cause is mended, or decides that they never shall be.

Every letter in a transaction of its own, in the order of the log, with its id claimed as on the
first way: so a letter that still fails changes nothing else, and none is ever applied twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, TypeVar
from uuid import UUID

import structlog

from shared import telemetry
from shared.bus import tables
from shared.bus.handlers import Lane, apply_folds
from shared.bus.record import Decoded, Malformed, decoder, outgoing
from shared.bus.retry import Family, backoff_seconds, family, reason, sentence
from shared.bus.seen import SeenIds
from shared.bus.tables import Filters, Place
from shared.bus.verdicts import (
    AlreadyDiscarded,
    AlreadyRedriven,
    DeadLetterUnknown,
    EarlierLetterOpen,
    LaneGone,
    Outcome,
    Run,
    Verdict,
)
from shared.db import Database, Tx
from shared.errors import DomainError, TransientError
from shared.events.base import Received

log = structlog.get_logger()

TRIES = 3  # of one letter, while the database is at fault: a lock held by a consumer, a deadlock
BUDGET_SECONDS = 5.0  # then a run answers what it has done: whoever asked still waits
REHEARSAL_SECONDS = 1.0  # less: all the while it holds locks, for which a consumer waits 2 s

T = TypeVar("T")


@dataclass(frozen=True)
class _Stored:
    """A dead letter's record, as the decoder wants it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Redriver:
    """Redrives and discards dead letters of one service, for one workspace or as an operator."""

    def __init__(
        self,
        *,
        service: str,
        lanes: Sequence[Lane],
        database: Database,
        workspace: str | None,
        by: str,
    ) -> None:
        """`workspace` None is an operator, who may decide about any letter."""
        self._service = service
        self._lanes = {lane.name: (lane, decoder(lane.types)) for lane in lanes}
        self._database = database
        self._workspace = workspace
        self._by = by

    async def redrive(self, letter_id: str) -> Verdict:
        """Apply a letter; the verdict is never REFUSED.

        Raises DeadLetterUnknown, AlreadyRedriven, AlreadyDiscarded, EarlierLetterOpen or LaneGone
        where it is not even tried.
        """
        judged: list[Verdict] = []

        async def judge(tx: Tx) -> Verdict:
            letter = await self._load(tx, letter_id)
            if judged and letter.redriven_by == self._by:
                return judged[-1]  # that commit stood, only its reply was lost
            judged.append(await self._judge(tx, letter))
            return judged[-1]

        verdict = await self._whole(judge)
        telemetry.REDRIVES.labels(self._service, verdict.outcome).inc()
        return verdict

    async def rehearse(self, letter_id: str) -> Verdict:
        """What `redrive` would answer now. Nothing is written, nothing is published."""
        async with self._database.rehearsal() as tx:
            return await self._judge(tx, await self._load(tx, letter_id))

    async def discard(self, letter_id: str, *, why: str) -> None:
        """Decide that this record shall never be applied; its key is free again.

        A later copy of the same event is judged by itself. Raises DeadLetterUnknown,
        AlreadyRedriven or AlreadyDiscarded.
        """
        decided = False

        async def decide(tx: Tx) -> None:
            nonlocal decided
            letter = await self._load(tx, letter_id)
            if decided and letter.discarded_by == self._by:
                return
            _require_open(letter)
            await tables.save_discarded(tx, str(letter.id), by=self._by)
            await tables.append_audit(
                tx, letter, by=self._by, action="discard", outcome="discarded", message=why
            )
            decided = True

        await self._whole(decide)

    # --- several letters ---

    async def redrive_open(self, filters: Filters, *, after: Place | None, limit: int) -> Run:
        """Redrive the open letters that `filters` mean, in order, `limit` at most."""
        found = await self._open(filters, after=after, limit=limit)
        return await self._run(found, limit, BUDGET_SECONDS, self._attempt)

    async def rehearse_open(self, filters: Filters, *, after: Place | None, limit: int) -> Run:
        """What `redrive_open` would answer now: one transaction, rolled back.

        So each letter meets the state that those before it would leave. Nothing is written.
        """
        found = await self._open(filters, after=after, limit=limit)
        async with self._database.rehearsal() as tx:
            return await self._run(
                found, limit, REHEARSAL_SECONDS, lambda letter_id: self._attempt_in(tx, letter_id)
            )

    async def redrive_all(self, ids: Sequence[str]) -> list[Verdict]:
        """Redrive these letters, in the order of the log; also says which of them are unknown."""
        return [await self._attempt(letter_id) for letter_id in await self._in_order(ids)]

    async def rehearse_all(self, ids: Sequence[str]) -> list[Verdict]:
        """What `redrive_all` would answer now: one transaction, rolled back.

        When its budget is spent the rest is refused, for it holds locks that consumers wait for.
        """
        ordered = await self._in_order(ids)
        until = monotonic() + REHEARSAL_SECONDS
        verdicts: list[Verdict] = []
        async with self._database.rehearsal() as tx:
            for letter_id in ordered:
                if verdicts and monotonic() > until:
                    verdicts.append(_out_of_time(letter_id))
                else:
                    verdicts.append(await self._attempt_in(tx, letter_id))
        return verdicts

    async def _open(
        self, filters: Filters, *, after: Place | None, limit: int
    ) -> list[tuple[Place, str]]:
        """One more than `limit`, which tells whether there are more."""
        async with self._database.transaction() as tx:
            return await tables.list_open_places(
                tx, self._workspace, filters, after=after, limit=limit + 1
            )

    async def _in_order(self, ids: Sequence[str]) -> list[str]:
        known = [letter_id for given in ids if (letter_id := uuid_of(given)) is not None]
        async with self._database.transaction() as tx:
            placed = [letter_id for _, letter_id in await tables.list_places(tx, known)]
        unknown = [given for given in ids if uuid_of(given) not in placed]
        return [*placed, *unknown]

    async def _run(
        self,
        found: Sequence[tuple[Place, str]],
        limit: int,
        budget_seconds: float,
        attempt: Callable[[str], Awaitable[Verdict]],
    ) -> Run:
        """Attempt the first `limit` of `found`, fewer when the budget or the database is at end."""
        until = monotonic() + budget_seconds
        verdicts: list[Verdict] = []
        for _, letter_id in found[:limit]:
            if verdicts and monotonic() > until:
                break
            try:
                verdicts.append(await attempt(letter_id))
            except TransientError:
                if not verdicts:
                    raise
                break  # what is done stands, and whoever asked has to know of it
        done = len(verdicts)
        return Run(verdicts=verdicts, after=found[done - 1][0] if done < len(found) else None)

    async def _attempt(self, letter_id: str) -> Verdict:
        try:
            return await self.redrive(letter_id)
        except DomainError as error:
            return _refused(letter_id, error)

    async def _attempt_in(self, tx: Tx, letter_id: str) -> Verdict:
        try:
            return await self._judge(tx, await self._load(tx, letter_id))
        except DomainError as error:
            return _refused(letter_id, error)

    # --- one letter, in one transaction ---

    async def _whole(self, act: Callable[[Tx], Awaitable[T]]) -> T:
        """Do `act` in a transaction; again while the database is at fault, some times at most."""
        for tries in range(TRIES - 1):
            try:
                async with self._database.transaction() as tx:
                    return await act(tx)
            except TransientError:
                await asyncio.sleep(backoff_seconds(tries))
        async with self._database.transaction() as tx:
            return await act(tx)

    async def _judge(self, tx: Tx, letter: Any) -> Verdict:
        """Try the letter and write down what came of it."""
        _require_open(letter)
        if letter.lane not in self._lanes:
            raise LaneGone(f"dead letter {letter.id}: there is no lane {letter.lane!r} any more")
        lane, decode = self._lanes[letter.lane]
        if (lane.parks_keys or letter.behind) and await tables.is_behind_open(tx, letter):
            raise EarlierLetterOpen(f"dead letter {letter.id}: one before it of its key is open")
        verdict = await self._try(tx, lane, letter, decode(_stored(letter)))
        if verdict.outcome is Outcome.STILL_BROKEN:
            await tables.save_tried(tx, str(letter.id))
        else:
            await tables.save_redriven(tx, str(letter.id), by=self._by)
        await tables.append_audit(
            tx,
            letter,
            by=self._by,
            action="redrive",
            outcome=verdict.outcome,
            message=f"{verdict.code}: {verdict.message}" if verdict.code else None,
        )
        return verdict

    async def _load(self, tx: Tx, letter_id: str) -> Any:
        known = uuid_of(letter_id)
        letter = known and await tables.load_dead_letter(tx, known, self._workspace)
        if not letter:
            raise DeadLetterUnknown(f"no dead letter {letter_id!r}")
        return letter

    async def _try(self, tx: Tx, lane: Lane, letter: Any, decoded: Decoded) -> Verdict:
        """Fold the record with the code that runs now; what fails leaves no trace in `tx`."""
        match decoded:
            case Received():
                pass
            case Malformed(code=code, message=message):
                return _still_broken(letter, code, message)
            case _:
                return _still_broken(letter, "not_folded", "nothing in its lane folds this type")
        try:
            async with tx.begin_nested():
                fresh = await self._apply(tx, lane, decoded)
        except Exception as error:
            if family(error) is Family.TRANSIENT:
                raise
            if family(error) is Family.BUG:
                log.warning("redrive_failed", code=reason(error), dead_letter=str(letter.id))
            return _still_broken(letter, reason(error), sentence(error))
        return Verdict(id=str(letter.id), outcome=Outcome.APPLIED if fresh else Outcome.DUPLICATE)

    async def _apply(self, tx: Tx, lane: Lane, received: Received[Any]) -> bool:
        """As on the first way, but for the offset; False where its id was applied meanwhile."""
        await tables.ensure_inbox_days(tx, {received.appended_at.date()})
        await tables.ensure_outbox_days(tx)
        seen = SeenIds(most_bytes=0)  # of this claim only: what it sees may be rolled back
        fresh = await tables.claim_ids(tx, [received], keep=lane.keeps_ids, seen=seen)
        caused = await apply_folds(lane.folds, tx, fresh)
        source = f"/{self._service}"
        await tables.append_outbox(tx, [outgoing(event, source=source) for event in caused])
        return bool(fresh)


def _out_of_time(letter_id: str) -> Verdict:
    """A letter that a dry run has not come to."""
    message = f"not looked at: a dry run ends after {REHEARSAL_SECONDS:.0f} s; ask for it again"
    return Verdict(id=letter_id, outcome=Outcome.REFUSED, code="out_of_time", message=message)


def uuid_of(text: str) -> str | None:
    """The id that `text` writes, in its usual form; None where it is no UUID."""
    try:
        return str(UUID(text))
    except ValueError:
        return None


def _require_open(letter: Any) -> None:
    if letter.redriven_at is not None:
        raise AlreadyRedriven(f"dead letter {letter.id} was redriven at {letter.redriven_at}")
    if letter.discarded_at is not None:
        raise AlreadyDiscarded(f"dead letter {letter.id} was discarded at {letter.discarded_at}")


def _refused(letter_id: str, error: DomainError) -> Verdict:
    return Verdict(id=letter_id, outcome=Outcome.REFUSED, code=error.code, message=error.message)


def _still_broken(letter: Any, code: str, message: str) -> Verdict:
    return Verdict(
        id=str(letter.id), outcome=Outcome.STILL_BROKEN, code=code, message=message[:2000]
    )


def _stored(letter: Any) -> _Stored:
    """The record as it stood; where the broker's time is not kept, when it was given up."""
    appended_at: datetime = letter.appended_at or letter.dead_at
    return _Stored(
        topic=letter.topic,
        partition=letter.part,
        offset=letter.offset,
        timestamp=_milliseconds(appended_at),
        key=letter.key,
        value=letter.value,
        headers=tables.headers_of(letter.headers),
    )


def _milliseconds(instant: datetime) -> int:
    """Milliseconds since 1970, exactly: a float would lose one now and then."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
