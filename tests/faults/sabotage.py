"""Runs a service with a protection taken away, or with a fault at a chosen instruction.

    python -m tests.faults.sabotage --without cas --without inbox -- tests.faults.toy run
    python -m tests.faults.sabotage --die-at after_cas --nth 3 -- services.health run

The product has no switches for this: functions of it are replaced here, in a process of the tests
alone, before its own main begins. A name that is no longer there ends the start with one line.
"""

import argparse
import asyncio
import importlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

Function = Callable[..., Any]


def replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put `make(what stands there)` in the place of `owner.name`."""
    if not hasattr(owner, name):
        sys.exit(f"sabotage: {getattr(owner, '__name__', owner)} has no {name} any more")
    setattr(owner, name, make(getattr(owner, name)))


# --- protections ---------------------------------------------------------------------------------


def without_cas() -> None:
    """Offsets are moved wherever they stand: a zombie is not noticed."""
    from sqlalchemy import text  # noqa: PLC0415

    from shared.bus import tables  # noqa: PLC0415

    async def move(tx: Any, group: str, spans: Mapping[Any, Any], *, owner: str) -> Any:
        for place, span in sorted(spans.items()):
            await tx.execute(
                text(
                    "UPDATE consumer_offset SET next_offset = greatest(next_offset, :end),"
                    " owner = :owner WHERE grp = :grp AND topic = :topic AND part = :part"
                ),
                {
                    "end": span.end,
                    "owner": owner,
                    "grp": group,
                    "topic": place.topic,
                    "part": place.number,
                },
            )
        return (await tx.execute(text("SELECT now()"))).scalar_one()

    replace(tables, "advance_offsets", lambda _: move)


def without_inbox() -> None:
    """No id is remembered: a repeat is applied again."""
    from shared.bus import tables  # noqa: PLC0415

    async def claim(_: Any, batch: Sequence[Any], *__: Any, **___: Any) -> Any:
        return list(batch)

    replace(tables, "claim_ids", lambda _: claim)


def without_one_transaction() -> None:
    """Offsets are moved in a transaction of their own, before the effect."""
    from shared.bus import tables  # noqa: PLC0415

    def apart(advance: Function) -> Function:
        async def move(tx: Any, *arguments: Any, **options: Any) -> Any:
            async with tx.engine.begin() as own:
                return await advance(own, *arguments, **options)

        return move

    replace(tables, "advance_offsets", apart)


def without_outbox_cursor() -> None:
    """The relay goes by id alone: what commits late with a low id is passed over."""
    from sqlalchemy import text  # noqa: PLC0415

    from shared.bus import tables  # noqa: PLC0415
    from shared.bus.tables import OutboxRow  # noqa: PLC0415

    last = 0

    async def by_id(tx: Any, limit: int) -> Any:
        nonlocal last
        found = await tx.execute(
            text(
                "SELECT day, id, topic, key, payload FROM outbox WHERE id > :last"
                " ORDER BY id LIMIT :limit"
            ),
            {"last": last, "limit": limit},
        )
        rows = [OutboxRow(r.day, r.id, r.topic, r.key, bytes(r.payload)) for r in found]
        last = max((row.id for row in rows), default=last)
        return rows

    replace(tables, "list_outbox", lambda _: by_id)


def without_relay_fence() -> None:
    """A relay that lost its lease deletes all the same."""
    from shared.bus import tables  # noqa: PLC0415

    async def held(*_: Any, **__: Any) -> None:
        return None

    replace(tables, "hold_lease", lambda _: held)


def without_pause_first() -> None:
    """Records may come before our own offsets are known."""
    from shared.bus.kafka import reader  # noqa: PLC0415

    def assigned(self: Any, _: Any) -> None:
        self._placed.clear()

    replace(reader._PauseFirst, "on_partitions_assigned", lambda _: assigned)


def without_ack_wait() -> None:
    """The edge answers 200 before anything is durable."""
    from services.ingest.api.delivery import Delivery  # noqa: PLC0415

    async def stand(*_: Any, **__: Any) -> None:
        return None

    replace(Delivery, "stand", lambda _: stand)


def without_acks_of_all() -> None:
    """One broker's word is enough for a 200."""
    _make_producers_with(acks=1, enable_idempotence=False)


