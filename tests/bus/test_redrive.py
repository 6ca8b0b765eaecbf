"""A dead letter is applied once its cause is mended: once, by its own workspace, with an audit."""

import pytest

from shared.bus.memory import MemoryReader
from shared.bus.redrive import AlreadyRedriven, DeadLetterUnknown, StillBroken, redrive
from shared.db import Database, rows
from shared.errors import PermanentError
from tests.bus.conftest import Toy, drain, log_of, seen, toy_consumer, wire


class TooOdd(PermanentError):
    code = "too_odd"


def refuse_all(_: object) -> None:
    raise TooOdd("not today")


async def give_up(database: Database, value: bytes) -> str:
    """Id of the dead letter that `value` becomes."""
    reader = MemoryReader(log_of([value]))
    await drain(toy_consumer(database, Toy(failing=refuse_all), reader), reader)
    async with database.transaction() as tx:
        return str((await rows(tx, "SELECT id FROM dead_letter"))[0].id)


async def redrive_with(database: Database, toy: Toy, letter: str, workspace: str | None = "w1"):
    async with database.transaction() as tx:
        await redrive(tx, "metrics", [toy.lane()], letter, workspace=workspace, by="key-1")


async def test_a_mended_fold_applies_the_dead_letter_once(database: Database):
    letter = await give_up(database, wire("default 1"))

    await redrive_with(database, Toy(), letter)

    assert await seen(database) == [("w1", "acme", "default 1")]
    with pytest.raises(AlreadyRedriven):
        await redrive_with(database, Toy(), letter)
    assert len(await seen(database)) == 1


async def test_a_fold_that_still_fails_leaves_the_dead_letter_as_it_was(database: Database):
    letter = await give_up(database, wire("default 1"))

    with pytest.raises(TooOdd):
        await redrive_with(database, Toy(failing=refuse_all), letter)

    await redrive_with(database, Toy(), letter)
    assert len(await seen(database)) == 1


async def test_another_workspace_cannot_see_it(database: Database):
    letter = await give_up(database, wire("default 1"))

    for other in ("w2", ""):
        with pytest.raises(DeadLetterUnknown):
            await redrive_with(database, Toy(), letter, workspace=other)
    with pytest.raises(DeadLetterUnknown):
        await redrive_with(database, Toy(), "no uuid at all")


async def test_bytes_that_are_no_event_stay_dead_and_keep_their_workspace(database: Database):
    letter = await give_up(database, b"{broken")

    with pytest.raises(StillBroken):
        await redrive_with(database, Toy(), letter, workspace="w1")
