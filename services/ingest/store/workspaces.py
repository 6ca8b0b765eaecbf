"""Workspaces, their keys and their webhook secrets, and how the other services learn of them.

Tables: `workspace` and `api_key` (shared.auth), `webhook_secret` (never leaves this database).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar, NamedTuple
from uuid import uuid4

from sqlalchemy import text

from shared import auth
from shared.auth import Workspace
from shared.bus import tables
from shared.bus.record import outgoing
from shared.db import Tx, rows
from shared.errors import DomainError
from shared.events.base import Caused, Event
from shared.events.ingest import KeyIssued, KeyRevoked, WorkspaceConfigured
from shared.http import NotFound


class WorkspaceExists(DomainError):
    """The id is taken."""

    code: ClassVar[str] = "workspace_exists"
    status: ClassVar[int] = 409


class ShownKey(NamedTuple):
    """A key as it may be listed: everything but the key."""

    key_id: str
    prefix: str
    scopes: Sequence[str]
    source: str
    issued_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


async def create_workspace(tx: Tx, configured: WorkspaceConfigured, *, at: datetime) -> None:
    """Keep a new workspace and tell the others. Raises WorkspaceExists."""
    # Two requests for one id take turns here; the second then sees the first one's row.
    await tx.execute(
        text("SELECT pg_advisory_xact_lock(hashtext('workspace'), hashtext(:id))"),
        {"id": configured.id},
    )
    if await auth.get_workspace(tx, configured.id) is not None:
        raise WorkspaceExists(f"workspace {configured.id} exists already")
    await save_workspace(tx, configured, at=at)


async def load_workspace(tx: Tx, workspace: str) -> Workspace:
    """The settings of a workspace, locked. Raises NotFound."""
    await tx.execute(text("SELECT FROM workspace WHERE id = :id FOR UPDATE"), {"id": workspace})
    found = await auth.get_workspace(tx, workspace)
    if found is None:
        raise NotFound(f"there is no workspace {workspace}")
    return found


async def save_workspace(tx: Tx, configured: WorkspaceConfigured, *, at: datetime) -> None:
    """Keep the settings as they now are, and tell the others."""
    await auth.save_workspace(tx, configured)
    await _tell(tx, configured, configured.id, at=at, record_key=f"{configured.id}/")


async def take_margin(tx: Tx, workspace: str, margin: str | None) -> WorkspaceConfigured | None:
    """Keep a margin that another service was told; the settings as they now are.

    None where there is no such workspace, or nothing changes.
    """
    await tx.execute(text("SELECT FROM workspace WHERE id = :id FOR UPDATE"), {"id": workspace})
    found = await auth.get_workspace(tx, workspace)
    if found is None or found.gross_margin == margin:
        return None
    settings = configured(replace(found, gross_margin=margin), changed=["gross_margin"])
    await auth.save_workspace(tx, settings)
    return settings


async def save_webhook_secrets(
    tx: Tx, workspace: str, secrets: Mapping[str, Sequence[str]]
) -> None:
    """Replace the secrets of each kind that `secrets` names."""
    await tx.execute(
        text(
            "DELETE FROM webhook_secret"
            " WHERE workspace = :workspace AND kind = ANY(CAST(:kinds AS text[]))"
        ),
        {"workspace": workspace, "kinds": list(secrets)},
    )
    pairs = [(kind, secret) for kind, some in secrets.items() for secret in some]
    await tx.execute(
        text(
            "INSERT INTO webhook_secret (workspace, kind, secret)"
            " SELECT :workspace, kind, secret FROM"
            " unnest(CAST(:kinds AS text[]), CAST(:secrets AS text[])) AS u(kind, secret)"
            " ON CONFLICT DO NOTHING"
        ),
        {
            "workspace": workspace,
            "kinds": [kind for kind, _ in pairs],
            "secrets": [secret for _, secret in pairs],
        },
    )


async def list_webhook_secrets(tx: Tx, workspace: str, kind: str) -> list[str]:
    """Every secret of a kind that the workspace has; each of them is valid."""
    found = await rows(
        tx,
        "SELECT secret FROM webhook_secret WHERE workspace = :workspace AND kind = :kind"
        " ORDER BY added_at, secret",
        {"workspace": workspace, "kind": kind},
    )
    return [row.secret for row in found]


async def issue_key(tx: Tx, workspace: str, issued: KeyIssued, *, at: datetime) -> None:
    """Keep a key by its hash, and tell the others."""
    await auth.save_key(tx, workspace, issued, issued_at=at)
    await _tell(tx, issued, workspace, at=at, record_key=f"{workspace}/{issued.key_id}")


async def revoke_key(tx: Tx, workspace: str, key_id: str, *, at: datetime) -> None:
    """Withdraw a key and tell the others; again changes nothing. Raises NotFound."""
    found = await rows(
        tx,
        "SELECT prefix, sha256, scopes, source, issued_at, expires_at, revoked_at FROM api_key"
        " WHERE workspace = :workspace AND key_id = :key_id FOR UPDATE",
        {"workspace": workspace, "key_id": key_id},
    )
    if not found:
        raise NotFound(f"there is no key {key_id!r} in workspace {workspace}")
    key = found[0]
    if key.revoked_at is None:
        issued = KeyIssued(
            key_id=key_id,
            prefix=key.prefix,
            sha256=key.sha256,
            scopes=key.scopes,
            source=key.source,
            expires_at=key.expires_at,
        )
        revoked = KeyRevoked(key_id=key_id, revoked_at=at, issued=issued, issued_at=key.issued_at)
        await auth.revoke_key(tx, workspace, revoked)
        await _tell(tx, revoked, workspace, at=at, record_key=f"{workspace}/{key_id}")


async def list_keys(tx: Tx, workspace: str, *, after: str, limit: int) -> list[ShownKey]:
    """Keys of a workspace in order of their ids, those behind `after`, `limit` at most."""
    found = await rows(
        tx,
        "SELECT key_id, prefix, scopes, source, issued_at, expires_at, revoked_at FROM api_key"
        " WHERE workspace = :workspace AND key_id > :after ORDER BY key_id LIMIT :limit",
        {"workspace": workspace, "after": after, "limit": limit},
    )
    return [ShownKey(**row._mapping) for row in found]  # noqa: SLF001 - public in SQLAlchemy


async def _tell(tx: Tx, event: Event, workspace: str, *, at: datetime, record_key: str) -> None:
    caused = Caused(
        event=event, workspace=workspace, cause_id=str(uuid4()), time=at, record_key=record_key
    )
    await tables.append_outbox(tx, [outgoing(caused, source="/ingest")])


def configured(workspace: Workspace, *, changed: Sequence[str]) -> WorkspaceConfigured:
    """The settings as the others are told them."""
    return WorkspaceConfigured(
        id=workspace.id,
        name=workspace.name,
        time_zone=workspace.time_zone,
        reporting_currency=workspace.reporting_currency,
        locale=workspace.locale,
        gross_margin=workspace.gross_margin,
        silence_days=workspace.silence_days,
        event_mapping=workspace.event_mapping,
        changed=list(changed),
    )
