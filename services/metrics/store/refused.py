"""The facts that count nowhere because their subscription is another account's, in order."""

from datetime import datetime
from typing import NamedTuple

from services.metrics.model.knowledge import END_OF_TIME, Refused, refused_at
from services.metrics.store.claimants import list_claimants
from services.metrics.store.knowledge import get_knowledge
from shared.db import Tx

CLAIMANTS_AT_ONCE = 50  # bounds memory, not the result


class Place(NamedTuple):
    """Where a refused fact stands in the list."""

    sent_for: str
    source: str
    id: str

    @classmethod
    def of(cls, refused: Refused) -> "Place":
        """The place of one that was listed."""
        return cls(refused.sent_for, *refused.name)


BEGINNING = Place("", "", "")


async def list_refused(
    tx: Tx, workspace: str, *, known_at: datetime | None, after: Place, limit: int
) -> list[Refused]:
    """The next refused facts behind `after`, by the account that they name and their own name."""
    found: list[Refused] = []
    passed, and_itself = after.sent_for, True
    while len(found) < limit:
        claimants = await list_claimants(
            tx, workspace, after=passed, and_itself=and_itself, limit=CLAIMANTS_AT_ONCE
        )
        known = await get_knowledge(tx, workspace, claimants) if claimants else {}
        for account in claimants:
            found += [
                refused
                for refused in refused_at(known[account], known_at or END_OF_TIME)
                if refused.sent_for == account and Place.of(refused) > after
            ]
        if len(claimants) < CLAIMANTS_AT_ONCE:
            break
        passed, and_itself = claimants[-1], False
    return found[:limit]
