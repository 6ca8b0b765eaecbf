"""HTTP door of metrics: every route stands under /v1, and shows one workspace only, the key's."""

from fastapi import APIRouter

from services.metrics.api import (
    accounts,
    agreements,
    bridge,
    closed,
    cohorts,
    kpis,
    lifetimes,
    losses,
    months,
    movements,
    offers,
    points,
    reconciliations,
    refused,
    restatements,
    settings,
)

router = APIRouter(prefix="/v1", tags=["metrics"])
for part in (
    months,
    movements,
    points,
    cohorts,
    bridge,
    restatements,
    refused,
    closed,
    accounts,
    lifetimes,
    agreements,
    offers,
    losses,
    reconciliations,
    kpis,
    settings,
):
    router.include_router(part.router)