def without_request_bounds() -> None:
    """The producer waits a minute and a half for a broker that says nothing."""
    _make_producers_with(request_timeout_ms=90_000)


def _make_producers_with(**settings: Any) -> None:
    from aiokafka import AIOKafkaProducer  # noqa: PLC0415

    def made_so(make: Function) -> Function:
        return lambda self, **options: make(self, **{**options, **settings})

    replace(AIOKafkaProducer, "__init__", made_so)


def without_producer_supervisor() -> None:
    """A wedged producer of the edge is kept for ever."""
    connection = importlib.import_module("shared.bus.kafka.connection")
    replace(connection.Connection, "_replace", lambda _: lambda *_: None)


def without_spill_write() -> None:
    """The spill says that it has written what it has not."""
    spill = importlib.import_module("services.ingest.store.spill")

    def append(*_: Any) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    replace(spill.DiskSpill, "append", lambda _: append)


def without_watchdog() -> None:
    """Nobody looks whether the loop and the lanes get on."""
    from shared.service.watchdog import LaneWatchdog, LoopWatchdog  # noqa: PLC0415

    async def rest(_: Any, stopping: asyncio.Event) -> None:
        await stopping.wait()

    replace(LoopWatchdog, "_watch", lambda _: lambda *_: None)
    replace(LaneWatchdog, "run", lambda _: rest)


def without_sorted_locks() -> None:
    """The toy locks its shared rows in any order."""
    from tests.faults import toy  # noqa: PLC0415

    def shuffled(keys: Any) -> Iterator[Any]:
        drawn = list(keys)
        random.shuffle(drawn)
        for key in drawn:
            yield key
            time.sleep(0.02)  # so that another process can come in between

    replace(toy, "in_lock_order", lambda _: shuffled)


def without_second_look() -> None:
    """A commit without a reply counts as one that did not happen."""
    from shared.bus.commit import SliceCommit  # noqa: PLC0415

    async def no(*_: Any) -> bool:
        return False

    replace(SliceCommit, "stands", lambda _: no)


def without_retries() -> None:
    """What passes by itself is taken for the fault of a record."""
    from shared.bus import consumer  # noqa: PLC0415
    from shared.bus.retry import Family  # noqa: PLC0415

    replace(consumer, "family", lambda _: lambda _: Family.PERMANENT)


def without_forgetting_last() -> None:
    """The relay forgets events when it has read them, not when Kafka has them."""
    from shared.bus import tables  # noqa: PLC0415

    def forgetful(read: Function) -> Function:
        async def read_and_forget(tx: Any, limit: int) -> Any:
            waiting = await read(tx, limit)
            await tables.delete_outbox(tx, waiting)
            return waiting

        return read_and_forget

    replace(tables, "list_outbox", forgetful)


def without_own_offsets() -> None:
    """Kafka's group says from where to read, and nobody compares."""
    from aiokafka import TopicPartition  # noqa: PLC0415

    from shared.bus.consumer import Consumer  # noqa: PLC0415

    async def place(self: Any) -> None:
        assigned = self.state.assigned = self._reader.assigned()
        for lost in self._positions.keys() - assigned:
            del self._positions[lost]
        told = self._reader._consumer.committed
        new = self._reader.unplaced() | (assigned - self._positions.keys())
        known = {place: await told(TopicPartition(*place)) or 0 for place in new}
        self._positions |= known
        self._reader.place(known)
        self.state.placed = True

    replace(Consumer, "_place_assigned", lambda _: place)
    without_cas()


def without_stop_at_lost_offset() -> None:
    """Where our offset is gone, reading goes on at the oldest that is there."""
    from shared.bus.consumer import Consumer  # noqa: PLC0415

    replace(Consumer, "refuse", lambda _: lambda *_: None)
    _consume_with(auto_offset_reset="earliest")


