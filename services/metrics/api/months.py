"""Route of the months: balances, movements by class, customers and every ratio of each."""

import msgspec
from fastapi import APIRouter

from services.metrics.api.bodies import MonthBody, MonthsBody, conflict, view_fields
from services.metrics.api.parameters import Accounts, KnownAt, Months, Snapshot, known_at_of
from services.metrics.store import reports
from services.metrics.store.tide import get_known_until
from shared.auth import Reading

router = APIRouter()


@router.get("/revenue/months", summary="The months with their ratios")
async def get_months(
    caller: Reading, tx: Snapshot, span: Months, group: Accounts, known_at: KnownAt = None
) -> MonthsBody:
    """The report of each month from `from` to `to`, both included."""
    known_until = await get_known_until(tx)
    view = await reports.get_view(tx, caller.workspace, known_at=known_at_of(known_at))
    found = await reports.get_months(tx, view, span.first, span.last, group)
    kept = await reports.get_kept(tx, caller.workspace, known_at=view.known_at)
    return MonthsBody(
        **view_fields(view, known_until),
        months={str(month): MonthBody.of(report) for month, report in found.reports.items()},
        duplicates_ignored=kept.repeats,
        conflicts=[conflict(record, msgspec.json.decode(record.raw)) for record in kept.conflicts],
        missing_rates=sorted(found.missing_rates),
    )
