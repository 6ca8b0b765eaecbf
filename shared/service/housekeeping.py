"""What every service that keeps a database does once an hour."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from shared.bus import tables
from shared.bus.jobs import Job
from shared.db import Tx, rows
from shared.service.rebuild.swap import RETIRED_HOURS, drop_retired

HOUR_SECONDS = 3600.0


async def keep_house(now: datetime, tx: Tx) -> Sequence[Any]:
    """Job: make the coming days of inbox and outbox, and drop those that nobody needs any more."""
    await tables.ensure_inbox_days(tx, {now.date(), now.date() + timedelta(days=1)})
    await tables.ensure_outbox_days(tx)
    await tables.forget_old_ids(tx, now)
    await tables.forget_sent_days(tx, now.date())
    return []


async def drop_old_retired(now: datetime, tx: Tx) -> Sequence[Any]:
    """Job: drop what a rebuild has put out of the way more than a day ago."""
    (here,) = await rows(tx, "SELECT current_schema() AS schema")
    await drop_retired(tx, here.schema, before=now - timedelta(hours=RETIRED_HOURS))
    return []


HOUSEKEEPING = (
    Job(name="keep_house", every_seconds=HOUR_SECONDS, run=keep_house, forgets=True),
    Job(name="drop_retired", every_seconds=HOUR_SECONDS, run=drop_old_retired),
)
