"""Events that a request causes: queued in the transaction that changes what they tell of."""

from collections.abc import Sequence

from shared.bus import tables
from shared.bus.record import outgoing
from shared.db import Tx
from shared.events.base import Caused


async def append_caused(tx: Tx, caused: Sequence[Caused]) -> None:
    """Let the relay publish these once the transaction stands."""
    await tables.append_outbox(tx, [outgoing(event, source="/nps") for event in caused])
