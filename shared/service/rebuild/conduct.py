"""The course of a rebuild: make a shadow, fold the log into it, compare, and swap.

The live service runs meanwhile. Whatever ends a rebuild before its one last commit leaves the live
tables untouched; the next begins with a new shadow, or goes on with the old one if told so.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import Database, is_transient, rows
from shared.errors import MainstayError, TransientError
from shared.service.rebuild import carrying, report, swap
from shared.service.rebuild.catalog import Table, named
from shared.service.rebuild.comparison import (
    Compared,
    compare,
    compare_touched,
    digests,
    present,
    whole,
)
from shared.service.rebuild.offsets import Offsets, get_offsets
from shared.service.rebuild.replay import Replay, forgetting
from shared.service.rebuild.rules import LEASES, LETTERS, OFFSETS, OPEN_LETTERS, Rules, rules_of
from shared.service.rebuild.session import alone, database_of, stay_alone
from shared.service.rebuild.shadow import analyze, prepared, shadow_of
from shared.service.value import Service

TOLD_SECONDS = 2.0  # between two lines of progress
LOCK_TIMEOUT = "2s"  # a swap that cannot get its locks lets the live service go on, and tries again
UNDER_LOCK_SECONDS = 5.0  # how long the last records may take while the consumers wait
SWAP_TRIES = 20


class TablesDiffer(MainstayError):
    """The rebuilt tables are not equal to the live ones; nothing was swapped."""

    code = "tables_differ"


class RebuildStalled(TransientError):
    """The fold makes no progress: Kafka or the database do not answer."""

    code = "rebuild_stalled"


class LiveTooBusy(TransientError):
    """The swap did not get its locks, or did not reach the live offsets while it held them."""

    code = "live_too_busy"


class ConnectionLost(TransientError):
    """The connection broke in a swap, which may stand: a rebuild of rebuilt tables is harmless."""

    code = "connection_lost"


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the operator has said."""

    dry_run: bool = False
    accept_differences: bool = False
    resume: bool = False
    from_what_is_left: bool = False


async def rebuild(service: Service, choices: Choices, say: Callable[[str], None]) -> None:
    """Rebuild the tables of `service` and swap them in. Raises MainstayError when that cannot be.

    TablesDiffer where they are not equal and nobody said to accept that.
    """
    async with alone(service) as connection:
        course = await _Course.begun(service, choices, connection, say)
        try:
            await course.run()
        finally:
            await course.shadow.close()


