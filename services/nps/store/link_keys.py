"""What the links of a workspace are signed with."""

from sqlalchemy import text

from shared.db import Tx, rows


async def get_secret(tx: Tx, workspace: str) -> str | None:
    """The secret; None where the workspace never made a link."""
    found = await rows(
        tx, "SELECT secret FROM link_key WHERE workspace = :workspace", {"workspace": workspace}
    )
    return found[0].secret if found else None


async def get_or_keep_secret(tx: Tx, workspace: str, *, drawn: str) -> str:
    """The secret; `drawn` becomes it where there is none."""
    known = await get_secret(tx, workspace)
    if known is not None:
        return known
    await tx.execute(
        text(
            "INSERT INTO link_key (workspace, secret) VALUES (:workspace, :secret)"
            " ON CONFLICT DO NOTHING"
        ),
        {"workspace": workspace, "secret": drawn},
    )
    return await get_secret(tx, workspace) or drawn
