"""Forgetting ids that no repeat can reach any more, without letting a redrive apply one twice."""

from datetime import date, datetime, timedelta
from typing import Any

from shared.bus.seen import inbox_id
from shared.bus.tables.dead_letter_decisions import append_audit, save_redriven
from shared.bus.tables.dead_letters import OPEN
from shared.bus.tables.inbox import DEDUP_WINDOW_DAYS, list_applied_before
from shared.db import Tx, drop_day_partitions, rows

RUNTIME = "runtime"  # who decides where no person does
FORGOTTEN = "a copy of its event was applied, and the id of it is about to be forgotten"


async def forget_old_ids(tx: Tx, now: datetime) -> list[str]:
    """Drop the inbox days that lie outside the window; the names of the dropped partitions.

    Open letters whose event was applied on one of them are closed first: a redrive could not know
    any more that a copy of the event had been applied, and would apply it twice.
    """
    # The window is counted in append time, and a service that was off catches up on old records:
    # from the newest day it has recorded, and two days more than the window.
    found = await rows(tx, "SELECT max(day) AS newest FROM inbox")
    newest = min(now.date(), found[0].newest or now.date())
    bound = newest - timedelta(days=DEDUP_WINDOW_DAYS + 2)
    await _close_applied_letters(tx, before=bound)
    return await drop_day_partitions(tx, "inbox", before=bound)


async def _close_applied_letters(tx: Tx, *, before: date) -> None:
    """Close the open letters whose event was applied before day `before`."""
    found = await rows(
        tx,
        "SELECT id, workspace, event_id, part FROM dead_letter"
        f" WHERE event_id IS NOT NULL AND workspace IS NOT NULL AND {OPEN}"
        " AND EXISTS (SELECT FROM inbox WHERE day < :before) ORDER BY id FOR UPDATE SKIP LOCKED",
        {"before": before},
    )
    by_part: dict[int, dict[bytes, list[Any]]] = {}
    for letter in found:
        ids = by_part.setdefault(letter.part, {})
        ids.setdefault(inbox_id(letter.workspace, letter.event_id), []).append(letter)
    applied = [
        letter
        for part, letters in sorted(by_part.items())
        for id_ in await list_applied_before(tx, part, list(letters), before=before)
        for letter in letters[id_]
    ]
    for letter in applied:
        await save_redriven(tx, str(letter.id), by=RUNTIME)
        await append_audit(
            tx, letter, by=RUNTIME, action="redrive", outcome="duplicate", message=FORGOTTEN
        )
