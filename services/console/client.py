"""Reads the API of health with the visitor's key. The fields are those that the pages show."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from services.console.settings import ConsoleSettings
from shared.auth import InvalidKey, ScopeMissing
from shared.errors import TransientError
from shared.http import InvalidRequest, NotFound

WATCH_SECONDS = 2.0
CONNECT_SECONDS = 2.0
MOST_CONNECTIONS = 32


class HealthUnavailable(TransientError):
    """Health does not answer, or answers what we cannot read."""

    code: ClassVar[str] = "health_unavailable"


class AccountUnknown(NotFound):
    """Health knows no such account in the visitor's workspace."""

    code: ClassVar[str] = "account_unknown"


class AccountItem(BaseModel):
    """An account in the list."""

    account: str
    name: str | None
    segment: str | None
    owner: str | None
    plan: str | None = None
    score: float | None
    band: str
    reason: str
    last_event_at: datetime | None


class AccountPage(BaseModel):
    """One page of the list; `next_cursor` is None at its end."""

    items: list[AccountItem]
    next_cursor: str | None


class Profile(BaseModel):
    """What was said of an account."""

    name: str | None = None
    plan: str | None = None
    tier: str | None = None
    segment: str | None = None
    industry: str | None = None
    owner: str | None = None
    seats: int | None = None
    lifecycle_stage: str | None = None
    signed_up_at: datetime | None = None


class User(BaseModel):
    """A member of an account. `events` counts 30 days."""

    user: str
    role: str | None
    signed_up_at: datetime | None
    first_seen_on: date
    last_seen_on: date
    events: int


class DailyUse(BaseModel):
    """Events on one UTC day."""

    day: date
    events: int


class FeatureUse(BaseModel):
    """Events of one feature in 30 days."""

    feature: str
    events: int


class Usage(BaseModel):
    """How an account uses the product. Counts are of 30 days."""

    first_event_at: datetime | None
    last_event_at: datetime | None
    usual_gap_days: float | None
    events: int
    active_days: int
    active_users: int
    breadth: int
    features: list[FeatureUse]
    strip: list[DailyUse]


class Contribution(BaseModel):
    """What one measure adds to the score, 0 to 100 points."""

    measure: str
    points: float
    words: str


class Score(BaseModel):
    """A score with its reasons, and what changed in 30 days."""

    score: float | None
    band: str
    coverage: float
    contributions: list[Contribution]
    deltas: list[Contribution]
    config_version: str


class Account(BaseModel):
    """All that is known of an account."""

    account: str
    as_of: datetime
    profile: Profile
    users_total: int
    users: list[User]
    usage: Usage
    score: Score


T = TypeVar("T", bound=BaseModel)


class HealthClient:
    """Asks health. Every question carries the visitor's key, so health decides what may be seen.

    Raises InvalidKey, ScopeMissing, AccountUnknown and InvalidRequest as health answers, and
    HealthUnavailable where it does not.
    """

    def __init__(self, settings: ConsoleSettings) -> None:
        self._http = httpx.AsyncClient(
            base_url=settings.health_url,
            timeout=httpx.Timeout(settings.answer_seconds, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=MOST_CONNECTIONS),
        )
        self._trouble: str | None = "has not been asked yet"

    async def list_accounts(self, key: str, filters: Mapping[str, str]) -> AccountPage:
        """A page of accounts. `filters` are parameters of health's own list."""
        return await self._get("/v1/accounts", key, AccountPage, filters)

    async def get_account(self, key: str, account: str) -> Account:
        """All that is known of an account."""
        return await self._get(f"/v1/accounts/{quote(account, safe='')}", key, Account)

    def trouble(self) -> str | None:
        """Why health cannot be relied on now; None while it can."""
        return self._trouble

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """While the block runs, `trouble` is kept true; then the connections are closed."""
        async with self._http, asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch())
            try:
                yield
            finally:
                watching.cancel()

    async def _watch(self) -> None:
        while True:
            try:
                response = await self._http.get("/health")
                self._trouble = None if response.is_success else f"answers {response.status_code}"
            except httpx.TransportError as error:
                self._trouble = f"does not answer: {type(error).__name__}"
            await asyncio.sleep(WATCH_SECONDS)

    async def _get(
        self, path: str, key: str, form: type[T], parameters: Mapping[str, str] | None = None
    ) -> T:
        try:
            response = await self._http.get(
                path, params=parameters, headers={"authorization": f"Bearer {key}"}
            )
        except httpx.TransportError as error:
            raise HealthUnavailable(f"health: {type(error).__name__}") from error
        except UnicodeEncodeError as error:
            raise InvalidKey("a key holds plain letters and digits only") from error
        _raise_refusal(response)
        try:
            return form.model_validate_json(response.content)
        except ValidationError as error:
            raise HealthUnavailable(f"health answers in another form: {error}") from error


def _raise_refusal(response: httpx.Response) -> None:
    """The error that an answer stands for; nothing where it is a success."""
    if response.is_success:
        return
    message = _message(response)
    match response.status_code:
        case 401:
            raise InvalidKey(message)
        case 403:
            raise ScopeMissing(message)
        case 404:
            raise AccountUnknown(message)
        case 422:
            raise InvalidRequest(message)
    raise HealthUnavailable(f"health answers {response.status_code}: {message}")


def _message(response: httpx.Response) -> str:
    try:
        problem: dict[str, Any] = response.json()
        return str(problem["message"])
    except (ValueError, KeyError, TypeError):
        return response.reason_phrase
