"""HTTP door of cadence: every route stands under /v1."""

from fastapi import APIRouter

from services.cadence.api import simulate

router = APIRouter(prefix="/v1", tags=["cadence"])
for part in (simulate,):
    router.include_router(part.router)
