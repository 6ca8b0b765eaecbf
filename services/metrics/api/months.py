"""Route of the months: balances, movements by class, customers and every ratio of each."""

from collections.abc import Mapping

import msgspec
from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from services.metrics.api.bodies import MonthBody, MonthsBody, conflict, view_fields
from services.metrics.api.csv_lists import csv_response, flat, once
from services.metrics.api.parameters import (
    Accounts,
    KnownAt,
    ListFormat,
    Months,
    Snapshot,
    known_at_of,
)
from services.metrics.model import POLICY_VERSION
from services.metrics.model.calendar import Month
from services.metrics.model.months import MonthReport
from services.metrics.store import reports
from services.metrics.store.reports import View
from services.metrics.store.tide import get_known_until
from shared.auth import Reading

router = APIRouter()


@router.get(
    "/revenue/months",
    summary="The months with their ratios",
    response_model=None,
    responses={200: {"model": MonthsBody}},
)
async def get_months(
    caller: Reading,
    tx: Snapshot,
    span: Months,
    group: Accounts,
    known_at: KnownAt = None,
    format: ListFormat = ListFormat.JSON,  # noqa: A002 - the name is the parameter's
) -> Response:
    """The report of each month from `from` to `to`, both included; CSV has a line a month."""
    known_until = await get_known_until(tx)
    view = await reports.get_view(tx, caller.workspace, known_at=known_at_of(known_at))
    found = await reports.get_months(tx, view, span.first, span.last, group)
    if format is ListFormat.CSV:
        return _csv(view, found.reports)
    kept = await reports.get_kept(tx, caller.workspace, known_at=view.known_at)
    body = MonthsBody(
        **view_fields(view, known_until),
        months={str(month): MonthBody.of(report) for month, report in found.reports.items()},
        duplicates_ignored=kept.repeats,
        conflicts=[conflict(record, msgspec.json.decode(record.raw)) for record in kept.conflicts],
        missing_rates=sorted(found.missing_rates),
    )
    # Written by pydantic itself: FastAPI would take it apart and together again, 1 ms for 2 years.
    return Response(body.model_dump_json(), media_type="application/json")


def _csv(view: View, months: Mapping[Month, MonthReport]) -> StreamingResponse:
    """A line a month, each with what its figures are in and made by."""
    lines = [
        {"month": str(month), "currency": view.currency}
        | flat(MonthBody.of(report))
        | {"policy_version": POLICY_VERSION}
        for month, report in months.items()
    ]
    return csv_response(tuple(lines[0]), once([tuple(line.values()) for line in lines]))
