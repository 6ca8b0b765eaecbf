"""Workspaces and API keys: created by the operator, changed with a manage key."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from hmac import compare_digest
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from services.ingest.model import keys as key_form
from services.ingest.model import workspace as rules
from services.ingest.settings import IngestSettings
from services.ingest.store import workspaces as store
from services.ingest.store.workspaces import ShownKey
from shared.auth import InvalidKey, Managing, MissingKey, Scope, Workspace, hashed, key_of
from shared.clock import parse_instant
from shared.events.ingest import KeyIssued
from shared.http import (
    Cursor,
    Limit,
    NotFound,
    Page,
    Transaction,
    decode_cursor,
    encode_cursor,
)

router = APIRouter(prefix="/v1/workspaces", tags=["workspaces"])

DEFAULT_SOURCE = "default"
DEFAULT_SILENCE_DAYS = 90
SECRETS_MOST = 10


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("a text with NUL cannot be stored")
    return text


def _checked(rule: Callable[[Any], Any]) -> AfterValidator:
    return AfterValidator(rule)


def _instant(sent: Any) -> datetime:
    if not isinstance(sent, str):
        raise ValueError("an instant is a text, such as 2027-01-31T00:00:00Z")  # noqa: TRY004
    try:
        return parse_instant(sent)
    except OverflowError as error:
        raise ValueError(f"{sent!r} is beyond what a calendar holds") from error


Text = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_without_nul)]
WorkspaceId = Annotated[str, _checked(rules.workspace_id)]
TimeZone = Annotated[str, _checked(rules.time_zone)]
Currency = Annotated[str, _checked(rules.currency)]
Locale = Annotated[str, _checked(rules.locale)]
Margin = Annotated[str, StringConstraints(max_length=40), _checked(rules.margin)]
SilenceDays = Annotated[int, Field(ge=1, le=36_500, strict=True)]
Mapping = Annotated[dict[Text, str], Field(max_length=1000), _checked(rules.event_mapping)]
Instant = Annotated[datetime, BeforeValidator(_instant)]
Secrets = Annotated[list[Text], Field(max_length=SECRETS_MOST)]


class WebhookSecrets(BaseModel):
    """Every listed secret is valid, so that one can be replaced by the next. Never shown again."""

    model_config = ConfigDict(extra="forbid")

    stripe: Secrets | None = Field(default=None, description="Signing secrets of Stripe endpoints.")
    standard: Secrets | None = Field(
        default=None, description="Secrets of senders that follow Standard Webhooks."
    )

    def named(self) -> dict[str, list[str]]:
        """The kinds that were named, with their secrets."""
        kinds = {"stripe": self.stripe, "standard": self.standard}
        return {kind: some for kind, some in kinds.items() if some is not None}


class NewWorkspace(BaseModel):
    """A tenant to be created."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "id": "acme",
                    "name": "Acme",
                    "time_zone": "Asia/Seoul",
                    "reporting_currency": "KRW",
                    "locale": "ko",
                    "gross_margin": "0.8",
                }
            ]
        },
    )

    id: WorkspaceId = Field(description="Lower-case letters, digits and -, at most 63.")
    name: Text = Field(description="What people call it.")
    time_zone: TimeZone = Field(description="IANA zone: where days and months end.")
    reporting_currency: Currency = Field(description="ISO 4217, any case.")
    locale: Locale = Field(description="Language of pages and messages.", examples=["ko"])
    gross_margin: Margin | None = Field(
        default=None, description="Share of revenue, 0 to 1, as decimal text; null: unknown."
    )
    silence_days: SilenceDays = Field(
        default=DEFAULT_SILENCE_DAYS, description="H: the silence you care about, days."
    )
    webhook_secrets: WebhookSecrets = Field(
        default_factory=WebhookSecrets, description="Secrets that webhooks are signed with."
    )
    event_mapping: Mapping = Field(
        default_factory=dict, description="Your own event names to native types."
    )


