"""Addresses that are not written to any more, and the reports that led there."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256

from sqlalchemy import text

from services.cadence.model.bounces import Report, ReportKind
from services.cadence.model.suppression import Suppression, SuppressionReason
from shared.db import Tx, rows

Address = tuple[str, bytes]
"""Workspace and hash of an address."""


async def add_suppression(tx: Tx, address: Address, suppression: Suppression) -> bool:
    """Suppress an address; whether it was not so already. One for good is never shortened."""
    added = await rows(
        tx,
        "INSERT INTO suppression AS s (workspace, address_hash, scope, reason, at, until)"
        " VALUES (:workspace, :address, :scope, :reason, :at, :until)"
        " ON CONFLICT (workspace, address_hash, scope) DO UPDATE SET reason = excluded.reason,"
        " at = excluded.at, until = excluded.until"
        " WHERE s.until IS NOT NULL AND (excluded.until IS NULL OR excluded.until > s.until)"
        " RETURNING 1",
        {
            "workspace": address[0],
            "address": address[1],
            "scope": suppression.scope,
            "reason": suppression.reason.value,
            "at": suppression.at,
            "until": suppression.until,
        },
    )
    return bool(added)


async def list_suppressions(
    tx: Tx, addresses: Sequence[Address]
) -> Mapping[Address, Sequence[Suppression]]:
    """What is suppressed for these addresses; those without any are absent."""
    found = await rows(
        tx,
        "SELECT s.workspace, s.address_hash, s.scope, s.reason, s.at, s.until FROM suppression s"
        " JOIN unnest(CAST(:workspaces AS text[]), CAST(:addresses AS bytea[]))"
        " AS u(workspace, address_hash)"
        " ON s.workspace = u.workspace AND s.address_hash = u.address_hash",
        {
            "workspaces": [address[0] for address in addresses],
            "addresses": [address[1] for address in addresses],
        },
    )
    listed: defaultdict[Address, list[Suppression]] = defaultdict(list)
    for row in found:
        listed[row.workspace, bytes(row.address_hash)].append(
            Suppression(
                scope=row.scope,
                reason=SuppressionReason(row.reason),
                at=row.at,
                until=row.until,
            )
        )
    return listed


async def append_report(
    tx: Tx,
    raw: bytes,
    report: Report,
    *,
    via: str,
    of: tuple[str, str] | None,
    now: datetime,
) -> bool:
    """Note a report that came back, by its digest; whether it is the first of these bytes."""
    noted = await rows(
        tx,
        "INSERT INTO bounce_report (digest, at, via, kind, status, workspace, identity)"
        " VALUES (:digest, :at, :via, :kind, :status, :workspace, :identity)"
        " ON CONFLICT (digest) DO NOTHING RETURNING 1",
        {
            "digest": sha256(raw).digest(),
            "at": now,
            "via": via,
            "kind": report.kind.value,
            "status": report.status,
            "workspace": of[0] if of else None,
            "identity": of[1] if of else None,
        },
    )
    return bool(noted)


async def note_on_message(
    tx: Tx, of: tuple[str, str], report: Report, *, now: datetime
) -> bytes | None:
    """Note on a message what came back of it; the hash of the address that it went to."""
    column = {
        ReportKind.HARD_BOUNCE: "bounced_at",
        ReportKind.SOFT_BOUNCE: "bounced_at",
        ReportKind.COMPLAINT: "complained_at",
        ReportKind.DELIVERED: "delivered_at",
    }.get(report.kind)
    if column is not None:
        await tx.execute(
            text(
                f"UPDATE message SET {column} = coalesce({column}, :now),"
                " bounce = coalesce(:status, bounce)"
                " WHERE workspace = :workspace AND identity = :identity"
            ),
            {"now": now, "status": report.status, "workspace": of[0], "identity": of[1]},
        )
    found = await rows(
        tx,
        "SELECT address_hash FROM message WHERE workspace = :workspace AND identity = :identity",
        {"workspace": of[0], "identity": of[1]},
    )
    return bytes(found[0].address_hash) if found and found[0].address_hash else None


async def note_unsubscribed(tx: Tx, of: tuple[str, str], *, now: datetime) -> bytes | None:
    """Note on a message that it was what made somebody leave; the hash of the address."""
    found = await rows(
        tx,
        "UPDATE message SET unsubscribed_at = coalesce(unsubscribed_at, :now)"
        " WHERE workspace = :workspace AND identity = :identity RETURNING address_hash",
        {"now": now, "workspace": of[0], "identity": of[1]},
    )
    return bytes(found[0].address_hash) if found and found[0].address_hash else None
