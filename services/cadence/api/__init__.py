"""HTTP door of cadence: `/v1` for keys, and the public addresses that messages carry."""

from fastapi import APIRouter

from services.cadence.api import (
    bounces,
    deliveries,
    inbox,
    people,
    programs,
    public,
    settings,
    simulate,
    templates,
)

router = APIRouter(prefix="/v1", tags=["cadence"])
for part in (bounces, deliveries, inbox, people, programs, settings, simulate, templates):
    router.include_router(part.router)

public_router = public.router