class WorkspaceChange(BaseModel):
    """What it names is replaced; the rest stays."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"silence_days": 60}]}
    )

    name: Text = Field(default="", description="What people call it.")
    time_zone: TimeZone = Field(default="", description="IANA zone.")
    reporting_currency: Currency = Field(default="", description="ISO 4217, any case.")
    locale: Locale = Field(default="", description="Language of pages and messages.")
    gross_margin: Margin | None = Field(default=None, description="0 to 1; null: unknown.")
    silence_days: SilenceDays = Field(default=DEFAULT_SILENCE_DAYS, description="H, days.")
    webhook_secrets: WebhookSecrets = Field(
        default_factory=WebhookSecrets, description="Replaces the secrets of each kind it names."
    )
    event_mapping: Mapping = Field(default_factory=dict, description="Replaces the whole mapping.")


class WorkspaceSettings(BaseModel):
    """A workspace as it now is, without its secrets."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(description="Its id.")
    name: str = Field(description="What people call it.")
    time_zone: str = Field(description="IANA zone.")
    reporting_currency: str = Field(description="ISO 4217.")
    locale: str = Field(description="Language of pages and messages.")
    gross_margin: str | None = Field(description="0 to 1, or null: unknown.")
    silence_days: int = Field(description="H: the silence you care about, days.")
    event_mapping: dict[str, str] = Field(description="Your own event names to native types.")


class FirstKeys(BaseModel):
    """One key of each scope. Shown this once."""

    write: str = Field(description="May send events, and nothing else.")
    read: str = Field(description="May read everything of the workspace.")
    manage: str = Field(description="May do everything in the workspace.")


class CreatedWorkspace(BaseModel):
    """The new workspace with its first keys."""

    workspace: WorkspaceSettings = Field(description="Its settings.")
    keys: FirstKeys = Field(description="Its first keys, shown this once.")


class NewKey(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"scope": "write", "source": "backend"}]}
    )

    scope: Literal["write", "read", "manage"] = Field(description="What it may do.")
    source: Annotated[str, _checked(rules.source)] = Field(
        default=DEFAULT_SOURCE, description="Label of the events sent with it."
    )
    expires_at: Instant | None = Field(
        default=None,
        description="From then on it is refused; null: it does not expire.",
    )


class Key(BaseModel):
    """A key without its secret."""

    key_id: str = Field(description="Its id.")
    prefix: str = Field(description="How it begins; enough to recognise it.")
    scope: str = Field(description="What it may do.")
    source: str = Field(description="Label of the events sent with it.")
    issued_at: datetime = Field(description="When it was made.")
    expires_at: datetime | None = Field(description="From then on it is refused.")
    revoked_at: datetime | None = Field(description="Since then it is refused.")


class IssuedKey(Key):
    """A new key, its secret shown this once."""

    key: str = Field(description="The key itself. It is stored as a hash only.")
    secret: str = Field(description="The same; the key is its own secret.")


async def _operator(request: Request) -> None:
    """Refuse everyone but the operator."""
    key = key_of(request.headers.get("authorization"))
    if key is None:
        raise MissingKey("send `Authorization: Bearer <operator key>`")
    settings: IngestSettings = request.app.state.settings
    expected = settings.operator_key.get_secret_value()
    if not compare_digest(key.encode(), expected.encode()):
        raise InvalidKey("this is not the operator key")


async def _own(caller: Managing, id: Annotated[str, Path(max_length=63)]) -> str:  # noqa: A002
    """The workspace of the path, which has to be the key's own."""
    if caller.workspace != id:
        raise NotFound(f"there is no workspace {id!r} that this key belongs to")
    return caller.workspace


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=[Depends(_operator)],
    summary="Create a workspace (operator key)",
)
async def create_workspace(
    request: Request, body: NewWorkspace, tx: Transaction
) -> CreatedWorkspace:
    """A new tenant with one key of each scope. 409 `workspace_exists` when the id is taken."""
    now = request.app.state.clock()
    workspace = Workspace(**body.model_dump(exclude={"webhook_secrets"}))
    told = store.configured(workspace, changed=sorted(body.model_fields_set))
    await store.create_workspace(tx, told, at=now)
    await store.save_webhook_secrets(tx, workspace.id, body.webhook_secrets.named())
    keys = {}
    for scope in Scope:
        issued, keys[scope.value] = _new_key(scope, source=DEFAULT_SOURCE, expires_at=None)
        await store.issue_key(tx, workspace.id, issued, at=now)
    return CreatedWorkspace(
        workspace=WorkspaceSettings.model_validate(workspace), keys=FirstKeys(**keys)
    )


