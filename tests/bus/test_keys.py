"""How keys reach the services that do not issue them, whatever compaction has left of the topic."""

from datetime import UTC, datetime
from typing import Any

from shared.auth import fold_keys
from shared.db import Database, rows
from shared.events.ingest import KeyIssued, KeyRevoked
from tests.unit.health.builders import received

AT = datetime(2026, 1, 5, tzinfo=UTC)
LATER = datetime(2026, 2, 5, tzinfo=UTC)
ISSUED = KeyIssued(key_id="k1", prefix="ms_read_k1", sha256="00", scopes=["read"], source="default")
REVOKED = KeyRevoked(key_id="k1", revoked_at=LATER, issued=ISSUED, issued_at=AT)


async def folded(database: Database, *events: Any) -> list[tuple[Any, ...]]:
    """The keys that these events leave in an empty table."""
    async with database.transaction() as tx:
        await fold_keys(tx, [received(event, at, account=None) for event, at in events])
        found = [tuple(row) for row in await rows(tx, "SELECT * FROM api_key")]
        await tx.rollback()
        return found


async def test_a_withdrawal_alone_tells_all_of_its_key(database: Database):
    whole = await folded(database, (ISSUED, AT), (REVOKED, LATER))

    compacted = await folded(database, (REVOKED, LATER))

    assert compacted == whole
    assert len(whole) == 1


async def test_a_withdrawal_of_former_times_still_withdraws(database: Database):
    former = KeyRevoked(key_id="k1", revoked_at=LATER)

    (key,) = await folded(database, (ISSUED, AT), (former, LATER))

    assert LATER in key