def without_breaker() -> None:
    """However many records are given up in a row, the lane goes on."""
    from shared.bus.breaker import Breaker  # noqa: PLC0415

    replace(Breaker, "allows", lambda _: lambda _, batch: len(batch.entries))
    replace(Breaker, "trip", lambda _: lambda _: None)


def without_isolation() -> None:
    """A batch with a bad record is given up whole."""
    from shared.bus.consumer import Consumer  # noqa: PLC0415
    from shared.bus.slices import Slice  # noqa: PLC0415
    from shared.bus.tables import dead_letter  # noqa: PLC0415

    async def give_up(self: Any, batch: Any, error: Exception, _: Any) -> None:
        letters = [
            dead_letter(self.lane.name, entry.record, None, code="given_up", message=str(error))
            for entry in batch.entries
        ]
        await self._commit.apply(Slice(batch.spans, ()), given_up=letters)
        self._passed(batch)

    replace(Consumer, "_isolate", lambda _: give_up)


def without_orderly_stop() -> None:
    """SIGTERM ends the process where it stands, as if nothing were on its way."""
    from shared.bus.kafka import batches  # noqa: PLC0415
    from shared.service import running  # noqa: PLC0415

    def at_once(*_: Any, **__: Any) -> None:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

    replace(running, "stop_on_signals", lambda _: at_once)
    # What stands in an open batch is what an orderly stop would have sent.
    replace(batches, "FLUSH_SECONDS", lambda _: 0.5)


def without_uncertainty() -> None:
    """No answer to a letter is taken for a no, and the letter sent again."""
    from services.cadence.model.delivery import Ended, Outcome  # noqa: PLC0415
    from services.cadence.schedule import handover  # noqa: PLC0415

    def certain(after: Function) -> Function:
        def follow(ended: Ended, **facts: Any) -> Any:
            if ended.outcome is Outcome.UNKNOWN:
                ended = Ended(outcome=Outcome.REFUSED_FOR_NOW, provider=ended.provider)
            return after(ended, **facts)

        return follow

    replace(handover, "after", certain)


def without_handing_over() -> None:
    """A letter goes out and the table does not say so before."""
    from services.cadence.store import messages  # noqa: PLC0415

    async def say_nothing(_: Any, handed: Sequence[Any], **__: Any) -> Any:
        return {step.message.key for step in handed}

    replace(messages, "save_handed_over", lambda _: say_nothing)


def without_database_clock() -> None:
    """What is due is decided by the process's own clock."""
    from services.cadence.store import messages  # noqa: PLC0415
    from shared import clock  # noqa: PLC0415

    async def own_now(_: Any) -> Any:
        return clock.utc_now()

    replace(messages, "get_now", lambda _: own_now)


def without_public_addresses() -> None:
    """Webhooks go wherever a name leads, and to any port."""
    from services.cadence.channels import outbound  # noqa: PLC0415

    replace(outbound, "is_public", lambda _: lambda _text: True)
    replace(outbound, "PORTS", lambda _: range(65_536))


PROTECTIONS: Mapping[str, Callable[[], None]] = {
    "cas": without_cas,
    "inbox": without_inbox,
    "one_transaction": without_one_transaction,
    "outbox_cursor": without_outbox_cursor,
    "relay_fence": without_relay_fence,
    "pause_first": without_pause_first,
    "ack_wait": without_ack_wait,
    "acks_of_all": without_acks_of_all,
    "request_bounds": without_request_bounds,
    "producer_supervisor": without_producer_supervisor,
    "spill_write": without_spill_write,
    "watchdog": without_watchdog,
    "sorted_locks": without_sorted_locks,
    "second_look": without_second_look,
    "retries": without_retries,
    "forgetting_last": without_forgetting_last,
    "own_offsets": without_own_offsets,
    "stop_at_lost_offset": without_stop_at_lost_offset,
    "breaker": without_breaker,
    "isolation": without_isolation,
    "orderly_stop": without_orderly_stop,
    "uncertainty": without_uncertainty,
    "handing_over": without_handing_over,
    "database_clock": without_database_clock,
    "public_addresses": without_public_addresses,
}


# --- faults at a point ---------------------------------------------------------------------------


