"""Who calls: API keys and the workspace they belong to. The workspace never comes from elsewhere.

Every service folds `ingest.keys.v1` and `ingest.workspaces.v1` into these tables of its own, so a
key works everywhere without a call to ingest. Keys are stored as SHA-256 only: they carry 256
random bits, so a slow hash would protect nothing.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from time import monotonic
from typing import Annotated, Any, ClassVar

import msgspec
from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from sqlalchemy import text

from shared.db import Database, Tx, rows
from shared.errors import DomainError
from shared.events.base import Received
from shared.events.ingest import KeyIssued, KeyRevoked, WorkspaceConfigured

AUTH_TABLES_V1 = (
    """CREATE TABLE workspace (
        id text PRIMARY KEY,
        name text NOT NULL,
        time_zone text NOT NULL,
        reporting_currency text NOT NULL,
        locale text NOT NULL,
        gross_margin numeric CHECK (gross_margin BETWEEN 0 AND 1),
        silence_days integer NOT NULL CHECK (silence_days > 0),
        event_mapping jsonb NOT NULL)""",
    """CREATE TABLE api_key (
        key_id text PRIMARY KEY,
        workspace text NOT NULL,
        prefix text NOT NULL,
        sha256 text NOT NULL UNIQUE,
        scopes text[] NOT NULL,
        source text NOT NULL,
        issued_at timestamptz NOT NULL,
        expires_at timestamptz,
        revoked_at timestamptz)""",
    "CREATE INDEX api_key_of_workspace ON api_key (workspace, key_id)",
)
CACHED_KEYS = 10_000


class Scope(StrEnum):
    """What a key may do. `manage` may do everything in its workspace."""

    WRITE = "write"
    READ = "read"
    MANAGE = "manage"


class MissingKey(DomainError):
    """No credential was sent."""

    code: ClassVar[str] = "missing_key"
    status: ClassVar[int] = 401


class InvalidKey(DomainError):
    """The credential is none of ours."""

    code: ClassVar[str] = "invalid_key"
    status: ClassVar[int] = 401


class KeyDisabled(DomainError):
    """The key was revoked or has expired."""

    code: ClassVar[str] = "key_disabled"
    status: ClassVar[int] = 401


class ScopeMissing(DomainError):
    """The key is valid and may not do this."""

    code: ClassVar[str] = "scope_missing"
    status: ClassVar[int] = 403


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The key behind a request."""

    workspace: str
    key_id: str
    scopes: frozenset[str]
    source: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def may(self, scope: Scope) -> bool:
        """Whether the key's scopes cover `scope`."""
        return scope in self.scopes or Scope.MANAGE in self.scopes


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A tenant and its settings."""

    id: str
    name: str
    time_zone: str
    reporting_currency: str
    locale: str
    gross_margin: str | None
    silence_days: int
    event_mapping: dict[str, str]


class Keys:
    """Looks keys up, and remembers the answer for a few seconds."""

    def __init__(self, database: Database, *, cache_seconds: float) -> None:
        self._database = database
        self._cache_seconds = cache_seconds
        self._cache: dict[str, tuple[float, Caller]] = {}

    def remembered(self, key: str, now: datetime) -> Caller | None:
        """The caller of `key` if it was looked up a moment ago, without touching the database."""
        known = self._cache.get(key)
        if known is None or known[0] < monotonic():
            return None
        return _enabled(known[1], now)

    async def caller(self, key: str, now: datetime) -> Caller:
        """The caller of `key`. Raises InvalidKey or KeyDisabled."""
        known = self.remembered(key, now)
        if known is not None:
            return known
        async with self._database.transaction() as tx:
            caller = await get_caller(tx, key)
        if caller is None:
            raise InvalidKey("this key is unknown; keys are shown once, when they are made")
        if len(self._cache) >= CACHED_KEYS:
            self._cache.clear()
        self._cache[key] = (monotonic() + self._cache_seconds, caller)
        return _enabled(caller, now)


def _enabled(caller: Caller, now: datetime) -> Caller:
    if caller.revoked_at is not None:
        raise KeyDisabled(f"key {caller.key_id} was revoked")
    if caller.expires_at is not None and caller.expires_at <= now:
        raise KeyDisabled(f"key {caller.key_id} has expired")
    return caller


def key_of(authorization: str | None) -> str | None:
    """The key in an Authorization header: Bearer, or Basic with the key as user name.

    None where no header was sent or it holds nothing. The Basic password is ignored, the colon may
    be missing. Raises InvalidKey for a header of another form.
    """
    if not authorization:
        return None
    scheme, _, rest = authorization.strip().partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip() or None
        case "basic":
            return _basic_user(rest.strip())
        case _:
            raise InvalidKey("Authorization must be `Bearer <key>` or Basic with the key as user")


def _basic_user(encoded: str) -> str | None:
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidKey("Authorization: Basic does not hold base64 of `<key>:`") from error
    return decoded.partition(":")[0] or None


def hashed(key: str) -> str:
    """How a key is stored: hex SHA-256."""
    return sha256(key.encode()).hexdigest()


# Declares the credential in OpenAPI, so that /docs can send it; the check itself is ours.
AUTHORIZATION = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="An API key of the workspace. HTTP Basic with the key as user name works too.",
)


def require(scope: Scope) -> Any:
    """A dependency that answers the Caller: 401 without a valid key, 403 without the scope."""

    async def caller(request: Request, _: Annotated[Any, Depends(AUTHORIZATION)]) -> Caller:
        key = key_of(request.headers.get("authorization"))
        if key is None:
            raise MissingKey("send `Authorization: Bearer <key>`")
        keys: Keys = request.app.state.keys
        found = await keys.caller(key, request.app.state.clock())
        if not found.may(scope):
            raise ScopeMissing(f"this needs a key with scope {scope}, not {sorted(found.scopes)}")
        return found

    return Depends(caller)


Reading = Annotated[Caller, require(Scope.READ)]
Managing = Annotated[Caller, require(Scope.MANAGE)]


# --- tables ------------------------------------------------------------------------------------


async def get_caller(tx: Tx, key: str) -> Caller | None:
    """Who `key` is, also when it is revoked or expired; None when nobody issued it."""
    found = await rows(
        tx,
        "SELECT key_id, workspace, scopes, source, expires_at, revoked_at FROM api_key"
        " WHERE sha256 = :hash",
        {"hash": hashed(key)},
    )
    if not found:
        return None
    row = found[0]
    return Caller(
        workspace=row.workspace,
        key_id=row.key_id,
        scopes=frozenset(row.scopes),
        source=row.source,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )


async def get_workspace(tx: Tx, workspace: str) -> Workspace | None:
    """The settings of a workspace; None while none are known here."""
    found = await rows(
        tx,
        "SELECT id, name, time_zone, reporting_currency, locale, gross_margin, silence_days,"
        " event_mapping FROM workspace WHERE id = :id",
        {"id": workspace},
    )
    if not found:
        return None
    row = found[0]
    return Workspace(
        id=row.id,
        name=row.name,
        time_zone=row.time_zone,
        reporting_currency=row.reporting_currency,
        locale=row.locale,
        gross_margin=None if row.gross_margin is None else str(row.gross_margin),
        silence_days=row.silence_days,
        event_mapping=row.event_mapping,
    )


async def save_workspace(tx: Tx, settings: WorkspaceConfigured) -> None:
    """Keep the settings of a workspace as they now are."""
    margin = settings.gross_margin
    await tx.execute(
        text(
            "INSERT INTO workspace (id, name, time_zone, reporting_currency, locale,"
            " gross_margin, silence_days, event_mapping)"
            " VALUES (:id, :name, :time_zone, :reporting_currency, :locale, :gross_margin,"
            " :silence_days, CAST(:event_mapping AS jsonb))"
            " ON CONFLICT (id) DO UPDATE SET name = excluded.name, time_zone = excluded.time_zone,"
            " reporting_currency = excluded.reporting_currency, locale = excluded.locale,"
            " gross_margin = excluded.gross_margin, silence_days = excluded.silence_days,"
            " event_mapping = excluded.event_mapping"
        ),
        {
            "id": settings.id,
            "name": settings.name,
            "time_zone": settings.time_zone,
            "reporting_currency": settings.reporting_currency,
            "locale": settings.locale,
            "gross_margin": None if margin is None else Decimal(margin),
            "silence_days": settings.silence_days,
            "event_mapping": msgspec.json.encode(settings.event_mapping).decode(),
        },
    )


async def save_key(tx: Tx, workspace: str, issued: KeyIssued, *, issued_at: datetime) -> None:
    """Keep a key. Keeping it twice changes nothing, also not after its revocation."""
    await tx.execute(
        text(
            "INSERT INTO api_key (key_id, workspace, prefix, sha256, scopes, source, issued_at,"
            " expires_at) VALUES (:key_id, :workspace, :prefix, :sha256, CAST(:scopes AS text[]),"
            " :source, :issued_at, :expires_at) ON CONFLICT (key_id) DO NOTHING"
        ),
        {
            "key_id": issued.key_id,
            "workspace": workspace,
            "prefix": issued.prefix,
            "sha256": issued.sha256,
            "scopes": issued.scopes,
            "source": issued.source,
            "issued_at": issued_at,
            "expires_at": issued.expires_at,
        },
    )


async def revoke_key(tx: Tx, workspace: str, revoked: KeyRevoked) -> None:
    """Withdraw a key; the first revocation stands."""
    await tx.execute(
        text(
            "UPDATE api_key SET revoked_at = :at"
            " WHERE key_id = :key_id AND workspace = :workspace AND revoked_at IS NULL"
        ),
        {"key_id": revoked.key_id, "workspace": workspace, "at": revoked.revoked_at},
    )


# --- folds (how keys and settings reach the services that do not issue them) ---------------------


async def fold_workspaces(tx: Tx, batch: Sequence[Received[Any]]) -> list[Any]:
    """Settings as they were told, in order; causes nothing."""
    for received in batch:
        await save_workspace(tx, received.event)
    return []


async def fold_keys(tx: Tx, batch: Sequence[Received[Any]]) -> list[Any]:
    """Keys as they were issued and revoked, in order; causes nothing."""
    for received in batch:
        workspace = received.envelope.workspace
        match received.event:
            case KeyIssued() as issued:
                await save_key(tx, workspace, issued, issued_at=received.envelope.time)
            case KeyRevoked() as revoked:
                if revoked.issued is not None and revoked.issued_at is not None:
                    await save_key(tx, workspace, revoked.issued, issued_at=revoked.issued_at)
                await revoke_key(tx, workspace, revoked)
    return []
