"""Routes of waves: made, looked at, and who is in them with the decision about each."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Self

from fastapi import APIRouter, Query, Request, status
from pydantic import AwareDatetime, BaseModel, Field, model_validator

from services.nps.api.statistics import CompareBody, IntervalBody, SummaryBody
from services.nps.model import statistics as rules
from services.nps.model.classes import Counts, count_scores
from services.nps.model.comparison import compare
from services.nps.model.small_samples import Display, display
from services.nps.model.statistics import if_silent_were
from services.nps.store import opening, reports, waves
from services.nps.store.outgoing import append_caused
from services.nps.store.waves import Wave, WaveForm, WaveState
from shared.auth import Managing, Reading
from shared.db import Tx
from shared.errors import DomainError
from shared.http import (
    Cursor,
    Limit,
    NotFound,
    Page,
    Transaction,
    decode_cursor,
    encode_cursor,
)

router = APIRouter(prefix="/waves")

AT_ONCE = 20_000  # people of a wave that is opened in the request itself; larger ones by the clock
NAME = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$"


class WaveExists(DomainError):
    """A wave of that name is there already."""

    code = "wave_exists"


class WaveQuestion(BaseModel):
    """A wave to make."""

    wave: str = Field(pattern=NAME, description="Its id.", examples=["2026-q1"])
    kind: str = Field(
        default="nps", pattern="^(nps|csat|ces|micro)$", description="nps, csat, ces or micro."
    )
    form: WaveForm = Field(
        default=WaveForm.ONE_OFF,
        description="one_off: a population fixed once; continuous: people join as they become"
        " eligible.",
    )
    opens_at: AwareDatetime | None = Field(default=None, description="Null: now.")
    closes_at: AwareDatetime = Field(description="Answers from here on are kept and do not count.")
    first_after_days: int = Field(
        default=45, ge=0, le=3650, description="Civil days after the sign-up (J13)."
    )
    quarantine_days: int = Field(
        default=90, ge=0, le=3650, description="Civil days after the last invitation."
    )
    sample_share: Decimal = Field(
        default=Decimal(1), gt=0, le=1, decimal_places=6, description="Of those who may be asked."
    )
    reminders: int = Field(default=0, ge=0, le=2, description="To those who do not answer.")
    reminder_after_days: int = Field(default=7, ge=1, le=90, description="Days between them.")
    anonymous: bool = Field(
        default=False, description="Nobody sees who answered what; cells below 5 are hidden."
    )

    @model_validator(mode="after")
    def is_open_for_a_while(self) -> Self:
        """Refuse a wave that ends before it begins, or of a form that people cannot make."""
        if self.opens_at is not None and self.closes_at <= self.opens_at:
            raise ValueError("closes_at is not after opens_at")
        if self.form not in (WaveForm.ONE_OFF, WaveForm.CONTINUOUS):
            raise ValueError("form is one_off or continuous")
        return self


class ScaleBody(BaseModel):
    """Answers of a survey that is none of nps."""

    n: int = Field(description="Answers that count.")
    mean: float | None = Field(description="Of the scores; null without answers.")
    by_score: dict[int, int] = Field(description="Answers by score.")


class WaveBody(BaseModel):
    """A wave as it stands."""

    wave: str = Field(description="Its id, or its label if it was imported.")
    kind: str = Field(description="nps, csat, ces or micro.")
    form: WaveForm = Field(description="one_off, continuous, moment or imported.")
    state: WaveState = Field(description="planned, opening, open or closed.")
    opens_at: datetime | None = Field(description="Null of an imported one.")
    closes_at: datetime | None = Field(description="Exclusive.")
    population: dict[str, int] = Field(description="People by decision.")
    hidden: bool = Field(description="Anonymous, and too few answers to show any number.")
    counts: dict[str, int] | None = Field(description="Answers by class, of nps.")
    share: dict[str, float] | None = Field(description="0 to 1 each.")
    nps: float | None = Field(description="Points, not rounded; null below 5 answers.")
    nps_shown: int | None = Field(description="As a whole number.")
    summary: SummaryBody | None = Field(description="With the interval; null while hidden.")
    scale: ScaleBody | None = Field(description="Of csat, ces and micro.")
    asked: int = Field(description="Invitations made.")
    invited: int = Field(description="Those in people's hands.")
    answered: int = Field(description="Those with an answer.")
    response_rate: float | None = Field(description="Answers per invitation in hands or answered.")
    bounds_if_silent_were: IntervalBody | None = Field(
        description="The score if all who are silent were detractors (low) or promoters (high)."
    )
    wave_before: str | None = Field(description="The nps wave before, in order.")
    change: CompareBody | None = Field(description="To that one, with the test.")


async def _body(tx: Tx, wave: Wave) -> WaveBody:
    scores = await reports.get_scores(tx, wave.workspace, kind=wave.kind, wave=wave.wave)
    reach = await reports.get_reach(tx, wave.workspace, wave.wave)
    n = sum(scores.values())
    shown = display(n, anonymous=wave.anonymous)
    hidden = shown is Display.HIDDEN and n > 0
    counts = count_scores(scores) if wave.kind == "nps" and not hidden else None
    before = await _before(tx, wave) if counts is not None else None
    former = None if before is None else await _counts(tx, before)
    summary = None if counts is None else SummaryBody.model_validate(rules.summary(counts))
    reached = max(reach.invited, reach.answered)
    tells = summary is not None and shown not in (Display.HIDDEN, Display.COUNTS_ONLY)
    return WaveBody(
        wave=wave.wave,
        kind=wave.kind,
        form=wave.form,
        state=wave.state,
        opens_at=wave.opens_at,
        closes_at=wave.closes_at,
        population=wave.population,
        hidden=hidden,
        counts=None if summary is None else summary.counts.model_dump(),
        share=None
        if summary is None or summary.share is None or not tells
        else summary.share.model_dump(),
        nps=summary.nps if summary is not None and tells else None,
        nps_shown=summary.nps_shown if summary is not None and tells else None,
        summary=summary if tells else None,
        scale=_scale(scores) if wave.kind != "nps" and not hidden else None,
        asked=reach.asked,
        invited=reach.invited,
        answered=0 if hidden else reach.answered,
        response_rate=None if not reached or hidden else reach.answered / reached,
        bounds_if_silent_were=None
        if counts is None or not tells
        else IntervalBody.of(if_silent_were(counts, population=max(reach.asked, counts.n))),
        wave_before=None if before is None else before.wave,
        change=None
        if counts is None or former is None or not tells
        else CompareBody.model_validate(compare(former, counts)),
    )


def _scale(scores: dict[int, int]) -> ScaleBody:
    n = sum(scores.values())
    total = sum(score * times for score, times in scores.items())
    return ScaleBody(n=n, mean=total / n if n else None, by_score=scores)


async def _before(tx: Tx, wave: Wave) -> Wave | None:
    """The wave of nps before, of which what is shown points at nobody."""
    earlier = None
    for each in await waves.list_waves(tx, wave.workspace):
        if each.wave == wave.wave:
            return earlier
        if each.kind == wave.kind and each.ordered_at is not None and not each.anonymous:
            earlier = each
    return None


async def _counts(tx: Tx, wave: Wave) -> Counts:
    return count_scores(
        await reports.get_scores(tx, wave.workspace, kind=wave.kind, wave=wave.wave)
    )


@router.post("", status_code=status.HTTP_201_CREATED, summary="Make a wave")
async def make_wave(
    request: Request, caller: Managing, tx: Transaction, asked: WaveQuestion
) -> WaveBody:
    """Make a wave; one that opens now decides about its people at once, unless they are many."""
    now: datetime = request.app.state.clock()
    wave = Wave(
        workspace=caller.workspace,
        **asked.model_dump(exclude={"opens_at"}),
        opens_at=asked.opens_at or min(now, asked.closes_at),
    )
    if not await waves.append_wave(tx, wave):
        raise WaveExists(f"there is a wave {wave.wave!r}")
    kept = await waves.load_wave(tx, caller.workspace, wave.wave)
    assert kept is not None
    assert kept.opens_at is not None
    if kept.opens_at <= now:
        await waves.save_state(tx, kept, WaveState.OPENING, at=now)
        _, told = await opening.walk(tx, kept, at=now, most=AT_ONCE)
        await append_caused(tx, told)
    return await _body(tx, await _found(tx, caller.workspace, wave.wave))


@router.get("", summary="The waves, in their order")
async def list_waves(caller: Reading, tx: Transaction) -> Page[WaveBody]:
    """Those that open here by when they open, imported ones by their first answer."""
    found = await waves.list_waves(tx, caller.workspace)
    return Page(items=[await _body(tx, wave) for wave in found], next_cursor=None)


@router.get("/{wave}", summary="A wave: whom it asks, and what they said")
async def get_wave(caller: Reading, tx: Transaction, wave: str) -> WaveBody:
    """Counts, shares, score, interval, response rate, and the change to the wave before."""
    return await _body(tx, await _found(tx, caller.workspace, wave))


async def _found(tx: Tx, workspace: str, wave: str) -> Wave:
    found = await waves.get_wave(tx, workspace, wave)
    if found is None:
        raise NotFound(f"there is no wave {wave!r}")
    return found


class MemberBody(BaseModel):
    """A person of a wave."""

    user: str = Field(description="The person's id.")
    account: str | None = Field(description="The account that the person was named in last.")
    decision: str = Field(
        description="ask, opted_out, churned, too_young, quarantine or not_sampled."
    )
    reason: str = Field(description="In words.")
    decided_at: datetime = Field(description="When.")
    invited_at: datetime | None = Field(description="Since when the invitation is in hands.")
    failed: str | None = Field(description="Why it did not go out.")
    reminders: int = Field(description="Reminders asked for.")
    answered_at: datetime | None = Field(description="Null of an anonymous wave.")


@router.get("/{wave}/members", summary="The people of a wave, with the decision about each")
async def list_members(
    caller: Reading,
    tx: Transaction,
    wave: str,
    decision: Annotated[str | None, Query(description="Only those with it.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[MemberBody]:
    """By user."""
    of = await _found(tx, caller.workspace, wave)
    after = "" if cursor is None else decode_cursor(cursor)
    found = await waves.list_members(tx, of, decision=decision, after=after, limit=limit + 1)
    return Page(
        items=[MemberBody(**each._asdict()) for each in found[:limit]],
        next_cursor=encode_cursor(found[limit - 1].user) if len(found) > limit else None,
    )
