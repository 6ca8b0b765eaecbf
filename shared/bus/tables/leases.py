"""Who may do what only one process may do, by the database's clock."""

from sqlalchemy import text

from shared.bus.tables.offsets import Fenced
from shared.db import Tx, rows


async def take_lease(tx: Tx, name: str, *, holder: str, seconds: float) -> int | None:
    """The fence of lease `name`, ours for `seconds` from now; None while another holds it.

    Only the database's clock counts. Whoever took the lease over raised the fence.
    """
    taken = await rows(
        tx,
        "INSERT INTO lease AS l (name, holder, fence, lease_until)"
        " VALUES (:name, :holder, 1, now() + make_interval(secs => :seconds))"
        " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder,"
        " fence = l.fence + CASE WHEN l.holder = excluded.holder THEN 0 ELSE 1 END,"
        " lease_until = excluded.lease_until"
        " WHERE l.holder = excluded.holder OR l.lease_until < now() RETURNING fence",
        {"name": name, "holder": holder, "seconds": seconds},
    )
    return int(taken[0].fence) if taken else None


async def hold_lease(tx: Tx, name: str, *, fence: int) -> None:
    """Lock the lease for this transaction. Raises Fenced when somebody else took it meanwhile."""
    held = await rows(
        tx,
        "SELECT fence FROM lease WHERE name = :name AND fence = :fence FOR UPDATE",
        {"name": name, "fence": fence},
    )
    if not held:
        raise Fenced(f"lease {name} was taken over")


async def is_due(tx: Tx, name: str) -> bool:
    """Whether job lease `name` is due by the database's clock; also when it never ran."""
    found = await rows(
        tx, "SELECT due_at <= now() AS due FROM lease WHERE name = :name", {"name": name}
    )
    return not found or bool(found[0].due)


async def set_due(tx: Tx, name: str, *, in_seconds: float) -> None:
    """Let the job behind lease `name` be due again `in_seconds` from now."""
    await tx.execute(
        text(
            "UPDATE lease SET due_at = now() + make_interval(secs => :seconds) WHERE name = :name"
        ),
        {"name": name, "seconds": in_seconds},
    )
