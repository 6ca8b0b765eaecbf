"""HTTP door of nps: every route stands under /v1."""

from fastapi import APIRouter

from services.nps.api import preview, statistics

router = APIRouter(prefix="/v1", tags=["nps"])
for part in (preview, statistics):
    router.include_router(part.router)