class Fuse:
    """Does `act` at the `nth` pass of a point, or at each pass with a probability."""

    def __init__(
        self, point: str, act: Callable[[], None], *, nth: int | None, probability: float, seed: str
    ) -> None:
        self._point = point
        self._act = act
        self._nth = nth
        self._probability = probability
        self._chance = random.Random(seed)
        self._passes = 0

    def __call__(self) -> None:
        self._passes += 1
        if self._nth is not None:
            due = self._passes == self._nth
        else:
            due = self._chance.random() < self._probability
        if due:
            fired = {"event": "sabotage_fired", "point": self._point, "pass": self._passes}
            print(json.dumps(fired), flush=True)
            self._act()


def before(owner: Any, name: str, fuse: Fuse) -> None:
    """The fuse is passed whenever the function is called."""

    def wrap(function: Function) -> Function:
        async def passed(*arguments: Any, **options: Any) -> Any:
            fuse()
            return await function(*arguments, **options)

        return passed

    replace(owner, name, wrap)


def after(owner: Any, name: str, fuse: Fuse) -> None:
    """The fuse is passed whenever the function has answered."""

    def wrap(function: Callable[..., Awaitable[Any]]) -> Function:
        async def passed(*arguments: Any, **options: Any) -> Any:
            answer = await function(*arguments, **options)
            fuse()
            return answer

        return passed

    replace(owner, name, wrap)


def around_commit(fuse: Fuse, *, is_before: bool) -> None:
    """The fuse is passed at the commit of transactions that moved an offset."""
    from shared import db  # noqa: PLC0415
    from shared.bus import tables  # noqa: PLC0415

    moving: set[int] = set()

    def noting(advance: Function) -> Function:
        async def move(tx: Any, *arguments: Any, **options: Any) -> Any:
            moved = await advance(tx, *arguments, **options)
            moving.add(id(tx))
            return moved

        return move

    def watched(transaction: Function) -> Function:
        @asynccontextmanager
        async def open_one(self: Any) -> AsyncIterator[Any]:
            moved = False
            async with transaction(self) as tx:
                moving.discard(id(tx))
                yield tx
                moved = id(tx) in moving
                if moved and is_before:
                    fuse()
            if moved and not is_before:
                fuse()

        return open_one

    replace(tables, "advance_offsets", noting)
    replace(db.Database, "transaction", watched)


def light(point: str, fuse: Fuse) -> None:
    """Lay the fuse at a point."""
    from shared.bus import tables  # noqa: PLC0415
    from shared.bus.kafka.reader import KafkaReader  # noqa: PLC0415
    from shared.bus.kafka.writer import KafkaWriter  # noqa: PLC0415

    match point:
        case "before_cas":
            before(tables, "advance_offsets", fuse)
        case "after_cas":
            after(tables, "advance_offsets", fuse)
        case "before_commit":
            around_commit(fuse, is_before=True)
        case "after_commit":
            around_commit(fuse, is_before=False)
        case "before_report":
            before(KafkaReader, "report", fuse)
        case "before_publish":  # of the relay, when it has read what waits
            before(KafkaWriter, "publish", fuse)
        case "after_ack":  # of the relay, before it forgets what it has published
            after(KafkaWriter, "publish", fuse)
        case _:  # before_answer: of the edge, between Kafka's ack and the 200
            from services.ingest.api.delivery import Delivery  # noqa: PLC0415

            after(Delivery, "stand", fuse)


CONSUMER_POINTS = ("before_cas", "after_cas", "before_commit", "after_commit", "before_report")
POINTS = (*CONSUMER_POINTS, "before_publish", "after_ack", "before_answer")


def _set_clock(hours: float) -> None:
    """The process's own clock, as our code reads it, is wrong by so many hours."""
    from shared import clock  # noqa: PLC0415

    true_time, true_now = time.time, clock.utc_now
    replace(clock, "utc_now", lambda _: lambda: true_now() + timedelta(hours=hours))
    replace(time, "time", lambda _: lambda: true_time() + hours * 3600)


