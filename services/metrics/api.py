"""HTTP door of metrics: every route stands under /v1."""

from fastapi import APIRouter

router = APIRouter(prefix="/v1", tags=["metrics"])
