"""What a workspace sets here: the gross margin, which ingest keeps too, and the target of NDR."""

from decimal import Decimal

from sqlalchemy import text

from shared.db import Tx, rows

DEFAULT_NDR_TARGET = Decimal("1.2")  # J29: "global leaders exceed 100 %, our target is 120 %"


async def get_ndr_target(tx: Tx, workspace: str) -> Decimal:
    """The target of net dollar retention, a ratio."""
    found = await rows(
        tx, "SELECT ndr_target FROM setting WHERE workspace = :id", {"id": workspace}
    )
    return Decimal(found[0].ndr_target) if found else DEFAULT_NDR_TARGET


async def save_ndr_target(tx: Tx, workspace: str, target: Decimal) -> None:
    """Set the target."""
    await tx.execute(
        text(
            "INSERT INTO setting (workspace, ndr_target) VALUES (:id, :target)"
            " ON CONFLICT (workspace) DO UPDATE SET ndr_target = excluded.ndr_target"
        ),
        {"id": workspace, "target": target},
    )


async def save_gross_margin(tx: Tx, workspace: str, margin: Decimal | None) -> None:
    """Set the margin here at once; ingest hears of it, and tells everybody, us too."""
    await tx.execute(
        text("UPDATE workspace SET gross_margin = :margin WHERE id = :id"),
        {"id": workspace, "margin": margin},
    )


async def list_workspaces(tx: Tx, *, after: str, limit: int) -> list[str]:
    """The next workspaces by id, the settings of which are known."""
    found = await rows(
        tx,
        "SELECT id FROM workspace WHERE id > :after ORDER BY id LIMIT :limit",
        {"after": after, "limit": limit},
    )
    return [row.id for row in found]