@router.patch("/{id}", summary="Change a workspace (its manage key)")
async def change_workspace(
    request: Request, own: Annotated[str, Depends(_own)], body: WorkspaceChange, tx: Transaction
) -> WorkspaceSettings:
    """Replaces what the body names, and nothing else."""
    named = body.model_dump(exclude_unset=True, exclude={"webhook_secrets"})
    changed = replace(await store.load_workspace(tx, own), **named)
    told = store.configured(changed, changed=sorted(body.model_fields_set))
    await store.save_workspace(tx, told, at=request.app.state.clock())
    await store.save_webhook_secrets(tx, own, body.webhook_secrets.named())
    return WorkspaceSettings.model_validate(changed)


@router.get("/{id}/keys", summary="The keys of a workspace (its manage key)")
async def list_keys(
    own: Annotated[str, Depends(_own)], tx: Transaction, limit: Limit = 100, cursor: Cursor = None
) -> Page[Key]:
    """Every key, also revoked ones; none with its secret."""
    after = decode_cursor(cursor) if cursor else ""
    found = await store.list_keys(tx, own, after=after, limit=limit + 1)
    page = found[:limit]
    return Page(
        items=[_shown(key) for key in page],
        next_cursor=encode_cursor(page[-1].key_id) if len(found) > limit else None,
    )


@router.post(
    "/{id}/keys",
    status_code=HTTPStatus.CREATED,
    summary="Make a key (a manage key of its workspace)",
)
async def create_key(
    request: Request, own: Annotated[str, Depends(_own)], body: NewKey, tx: Transaction
) -> IssuedKey:
    """A new key, shown this once. It works in every service within 2 s."""
    now = request.app.state.clock()
    issued, key = _new_key(Scope(body.scope), source=body.source, expires_at=body.expires_at)
    await store.issue_key(tx, own, issued, at=now)
    return IssuedKey(
        key_id=issued.key_id,
        prefix=issued.prefix,
        scope=body.scope,
        source=issued.source,
        issued_at=now,
        expires_at=issued.expires_at,
        revoked_at=None,
        key=key,
        secret=key,
    )


@router.delete(
    "/{id}/keys/{key_id}",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    summary="Revoke a key (a manage key of its workspace)",
)
async def revoke_key(
    request: Request,
    own: Annotated[str, Depends(_own)],
    key_id: Annotated[str, Path(max_length=64)],
    tx: Transaction,
) -> None:
    """Refused everywhere within 30 s. Revoking it again changes nothing."""
    if "\x00" in key_id:
        raise NotFound("there is no such key")
    await store.revoke_key(tx, own, key_id, at=request.app.state.clock())


def _new_key(scope: Scope, *, source: str, expires_at: datetime | None) -> tuple[KeyIssued, str]:
    """A key as the others are told of it, and the key itself."""
    identity = key_form.key_id(secrets.token_bytes(key_form.ID_BYTES))
    key = key_form.new_key(scope, identity, secrets.token_bytes(key_form.SECRET_BYTES))
    issued = KeyIssued(
        key_id=identity,
        prefix=key_form.shown_prefix(scope, identity),
        sha256=hashed(key),
        scopes=[scope.value],
        source=source,
        expires_at=expires_at,
    )
    return issued, key


def _shown(key: ShownKey) -> Key:
    return Key(
        key_id=key.key_id,
        prefix=key.prefix,
        scope=key.scopes[0],
        source=key.source,
        issued_at=key.issued_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
    )
