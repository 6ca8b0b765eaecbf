"""One look at all tables: what is committed meanwhile is not seen by half."""

from sqlalchemy import text

from shared.db import Tx


async def take_snapshot(tx: Tx) -> None:
    """Let everything that the transaction reads from now on be of one instant.

    It must not have read anything yet, and cannot write.
    """
    await tx.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
