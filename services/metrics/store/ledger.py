"""The row of a workspace that whoever writes its books holds, and what is counted in it."""

from typing import NamedTuple

from sqlalchemy import text

from shared.db import Tx, rows

DEFAULT_ZONE = "UTC"  # until the settings of a workspace are known here


class Ledger(NamedTuple):
    """The books of a workspace, locked. `time_zone`: the one that its rollups are kept in."""

    workspace: str
    time_zone: str


async def load_ledger(tx: Tx, workspace: str) -> Ledger:
    """The ledger of `workspace`, locked until the transaction ends; made where it is new."""
    await tx.execute(
        text(
            "INSERT INTO ledger (workspace, time_zone) VALUES (:workspace, coalesce("
            "(SELECT time_zone FROM workspace WHERE id = :workspace), :default))"
            " ON CONFLICT DO NOTHING"
        ),
        {"workspace": workspace, "default": DEFAULT_ZONE},
    )
    (found,) = await rows(
        tx,
        "SELECT time_zone FROM ledger WHERE workspace = :workspace FOR NO KEY UPDATE",
        {"workspace": workspace},
    )
    return Ledger(workspace, found.time_zone)


async def save_zone(tx: Tx, workspace: str, time_zone: str) -> None:
    """Note the zone that the rollups of `workspace` are now kept in."""
    await tx.execute(
        text("UPDATE ledger SET time_zone = :time_zone WHERE workspace = :workspace"),
        {"workspace": workspace, "time_zone": time_zone},
    )


async def add_repeats(tx: Tx, workspace: str, repeats: int) -> None:
    """Count records beyond the first of their facts."""
    if repeats:
        await tx.execute(
            text("UPDATE ledger SET repeats = repeats + :repeats WHERE workspace = :workspace"),
            {"workspace": workspace, "repeats": repeats},
        )
