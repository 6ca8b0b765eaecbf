"""Dead letters are listed page by page, newest first, each once, for their own workspace."""

from shared.bus import tables
from shared.bus.memory import MemoryReader
from shared.db import Database
from tests.bus.conftest import Toy, drain, log_of, toy_consumer


async def test_pages_hold_every_dead_letter_once_though_a_batch_shares_its_time(database: Database):
    reader = MemoryReader(log_of([b"{"] * 7))
    await drain(toy_consumer(database, Toy(), reader), reader)
    found: list[str] = []
    after = None

    async with database.transaction() as tx:
        while page := await tables.list_dead_letters(tx, "w1", after=after, limit=3):
            found += [str(row.id) for row in page]
            after = (page[-1].dead_at, str(page[-1].id))
        others = await tables.list_dead_letters(tx, "w2", after=None, limit=3)

    assert len(found) == len(set(found)) == 7
    assert others == []
