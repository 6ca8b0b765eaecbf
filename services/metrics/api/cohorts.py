"""Route of the cohorts: accounts by the month of their first paid MRR, and what became of them."""

from collections.abc import Mapping, Sequence

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from services.metrics.api.bodies import AMOUNT, RATIO, ViewBody, amount, view_fields
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
from services.metrics.model.cohorts import Cohort
from services.metrics.model.money import ratio, shown
from services.metrics.store import reports
from services.metrics.store.cohorts import get_cohorts
from services.metrics.store.tide import get_known_until
from shared.auth import Reading

router = APIRouter()

COLUMNS = (
    "cohort",
    "size",
    "base_mrr",
    "month",
    "customers",
    "mrr",
    "logo_retention",
    "ndr",
    "cac",
    "nps",
    "ltv",
    "policy_version",
)


class CohortMonthBody(BaseModel):
    """A cohort at the end of a month."""

    customers: int = Field(description="Members with MRR then.")
    mrr: str = Field(description=f"Their MRR. {AMOUNT}")
    logo_retention: float | None = Field(description=f"customers / size. {RATIO}")
    ndr: float | None = Field(description=f"mrr / base_mrr at that month's rates. {RATIO}")


class CohortBody(BaseModel):
    """Who first paid in one month."""

    size: int = Field(description="Members, those who left in the first month too.")
    base_mrr: str = Field(description="The sum of their first paid MRR.")
    rows: dict[str, CohortMonthBody] = Field(description="By month, from the first to `to`.")
    cac: str | None = Field(description="Acquisition costs / size; null where none is known.")
    nps: float | None = Field(description="-100 to 100, latest answer of each respondent.")
    ltv: str | None = Field(description="MRR per live account x margin / (lost / at risk).")

    @classmethod
    def of(cls, cohort: Cohort) -> "CohortBody":
        """The cohort, shown."""
        return cls(
            size=cohort.size,
            base_mrr=shown(cohort.base_mrr),
            rows={
                str(month): CohortMonthBody(
                    customers=row.customers,
                    mrr=shown(row.mrr),
                    logo_retention=ratio(row.logo_retention),
                    ndr=ratio(row.ndr),
                )
                for month, row in cohort.rows.items()
            },
            cac=amount(cohort.cac),
            nps=ratio(cohort.nps),
            ltv=amount(cohort.ltv),
        )


class CohortsBody(ViewBody):
    """The cohorts that began in a span."""

    cohorts: dict[str, CohortBody] = Field(description="By the month they began in.")


@router.get(
    "/revenue/cohorts",
    summary="Cohorts by first paid month",
    response_model=None,
    responses={200: {"model": CohortsBody}},
)
async def list_cohorts(
    caller: Reading,
    tx: Snapshot,
    span: Months,
    group: Accounts,
    known_at: KnownAt = None,
    format: ListFormat = ListFormat.JSON,  # noqa: A002 - the name is the parameter's
) -> CohortsBody | StreamingResponse:
    """The cohorts that began from `from` to `to`, with rows up to `to`.

    CSV has a line for each month of each cohort.
    """
    known_until = await get_known_until(tx)
    view = await reports.get_view(tx, caller.workspace, known_at=known_at_of(known_at))
    found = await get_cohorts(tx, view, span.first, span.last, group)
    cohorts = {str(month): CohortBody.of(cohort) for month, cohort in found.items()}
    if format is ListFormat.CSV:
        return csv_response(COLUMNS, once(_lines(cohorts)))
    return CohortsBody(**view_fields(view, known_until), cohorts=cohorts)


def _lines(cohorts: Mapping[str, CohortBody]) -> list[Sequence[object]]:
    return [
        (
            name,
            cohort.size,
            cohort.base_mrr,
            month,
            *flat(row).values(),
            cohort.cac,
            cohort.nps,
            cohort.ltv,
            POLICY_VERSION,
        )
        for name, cohort in cohorts.items()
        for month, row in cohort.rows.items()
    ]