@dataclass
class _Course:
    """One rebuild on its way."""

    service: Service
    choices: Choices
    connection: AsyncConnection
    say: Callable[[str], None]
    shadow: Database
    tables: dict[str, Table]
    rules: Rules
    live: str
    owner: str

    @classmethod
    async def begun(
        cls,
        service: Service,
        choices: Choices,
        connection: AsyncConnection,
        say: Callable[[str], None],
    ) -> "_Course":
        """With a shadow that stands ready to be folded into."""
        live, shadow = database_of(service).schema, shadow_of(service)
        tables = await prepared(service, connection, shadow.schema, resume=choices.resume)
        rules = rules_of(service, tables)
        async with connection.begin():
            await carrying.replace_owned(connection, rules.owned, source=live, target=shadow.schema)
            await carrying.foresee_decisions(
                connection, tables[LETTERS], source=live, target=shadow.schema
            )
        return cls(
            service=service,
            choices=choices,
            connection=connection,
            say=say,
            shadow=shadow,
            tables=tables,
            rules=rules,
            live=live,
            owner=f"{service.name}-rebuild@{socket.gethostname()}:{os.getpid()}",
        )

    async def run(self) -> None:
        """Fold, compare and swap."""
        async with Replay(
            self.service, self.shadow, await self._live_offsets(), self.owner
        ) as replay:
            await replay.check_end()
            if not self.choices.from_what_is_left:
                await replay.check_begin()
            await self._catch_up(replay)
            since = await self._compare_beside(replay)
            if self.choices.dry_run:
                self.say(f"nothing was swapped; the rebuilt tables stand in {self.shadow.schema}")
                return
            retired = await self._swapped(replay, since)
        self.say(report.swapped(self.service.name, retired, kept_hours=swap.RETIRED_HOURS))

    async def _live_offsets(self) -> Offsets:
        async with self.connection.begin():
            return await get_offsets(self.connection, self.live)

    # --- catching up ---

    async def _catch_up(self, replay: Replay) -> None:
        """Fold until less than a batch is left to the live offsets."""
        ends = await self._live_offsets()
        await self._watched(replay, replay.fold(ends), ends)
        while replay.left(ends := await self._live_offsets()) > self._one_batch():
            await self._watched(replay, replay.fold_to(ends), ends)
        await analyze(self.shadow, self.tables)
        self.say(f"folded up to the live offsets, but for {replay.left(ends):,} records")

    def _one_batch(self) -> int:
        return self.service.settings.kafka.batch_records

    async def _watched(
        self, replay: Replay, folding: Coroutine[Any, Any, None], ends: Offsets
    ) -> None:
        """Fold, telling of progress. Raises RebuildStalled where there is none for long."""
        task = asyncio.create_task(folding)
        begun, first = monotonic(), replay.left(ends)
        mark, marked = (first, 0.0), begun
        try:
            while not (await asyncio.wait({task}, timeout=TOLD_SECONDS))[0]:
                left, now = replay.left(ends), monotonic()
                self.say(f"folding: {(first - left) / (now - begun):,.0f} records/s, {left:,} left")
                if (left, replay.progressed_at()) != mark:
                    mark, marked = (left, replay.progressed_at()), now
                if now - marked > self.service.settings.kafka.watchdog_seconds:
                    raise RebuildStalled(f"{left:,} records left and no progress")
            await task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, MainstayError):
                await task

    # --- comparing ---

    async def _compare_beside(self, replay: Replay) -> "_Since":
        """Compare with the live tables as they stood a moment ago; nobody waits for that.

        Answers from when on. Raises TablesDiffer unless differences are accepted.
        """
        tx, live, shadow = self.connection, self.live, self.shadow.schema
        compared = [*map(whole, self.rules.folded), self.rules.ids, OPEN_LETTERS]
        async with tx.begin():
            await tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            await tx.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            ends = await get_offsets(tx, live)
            ours = await digests(tx, live, compared)
            await self._watched(replay, replay.fold_to(ends), ends)
            await self._forget_as_live(replay)
            async with self.shadow.transaction() as beside:
                await beside.execute(text("SET LOCAL statement_timeout = 0"))
                await carrying.note_decisions(beside, source=live, target=shadow)
                found = await compare(compared, ours, live=(tx, live), shadow=(beside, shadow))
                since = _Since(live=await present(tx), shadow=await present(beside))
        self._tell(report.comparison_lines(found))
        self._check(found)
        await self._audit()
        return since

    async def _audit(self) -> None:
        """Let the service look at the rebuilt tables. Raises MainstayError where it objects."""
        if self.service.audit is not None:
            async with self.shadow.transaction() as tx:
                await tx.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
                await self.service.audit(tx)
            self.say("the service finds nothing wrong with the rebuilt tables")

    async def _forget_as_live(self, replay: Replay) -> None:
        """Forget in the shadow what the live service has forgotten by its last run of each job."""
        for job in forgetting(self.service):
            found = await rows(
                self.connection,
                "SELECT due_at - make_interval(secs => :every) AS ran_at"
                f" FROM {named(self.live, LEASES)} WHERE name = :lease",
                {"every": job.every_seconds, "lease": f"job:{job.name}"},
            )
            for row in found:
                await replay.forget(row.ran_at, job.name)

    def _tell(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.say(line)

    def _check(self, comparison: Sequence[Compared]) -> None:
        """Show rows that differ. Raises TablesDiffer where some do and nobody accepts that."""
        self._tell(report.difference_lines(comparison))
        names = [found.relation.name for found in comparison if found.differs]
        if names and not self.choices.accept_differences:
            raise TablesDiffer(
                f"{', '.join(names)}; nothing was swapped, the rebuilt tables stand in"
                f" {self.shadow.schema}"
            )

    # --- swapping ---

    async def _swapped(self, replay: Replay, since: "_Since") -> str:
        """The retired schema's name, after as many tries as a busy live service needs."""
        for _ in range(SWAP_TRIES):
            try:
                return await self._swap_once(replay, since)
            except LiveTooBusy as error:
                self.say(f"{error.message}; trying again")
            except DBAPIError as error:
                if self.connection.invalidated:
                    raise ConnectionLost(f"while swapping: {error.orig}") from error
                if not is_transient(error):
                    raise
                self.say(f"the live service is busy ({error.orig}); trying again")
            ends = await self._live_offsets()
            await self._watched(replay, replay.fold_to(ends), ends)
        raise LiveTooBusy(f"no swap in {SWAP_TRIES} tries; nothing was swapped")

    async def _swap_once(self, replay: Replay, since: "_Since") -> str:
        tx, live, shadow = self.connection, self.live, self.shadow.schema
        async with tx.begin():
            await stay_alone(tx, self.service)
            await tx.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
            await swap.stop_consumers(tx, live)
            await self._fold_last(replay)
            await swap.stop_writers(tx, live, self.tables, self.rules.owned)
            begun = monotonic()
            await self._forget_as_live(replay)
            await carrying.replace_owned(tx, self.rules.owned, source=live, target=shadow)
            for table in self.rules.outliving:
                await carrying.add_missing(tx, table, source=live, target=shadow)
            await carrying.note_decisions(tx, source=live, target=shadow)
            self._check(await self._compared_under_lock(since))
            await carrying.replace_all(tx, self.tables[OFFSETS], source=live, target=shadow)
            await carrying.carry_over(
                tx, self.tables, service=self.service.name, source=live, target=shadow
            )
            retired = await swap.swap(tx, live, shadow)
        self.say(f"swapped; writers waited {monotonic() - begun:.1f} s")
        return retired

    async def _fold_last(self, replay: Replay) -> None:
        """Fold up to where the stopped consumers stand. Raises LiveTooBusy if that takes long."""
        ends = await get_offsets(self.connection, self.live)
        enough = asyncio.get_running_loop().call_later(UNDER_LOCK_SECONDS, replay.stopping.set)
        try:
            await replay.fold_to(ends)
            # What was fetched last may not have been applied, and is not left by what was fetched.
            is_cut_short = replay.stopping.is_set()
        finally:
            enough.cancel()
            replay.stopping.clear()
        if (left := replay.left(ends)) or is_cut_short:
            raise LiveTooBusy(f"{left:,} records were left after {UNDER_LOCK_SECONDS} s")

    async def _compared_under_lock(self, since: "_Since") -> list[Compared]:
        """What was touched since the comparison beside, and what could not be compared then."""
        tx, live, shadow = self.connection, self.live, self.shadow.schema
        without_key = [table for table in self.rules.folded if not table.key]
        whole_ones = [*map(whole, (*self.rules.outliving, *without_key)), OPEN_LETTERS]
        ours = await digests(tx, live, whole_ones)
        return [
            *await compare(whole_ones, ours, live=(tx, live), shadow=(tx, shadow)),
            *[
                await compare_touched(
                    tx,
                    table,
                    live=live,
                    live_since=since.live,
                    shadow=shadow,
                    shadow_since=since.shadow,
                )
                for table in self.rules.folded
                if table.key
            ],
        ]


@dataclass(frozen=True, kw_only=True)
class _Since:
    """When the two sides were compared as a whole, as `present` tells."""

    live: str
    shadow: str
