"""Routes of the score: one account's with its reasons, its history, and all accounts' at once."""

import csv
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from services.health.api.bodies import (
    DimensionBody,
    HistoryBody,
    HistoryPoint,
    ScoreBody,
    ScoresBody,
)
from services.health.api.parameters import (
    AccountPath,
    AsOf,
    instant_or_now,
    known_account,
    step_of,
    use_instant_of,
)
from services.health.model.explain import Score, deltas, earlier, scored
from services.health.model.score import (
    ActiveDay,
    Habit,
    Scale,
    band_of,
    habit_at,
    scale_of,
    usage_health,
    with_day,
)
from services.health.store import usage, views
from services.health.store.views import Standing
from shared.auth import Caller, Reading
from shared.clock import format_instant
from shared.db import Database
from shared.http import InvalidRequest, Problem, Transaction, no_formula

router = APIRouter()

HISTORY_DAYS = 90  # what a history shows when nobody says from when
MOST_POINTS = 1000
EVENTS_SHOWN = 10
ACCOUNTS_AT_ONCE = 500  # one chunk of a listing: bounds memory and the time of a transaction
UNKNOWN_ACCOUNT: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "account_unknown"}
}


class ScoresFormat(StrEnum):
    """How all scores are answered."""

    CSV = "csv"
    JSON = "json"


@router.get(
    "/accounts/{account:path}/score/history",
    summary="An account's score over time",
    responses=UNKNOWN_ACCOUNT,
)
async def get_history(
    request: Request,
    caller: Reading,
    tx: Transaction,
    account: AccountPath,
    start: Annotated[
        str | None, Query(alias="from", description="First instant; 90 days before `to` if absent.")
    ] = None,
    end: Annotated[
        str | None, Query(alias="to", description="Last instant; now if absent.")
    ] = None,
    step: Annotated[str, Query(description="Distance of two instants: 12h, 1d, 2w.")] = "1d",
) -> HistoryBody:
    """The score at `from` and every `step` after it, up to and with `to`; 1,000 points at most."""
    last = instant_or_now("to", end, request)
    first = last - timedelta(days=HISTORY_DAYS) if start is None else use_instant_of("from", start)
    instants = _instants(first, last, step_of(step))
    known = await known_account(tx, caller, account)
    days = (await usage.list_days(tx, [known.place], before=last))[known.place]
    silence_days = await usage.get_silence_days(tx, {caller.workspace})
    points = history(days, instants, scale_of(silence_days[caller.workspace]))
    return HistoryBody(account=account, step=step, items=list(points))


def _instants(first: datetime, last: datetime, step: timedelta) -> list[datetime]:
    if first > last:
        raise InvalidRequest(f"from {format_instant(first)} lies after to {format_instant(last)}")
    count = (last - first) // step + 1
    if count > MOST_POINTS:
        raise InvalidRequest(f"step: {count} points, {MOST_POINTS} at most; take a longer step")
    return [first + number * step for number in range(count)]


def history(
    days: Sequence[ActiveDay], instants: Sequence[datetime], scale: Scale
) -> Iterator[HistoryPoint]:
    """The score at each of `instants` (in order), in one walk over the active days."""
    habit: Habit | None = None
    seen = 0
    for at in instants:
        while seen < len(days) and days[seen].first_at < at:
            habit = with_day(habit, days[seen], scale)
            seen += 1
        health = None if habit is None else usage_health(habit, at, scale)
        yield HistoryPoint(t=at, score=health, usage_health=health, band=band_of(health))


@router.get(
    "/accounts/{account:path}/score",
    summary="An account's score with its reasons",
    responses=UNKNOWN_ACCOUNT,
)
async def get_score(
    request: Request, caller: Reading, tx: Transaction, account: AccountPath, as_of: AsOf = None
) -> ScoreBody:
    """The score as of an instant: what it is made of, what changed, and how sure it is."""
    at = instant_or_now("as_of", as_of, request)
    known = await known_account(tx, caller, account)
    silence_days = await usage.get_silence_days(tx, {caller.workspace})
    days = (await usage.list_days(tx, [known.place], before=at))[known.place]
    return score_body(account, days, at, scale_of(silence_days[caller.workspace]))


