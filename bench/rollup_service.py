"""`python -m bench.rollup_service run`: the real runtime with the smallest fold that is of use.

One table by account and day, as the bare form has it; all else is what every service gets: offsets
in the same transaction, exact dedup, dead letters, progress told by the outbox.
"""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

from sqlalchemy import text

from services.metrics.settings import MetricsSettings
from shared.bus.handlers import Batch, BatchFold, Lane
from shared.db import Database, Tx
from shared.events.base import Caused
from shared.events.ingest import USAGE, UsageTracked
from shared.service import Service, main

MIGRATIONS = Path(__file__).parent.parent / "services" / "metrics" / "migrations"


async def use_happened(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Add the batch to the rollup; causes nothing."""
    days: dict[tuple[date, str, str], tuple[int, datetime, datetime]] = {}
    for received in batch:
        envelope = received.envelope
        at = envelope.time
        key = at.date(), envelope.workspace, envelope.subject or ""
        known = days.get(key)
        days[key] = (
            (1, at, at) if known is None else (known[0] + 1, min(known[1], at), max(known[2], at))
        )
    ordered = sorted(days.items())
    await tx.execute(
        text(
            "INSERT INTO rollup AS r (day, workspace, account, events, first_at, last_at)"
            " SELECT * FROM unnest(CAST(:days AS date[]), CAST(:workspaces AS text[]),"
            " CAST(:accounts AS text[]), CAST(:events AS bigint[]), CAST(:first AS timestamptz[]),"
            " CAST(:last AS timestamptz[])) ON CONFLICT (day, workspace, account) DO UPDATE SET"
            " events = r.events + excluded.events,"
            " first_at = least(r.first_at, excluded.first_at),"
            " last_at = greatest(r.last_at, excluded.last_at)"
        ),
        {
            "days": [key[0] for key, _ in ordered],
            "workspaces": [key[1] for key, _ in ordered],
            "accounts": [key[2] for key, _ in ordered],
            "events": [added[0] for _, added in ordered],
            "first": [added[1] for _, added in ordered],
            "last": [added[2] for _, added in ordered],
        },
    )
    return ()


def build() -> Service:
    """The service, on a database of metrics, whose migrations make the runtime's tables."""
    settings = MetricsSettings()
    return Service(
        name="metrics",
        description="A rollup of use, to measure the runtime by.",
        settings=settings,
        routers=(),
        database=Database(
            settings.database_url.get_secret_value(), schema="metrics", settings=settings.database
        ),
        migrations=MIGRATIONS,
        lanes=(
            Lane(
                name="live",
                topics=(USAGE,),
                folds=(BatchFold(on=(UsageTracked,), handle=use_happened),),
            ),
        ),
    )


if __name__ == "__main__":
    main(build)
