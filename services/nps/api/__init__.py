"""HTTP door of nps: under /v1 what a key may ask; under /s what a person with a link may."""

from fastapi import APIRouter

from services.nps.api import invitations, preview, responses, statistics, survey, waves

keyed = APIRouter(prefix="/v1", tags=["nps"])
for part in (preview, statistics, waves, invitations, responses):
    keyed.include_router(part.router)
router = APIRouter()
router.include_router(keyed)
router.include_router(survey.router)
