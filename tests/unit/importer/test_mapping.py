"""How a row's columns become a Segment event."""

from datetime import UTC, datetime

import pytest

from importer.errors import Usage
from importer.mapping import (
    ColumnMapping,
    Kind,
    TimeUnit,
    Unmappable,
    instant,
    parse_assignments,
)

TRACK = ColumnMapping(
    columns={"time": "ts", "account": "org", "user": "seat", "event": "action"},
)
ROW = {"ts": "1276191547", "org": "acme", "seat": "u-1", "action": "commit"}


def test_row_becomes_a_track_call_of_its_account():
    mapping = ColumnMapping(columns={**TRACK.columns, "feature": "screen", "properties.files": "n"})

    event = mapping.event({**ROW, "screen": "reports", "n": "12"})

    assert event == {
        "type": "track",
        "timestamp": "2010-06-10T17:39:07Z",
        "context": {"groupId": "acme"},
        "userId": "u-1",
        "event": "commit",
        "properties": {"feature": "reports", "files": 12},
    }


def test_row_becomes_a_group_call_with_traits():
    mapping = ColumnMapping(
        kind=Kind.GROUP,
        columns={"account": "id", "user": "admin", "traits.plan": "plan", "traits.seats": "seats"},
    )

    event = mapping.event({"id": "acme", "admin": "u-1", "plan": "team", "seats": "40"})

    assert event == {
        "type": "group",
        "groupId": "acme",
        "userId": "u-1",
        "traits": {"plan": "team", "seats": 40},
    }


def test_list_of_accounts_needs_no_people():
    mapping = ColumnMapping(kind=Kind.GROUP, columns={"account": "id"})

    event = mapping.event({"id": "acme"})

    assert event == {"type": "group", "groupId": "acme", "anonymousId": "acme"}


def test_dotted_column_reaches_into_nested_objects():
    mapping = ColumnMapping(columns={**TRACK.columns, "user": "actor.id"})

    event = mapping.event({**ROW, "actor": {"id": 42}})

    assert event["userId"] == "42"


def test_column_that_bears_the_dotted_name_itself_is_preferred():
    mapping = ColumnMapping(columns={**TRACK.columns, "user": "actor.id"})

    event = mapping.event({**ROW, "actor.id": "flat", "actor": {"id": "nested"}})

    assert event["userId"] == "flat"


def test_constant_stands_where_the_column_is_empty():
    mapping = ColumnMapping(columns=TRACK.columns, constants={"event": "Used"})

    assert mapping.event({**ROW, "action": ""})["event"] == "Used"
    assert mapping.event(ROW)["event"] == "commit"


@pytest.mark.parametrize("target", ["ts", "seat", "action"])
def test_row_without_a_required_value_makes_no_event(target: str):
    missing = {"ts": "missing_time", "seat": "missing_user", "action": "missing_event"}

    with pytest.raises(Unmappable) as raised:
        TRACK.event({**ROW, target: ""})

    assert raised.value.code == missing[target]


def test_row_without_account_is_sent_for_the_person_alone():
    event = TRACK.event({**ROW, "org": ""})

    assert "context" not in event


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("12", 12),
        ("-1.5", -1.5),
        ("0", 0),
        ("007", "007"),
        ("+49", "+49"),
        ("1e5", "1e5"),
        ("true", True),
        ("True", "True"),
        ("12 ", "12 "),
    ],
)
def test_cell_becomes_a_number_only_where_it_plainly_is_one(cell: str, value: object):
    mapping = ColumnMapping(columns={**TRACK.columns, "properties.x": "x"})

    assert mapping.event({**ROW, "x": cell})["properties"] == {"x": value}


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("1276191547", TimeUnit.AUTO),
        ("1276191547", TimeUnit.SECONDS),
        ("1276191547.0", TimeUnit.AUTO),
        (1276191547, TimeUnit.AUTO),
        ("1276191547000", TimeUnit.AUTO),
        ("1276191547000", TimeUnit.MILLISECONDS),
        ("2010-06-10T17:39:07Z", TimeUnit.AUTO),
        ("2010-06-10T19:39:07+02:00", TimeUnit.AUTO),
        ("2010-06-10 17:39:07", TimeUnit.AUTO),
        ("2010-06-10T17:39:07Z", TimeUnit.RFC3339),
    ],
)
def test_time_is_read_in_every_usual_form(text: object, unit: TimeUnit):
    assert instant(text, unit) == datetime(2010, 6, 10, 17, 39, 7, tzinfo=UTC)


def test_numbers_below_a_hundred_thousand_million_are_seconds():
    assert instant("99999999999", TimeUnit.AUTO).year == 5138
    assert instant("100000000000", TimeUnit.AUTO) == datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)


def test_date_alone_is_its_midnight_in_utc():
    assert instant("2025-04-01", TimeUnit.AUTO) == datetime(2025, 4, 1, tzinfo=UTC)


@pytest.mark.parametrize("value", ["", "soon", "nan", "inf", "1e300", True, None, [1], "2025-2-02"])
def test_what_is_no_time_is_told_with_its_value(value: object):
    with pytest.raises(Unmappable, match="is no time") as raised:
        instant(value, TimeUnit.AUTO)

    assert raised.value.code == "invalid_time"


def test_number_under_rfc3339_is_no_time():
    with pytest.raises(Unmappable):
        instant("1276191547", TimeUnit.RFC3339)


def test_columns_that_bear_a_targets_name_are_taken_by_themselves():
    mapping = ColumnMapping(columns={"time": "ts"}).for_columns(["ts", "account", "user", "n"])

    assert mapping.columns == {"time": "ts", "account": "account", "user": "user"}


def test_explicit_column_is_not_replaced_by_one_of_the_targets_name():
    mapping = ColumnMapping(columns={"account": "org"}).for_columns(["account", "org"])

    assert mapping.columns == {"account": "org"}


def test_what_every_event_needs_and_nothing_gives_is_named():
    assert ColumnMapping(columns={"time": "ts"}).unfilled_targets() == [
        "event",
        "user or anonymous",
    ]


def test_target_of_another_kind_is_named():
    mapping = ColumnMapping(kind=Kind.GROUP, columns={"account": "id", "event": "e"})

    assert mapping.foreign_targets() == ["event"]


@pytest.mark.parametrize("text", ["time", "=ts", "time=", "colour=c", "properties=p", "traits.=t"])
def test_assignment_that_cannot_be_understood_names_itself(text: str):
    with pytest.raises(Usage, match="cannot map"):
        parse_assignments([text])


def test_target_mapped_twice_is_refused():
    with pytest.raises(Usage, match="twice"):
        parse_assignments(["time=a", "time=b"])
