"""What becomes of which table."""

from collections.abc import Sequence

import pytest
from fastapi import APIRouter

from shared.bus.handlers import Lane
from shared.events.base import Topic
from shared.service import Service
from shared.service.rebuild.catalog import Table
from shared.service.rebuild.rules import UnknownTable, rules_of, shortest_days
from shared.settings import ServiceSettings

RUNTIME = ("consumer_offset", "lease", "outbox", "dead_letter", "dead_letter_audit")
TABLES = {
    name: Table(name=name, columns=("id",), given=("id",), key=("id",), is_partitioned=False)
    for name in (*RUNTIME, "inbox", "inbox_kept", "account", "key", "progress")
}


def service(*, owned: Sequence[str] = (), outliving: Sequence[str] = ()) -> Service:
    return Service(
        name="toy",
        description="",
        settings=ServiceSettings(port=0),
        routers=[APIRouter()],
        owned_tables=owned,
        outliving_tables=outliving,
    )


def topic(retention_days: int | None) -> Topic:
    return Topic(
        name="t",
        producer="toy",
        description="",
        key="any",
        partitions=1,
        retention_days=retention_days,
    )


def test_a_table_that_nobody_speaks_of_has_to_be_equal():
    folded = {table.name for table in rules_of(service(), TABLES).folded}

    assert folded == {"account", "key", "progress"}


def test_owned_and_outliving_tables_are_apart():
    rules = rules_of(service(owned=["key"], outliving=["progress"]), TABLES)

    assert [table.name for table in rules.owned] == ["key"]
    assert [table.name for table in rules.outliving] == ["progress"]
    assert [table.name for table in rules.folded] == ["account"]


def test_a_table_that_does_not_exist_is_refused():
    with pytest.raises(UnknownTable, match="toy has no table accounts"):
        rules_of(service(owned=["accounts"]), TABLES)


def test_ids_are_compared_as_far_as_every_topic_reaches():
    forever = Lane(name="a", topics=(topic(None),), folds=())
    short = Lane(name="b", topics=(topic(60), topic(7)), folds=())

    assert shortest_days([forever]) is None
    assert shortest_days([forever, short]) == 7
