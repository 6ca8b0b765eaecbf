"""HTTP door of health: every route stands under /v1, and shows one workspace only, the key's."""

from fastapi import APIRouter

from services.health.api import accounts, overview, scores

router = APIRouter(prefix="/v1", tags=["health"])
# An account's id may hold slashes, so the routes behind one come before the account itself.
router.include_router(scores.router)
router.include_router(accounts.router)
router.include_router(overview.router)
