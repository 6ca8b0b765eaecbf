"""Up to where every fact is folded: what makes an answer as of a record time final."""

from datetime import datetime

from sqlalchemy import text

from shared.db import Tx, rows


async def get_known_until(tx: Tx) -> datetime | None:
    """The instant up to which every fact is in; None while that was never looked at."""
    found = await rows(tx, "SELECT known_until FROM tide")
    return found[0].known_until if found else None


async def save_known_until(tx: Tx, known_until: datetime) -> None:
    """Note that every fact up to `known_until` is in; it never goes back."""
    await tx.execute(
        text(
            "INSERT INTO tide (known_until) VALUES (:known_until) ON CONFLICT (one)"
            " DO UPDATE SET known_until = greatest(tide.known_until, excluded.known_until)"
        ),
        {"known_until": known_until},
    )
