"""HTTP door of cadence: every route stands under /v1."""

from fastapi import APIRouter

router = APIRouter(prefix="/v1", tags=["cadence"])
