"""The made events: alike in every run, and understood by those that are measured."""

from datetime import UTC, datetime

import msgspec
from aiokafka import ConsumerRecord

from bench.events import HOT, WIDE, Body, Happening, Use, as_published, happenings
from bench.peers.fastapi_ingest import Batch
from shared.bus.record import decoder
from shared.events.base import Received
from shared.events.ingest import UsageTracked

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def made(count: int, use: Use = HOT) -> list[Happening]:
    return list(happenings(use, count, until=NOON, seed=3))


def test_same_seed_makes_the_same_use():
    assert made(50) == made(50)


def test_use_comes_in_the_order_of_time_but_for_two_minutes():
    instants = [happening.at for happening in made(2000, WIDE)]

    latest = instants[0]
    for instant in instants:
        assert (latest - instant).total_seconds() < 120
        latest = max(latest, instant)


def test_hot_use_has_a_fifth_of_the_account_days_of_wide_use():
    hot = {(happening.account, happening.at.date()) for happening in made(60_000)}
    wide = {(happening.account, happening.at.date()) for happening in made(60_000, WIDE)}

    assert len(hot) < len(wide) / 4


def test_numbering_changes_the_message_ids_and_nothing_else():
    body = Body(made(3), run="run")

    first, second = msgspec.json.decode(body.numbered_from(0)), body.numbered_from(3)

    sent = msgspec.json.decode(second)["batch"]
    assert [event["messageId"] for event in sent] == [
        "run-000000000003",
        "run-000000000004",
        "run-000000000005",
    ]
    assert [event | {"messageId": ""} for event in sent] == [
        event | {"messageId": ""} for event in first["batch"]
    ]


def test_body_is_valid_for_the_plain_form():
    batch = Batch.model_validate_json(Body(made(20), run="run").numbered_from(0))

    assert len(batch.batch) == 20


def test_record_is_an_event_to_our_decoder():
    (happening,) = made(1)
    key, value = as_published(happening, 7)
    now_ms = int(NOON.timestamp() * 1000)
    record = ConsumerRecord(
        "ingest.usage.v1", 0, 0, now_ms, 1, key.encode(), value, None, len(key), len(value), ()
    )

    received = decoder([UsageTracked])(record)

    assert isinstance(received, Received)
    assert received.envelope.subject == happening.account
    assert received.event.feature == happening.feature
