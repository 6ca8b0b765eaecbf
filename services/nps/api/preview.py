"""Route of the preview: whom a wave would ask. It reads and changes nothing."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.nps.model.eligibility import (
    FIRST_AFTER_DAYS,
    QUARANTINE_DAYS,
    CandidateByDate,
    Decision,
    Rules,
    decide_on,
)
from shared.auth import Scope, require

router = APIRouter()

MOST_PEOPLE = 100_000  # of one request
LONGEST_DAYS = 36_600
Days = Annotated[int, Field(ge=0, le=LONGEST_DAYS)]


class WaveBody(BaseModel):
    """What a wave asks of people."""

    opens_on: date = Field(description="The day that is decided for.")
    first_after_days: Days = Field(
        default=FIRST_AFTER_DAYS, description="Civil days from the sign-up to the first question."
    )
    quarantine_days: Days = Field(
        default=QUARANTINE_DAYS, description="Civil days from one invitation to the next."
    )


class PersonBody(BaseModel):
    """What is known of a person. A field that is absent or null is unknown, or never was."""

    user: str = Field(description="The person's id.")
    signup_on: date | None = Field(
        default=None, description="Day of the sign-up; whoever has none is too young."
    )
    last_invited_on: date | None = Field(
        default=None, description="Day of the last invitation, answered or not."
    )
    churned_on: date | None = Field(default=None, description="The first day of being gone.")
    consent: bool | None = Field(
        default=None, description="False: opted out; null: nothing was ever said."
    )

    def candidate(self) -> CandidateByDate:
        """As the rules have it."""
        return CandidateByDate(
            signed_up_on=self.signup_on,
            opted_out=self.consent is False,
            gone_on=self.churned_on,
            last_invited_on=self.last_invited_on,
        )


class PreviewQuestion(BaseModel):
    """A wave, and the people to decide about."""

    wave: WaveBody
    people: list[PersonBody] = Field(max_length=MOST_PEOPLE, description="In any order.")


class Decided(BaseModel):
    """A person, and what is decided."""

    user: str = Field(description="The person's id.")
    decision: Decision = Field(
        description="ask, or the first reason not to: opted_out, churned, too_young, quarantine."
    )


class Preview(BaseModel):
    """The decisions, in the order of the people given."""

    people: list[Decided]


@router.post(
    "/waves/preview",
    summary="Whom a wave would ask, and why not the others",
    dependencies=[require(Scope.READ)],
)
async def preview_wave(asked: PreviewQuestion) -> Preview:
    """The decision about each person, on the given facts alone."""
    rules = Rules(
        first_after_days=asked.wave.first_after_days, quarantine_days=asked.wave.quarantine_days
    )
    return Preview(
        people=[
            Decided(
                user=each.user, decision=decide_on(each.candidate(), rules, asked.wave.opens_on)
            )
            for each in asked.people
        ]
    )