def die() -> None:
    """Gone at this instruction."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # the signal is on its way


def stand_still() -> None:
    """Alive, and doing nothing from this instruction on, until SIGCONT."""
    os.kill(os.getpid(), signal.SIGSTOP)


# --- the command line ----------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description="Run a service with a protection taken away.")
    parser.add_argument("--without", action="append", default=[], choices=PROTECTIONS)
    parser.add_argument("--die-at", action="append", default=[], choices=POINTS)
    parser.add_argument("--stop-at", action="append", default=[], choices=POINTS)
    parser.add_argument("--stall-at", action="append", default=[], choices=POINTS)
    parser.add_argument("--stall-seconds", type=float, default=15.0)
    parser.add_argument("--nth", type=int, help="at this pass of the point, once a life")
    parser.add_argument("--probability", type=float, default=0.1, help="at each pass, without nth")
    parser.add_argument("--only-life", type=int, help="faults fire in this life alone")
    parser.add_argument("--in-turn", action="store_true", help="of several faults one each life")
    parser.add_argument(
        "--quick-group",
        action="store_true",
        help="the group misses a dead member after 6 s and waits 2 s for one, not 20 and 5",
    )
    parser.add_argument("--assign-seconds", type=float, help="the callback of an assignment lasts")
    parser.add_argument("--clock-hours", type=float, help="the process's own clock is wrong by")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--life", type=int, default=0, help="set by the supervisor")
    parser.add_argument("service", nargs="+", help="-- module and arguments")
    told = parser.parse_args()
    for name in told.without:
        PROTECTIONS[name]()
    if told.quick_group:
        _miss_members_soon()
    if told.clock_hours:
        _set_clock(told.clock_hours)
    if told.assign_seconds:
        _assign_slowly(told.assign_seconds)
    acts: list[tuple[str, Callable[[], None]]] = [
        *((point, die) for point in told.die_at),
        *((point, stand_still) for point in told.stop_at),
        *((point, lambda: time.sleep(told.stall_seconds)) for point in told.stall_at),
    ]
    if told.in_turn:
        acts = [acts[told.life % len(acts)]]
    for point, act in acts if told.only_life in (None, told.life) else ():
        seed = f"{told.seed}/{told.life}/{point}"
        light(point, Fuse(point, act, nth=told.nth, probability=told.probability, seed=seed))
    name, *arguments = told.service
    sys.argv = [name, *arguments]
    run(name)


def run(name: str) -> None:
    """What `python -m name` does, with the module imported, so that its names can be replaced."""
    module = importlib.import_module(name)
    if hasattr(module, "__path__"):
        module = importlib.import_module(f"{name}.__main__")
    module.main(module.build)


def _miss_members_soon() -> None:
    """As the product's own settings, scaled down: a smoke row cannot wait half a minute."""
    _consume_with(
        heartbeat_interval_ms=1_000,
        rebalance_timeout_ms=2_000,
        request_timeout_ms=5_500,
        session_timeout_ms=6_000,  # the least that a broker allows
    )


def _consume_with(**otherwise: Any) -> None:
    """Readers with other settings than the product's."""
    from shared.bus.kafka import reader  # noqa: PLC0415

    replace(
        reader,
        "AIOKafkaConsumer",
        lambda make: lambda *words, **options: make(*words, **{**options, **otherwise}),
    )


def _assign_slowly(seconds: float) -> None:
    """The callback of an assignment lasts; records that come before their place are told of."""
    from shared.bus.kafka import reader  # noqa: PLC0415

    def slow(assigned: Function) -> Function:
        async def last(self: Any, places: Any) -> None:
            assigned(self, places)
            print(json.dumps({"event": "assigned_slowly", "partitions": len(places)}), flush=True)
            await asyncio.sleep(seconds)

        return last

    def watched(fetch: Function) -> Function:
        async def look(self: Any, **options: Any) -> Any:
            fetched = await fetch(self, **options)
            for place in fetched.keys() - self._placed:
                told = {"event": "record_before_place", "partition": place.number}
                print(json.dumps(told), flush=True)
            return fetched

        return look

    replace(reader._PauseFirst, "on_partitions_assigned", slow)
    replace(reader.KafkaReader, "fetch", watched)


if __name__ == "__main__":
    main()