def score_body(account: str, days: Sequence[ActiveDay], at: datetime, scale: Scale) -> ScoreBody:
    """The score of an account as of `at`; `days` are its active days that began before."""
    now = scored(habit_at(days, at, scale), at, scale)
    since = earlier(at)
    then = scored(habit_at(days, since, scale), since, scale)
    return ScoreBody(
        account=account,
        as_of=at,
        dimensions=[_usage_dimension(now)],
        deltas=list(deltas(now, then, since=since)),
        caps=[],
        override=None,
        events=[day.first_event for day in days[: -EVENTS_SHOWN - 1 : -1]],
        **{
            name: getattr(now, name)
            for name in (
                "score",
                "band",
                "coverage",
                "freshness",
                "usage_health",
                "contributions",
                "config_version",
            )
        },
    )


def _usage_dimension(score: Score) -> DimensionBody:
    return DimensionBody(
        dimension="usage", score=score.usage_health, weight=1.0, coverage=score.coverage
    )


# --- all accounts at once ------------------------------------------------------------------------


@router.get(
    "/scores",
    summary="The scores of all accounts",
    response_class=StreamingResponse,
    responses={
        200: {
            "model": ScoresBody,
            "content": {
                "text/csv": {
                    "example": "account,t,score,usage_health,band\r\n"
                    "acme,2026-03-01,91.25,91.25,green\r\n"
                }
            },
        }
    },
)
async def list_scores(
    request: Request,
    caller: Reading,
    as_of: AsOf = None,
    format: ScoresFormat = ScoresFormat.JSON,  # noqa: A002 - the name is the parameter's
) -> StreamingResponse:
    """Every account with an event before `as_of`, whole and by account id; `t` is as given."""
    at = instant_or_now("as_of", as_of, request)
    given = format_instant(at) if as_of is None else as_of
    chunks = await _begun(_standings(request.app.state.database, caller, at))
    if format is ScoresFormat.CSV:
        return StreamingResponse(_as_csv(chunks, given), media_type="text/csv; charset=utf-8")
    return StreamingResponse(_as_json(chunks, given), media_type="application/json")


Line = tuple[str, float, str]
"""An account, its score, its band."""


async def _standings(database: Database, caller: Caller, at: datetime) -> AsyncIterator[list[Line]]:
    """All lines in chunks, each read in a transaction of its own.

    A slow reader then holds no connection; what is as of an instant is the same in all of them.
    """
    after = ""
    while True:
        async with database.transaction() as tx:
            silence_days = (await usage.get_silence_days(tx, {caller.workspace}))[caller.workspace]
            standings = await views.list_standings(
                tx,
                caller.workspace,
                at=at,
                silence_days=silence_days,
                after=after,
                limit=ACCOUNTS_AT_ONCE,
            )
        yield list(_lines(standings, at, scale_of(silence_days)))
        if len(standings) < ACCOUNTS_AT_ONCE:
            return
        after = standings[-1].account


async def _begun(chunks: AsyncIterator[list[Line]]) -> AsyncIterator[list[Line]]:
    """The same chunks, the first one read: what fails at once is an error, not half a 200."""
    first = await anext(chunks)

    async def whole() -> AsyncIterator[list[Line]]:
        yield first
        async for chunk in chunks:
            yield chunk

    return whole()


def _lines(standings: Sequence[Standing], at: datetime, scale: Scale) -> Iterator[Line]:
    for standing in standings:
        if standing.habit is not None:
            health = usage_health(standing.habit, at, scale)
            yield standing.account, health, band_of(health)


async def _as_csv(chunks: AsyncIterator[list[Line]], given: str) -> AsyncIterator[str]:
    yield "account,t,score,usage_health,band\r\n"
    async for lines in chunks:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerows(
            (no_formula(account), given, repr(health), repr(health), band)
            for account, health, band in lines
        )
        yield text.getvalue()


async def _as_json(chunks: AsyncIterator[list[Line]], given: str) -> AsyncIterator[bytes]:
    yield b'{"items":['
    separator = b""
    async for lines in chunks:
        for account, health, band in lines:
            line = {
                "account": account,
                "t": given,
                "score": health,
                "usage_health": health,
                "band": band,
            }
            yield separator + msgspec.json.encode(line)
            separator = b","
    yield b"]}"
