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
    name: Table(name=name, columns=("id",), given=("id",), is_partitioned=False)
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


def test_a_table_that_nobody_speaks_of_is_compared():
    compared = {found.name for found in rules_of(service(), TABLES).compared}

    assert {"account", "key", "progress"} <= compared


def test_what_operations_have_done_is_not_compared_row_by_row():
    compared = {found.name for found in rules_of(service(), TABLES).compared}

    assert compared.isdisjoint({"consumer_offset", "lease", "outbox", "dead_letter_audit"})
    assert {"inbox", "dead_letter"} <= compared  # by their ids, and by those that are open


def test_owned_tables_are_copied_and_outliving_ones_compared_too():
    rules = rules_of(service(owned=["key"], outliving=["progress"]), TABLES)

    assert [table.name for table in rules.owned] == ["key"]
    assert [table.name for table in rules.outliving] == ["progress"]
    assert "key" not in {found.name for found in rules.compared}
    assert "progress" in {found.name for found in rules.compared}


def test_a_table_that_does_not_exist_is_refused():
    with pytest.raises(UnknownTable, match="toy has no table accounts"):
        rules_of(service(owned=["accounts"]), TABLES)


def test_ids_are_compared_as_far_as_every_topic_reaches():
    forever = Lane(name="a", topics=(topic(None),), folds=())
    short = Lane(name="b", topics=(topic(60), topic(7)), folds=())

    assert shortest_days([forever]) is None
    assert shortest_days([forever, short]) == 7
