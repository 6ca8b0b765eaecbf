"""HTTP door of nps: every route stands under /v1."""

from fastapi import APIRouter

router = APIRouter(prefix="/v1", tags=["nps"])
