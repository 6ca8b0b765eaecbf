"""What time itself causes in ingest: old receipts and refused events are forgotten."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.ingest.settings import IngestSettings
from services.ingest.store import receipts
from shared.bus.jobs import Job
from shared.db import Tx

HOUR_SECONDS = 3600.0


def jobs(settings: IngestSettings) -> tuple[Job, ...]:
    """The jobs of ingest, within the spans that the settings say."""

    async def forget(now: datetime, tx: Tx) -> Sequence[Any]:
        await receipts.forget_receipts(tx, now, days=settings.receipt_days)
        await receipts.forget_spilled(tx, now, days=settings.receipt_days)
        await receipts.forget_rejected(tx, now, days=settings.rejected_days)
        return []

    return (Job(name="forget_receipts", every_seconds=HOUR_SECONDS, run=forget, forgets=True),)
