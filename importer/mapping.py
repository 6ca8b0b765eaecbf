"""From a row's columns to a Segment event: pure, and the only place that knows both forms."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any

from importer.errors import Usage
from shared.clock import format_instant, parse_instant

Columns = Mapping[str, Any]

# Seconds up to the year 5138; milliseconds from 1973 on. Between the two nothing is ambiguous.
FIRST_MILLISECONDS = 1e11
NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d{1,17})?")


class Kind(StrEnum):
    """What each row says, in Segment's words."""

    TRACK = "track"
    PAGE = "page"
    SCREEN = "screen"
    IDENTIFY = "identify"
    GROUP = "group"


class TimeUnit(StrEnum):
    """How the time column is written."""

    AUTO = "auto"
    SECONDS = "s"
    MILLISECONDS = "ms"
    RFC3339 = "rfc3339"


PERSON = ("user", "anonymous")
WHO_AND_WHEN = ("time", "account", *PERSON)
NESTED_TARGETS = ("properties", "traits")
# What can be told of each kind; columns that bear one of these names are taken by themselves.
PLAIN_TARGETS: Mapping[Kind, tuple[str, ...]] = {
    Kind.TRACK: (*WHO_AND_WHEN, "event", "feature"),
    Kind.PAGE: (*WHO_AND_WHEN, "name", "category", "feature"),
    Kind.SCREEN: (*WHO_AND_WHEN, "name", "category", "feature"),
    Kind.IDENTIFY: WHO_AND_WHEN,
    Kind.GROUP: WHO_AND_WHEN,
}
NESTED_TARGET: Mapping[Kind, str] = {
    Kind.TRACK: "properties",
    Kind.PAGE: "properties",
    Kind.SCREEN: "properties",
    Kind.IDENTIFY: "traits",
    Kind.GROUP: "traits",
}
ALL_PLAIN_TARGETS = tuple(
    dict.fromkeys(target for targets in PLAIN_TARGETS.values() for target in targets)
)
# Of each tuple one target must have a value in every row.
REQUIRED: Mapping[Kind, tuple[tuple[str, ...], ...]] = {
    Kind.TRACK: (("time",), ("event",), PERSON),
    Kind.PAGE: (("time",), PERSON),
    Kind.SCREEN: (("time",), PERSON),
    Kind.IDENTIFY: (PERSON,),
    Kind.GROUP: (("account",),),
}


class Unmappable(Exception):
    """The row makes no event. `code` is stable; the message names the column and its value."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnMapping:
    """Which column, or which constant, fills each target of the event."""

    kind: Kind = Kind.TRACK
    time_unit: TimeUnit = TimeUnit.AUTO
    columns: Mapping[str, str] = field(default_factory=dict)
    """Target to column; dots in a column's name reach into nested objects of NDJSON."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Target to the value that it has in every row."""

    def event(self, columns: Columns) -> dict[str, Any]:
        """The event of a row, without message id. Raises Unmappable."""
        found = self.values(columns)
        self._require(found)
        made: dict[str, Any] = {"type": self.kind.value}
        for target, value in found.items():
            PLACES[target.partition(".")[0]](made, target, value, self)
        if self.kind is Kind.GROUP and not found.keys() & {*PERSON}:
            # The form wants a person, a list of accounts has none; an anonymous one is no member.
            made["anonymousId"] = made["groupId"]
        return made

    def values(self, columns: Columns) -> dict[str, Any]:
        """Target to value, for every target that has one in this row; a constant yields."""
        found: dict[str, Any] = dict(self.constants)
        for target, column in self.columns.items():
            value = _value(columns, column)
            if value is not None and value != "":
                found[target] = value
        return found

    def for_columns(self, names: Iterable[str]) -> "ColumnMapping":
        """With columns that bear a target's name taken for it, where nothing else was said."""
        known = {name for name in names if name in PLAIN_TARGETS[self.kind]}
        free = known - self.columns.keys() - self.constants.keys()
        return ColumnMapping(
            kind=self.kind,
            time_unit=self.time_unit,
            columns={**self.columns, **{name: name for name in sorted(free)}},
            constants=self.constants,
        )

    def missing_columns(self, names: Iterable[str]) -> list[str]:
        """Mapped columns that the header does not have."""
        known = set(names)
        return sorted({column for column in self.columns.values() if column not in known})

    def unfilled_targets(self) -> list[str]:
        """What every event of this kind needs and neither a column nor a constant can give."""
        given = self.columns.keys() | self.constants.keys()
        return [" or ".join(any_of) for any_of in REQUIRED[self.kind] if not given & {*any_of}]

    def foreign_targets(self) -> list[str]:
        """Targets that an event of this kind has no place for."""
        nested = f"{NESTED_TARGET[self.kind]}."
        return [
            target
            for target in (*self.columns, *self.constants)
            if target not in PLAIN_TARGETS[self.kind] and not target.startswith(nested)
        ]

    def _require(self, found: Mapping[str, Any]) -> None:
        for any_of in REQUIRED[self.kind]:
            if not any(target in found for target in any_of):
                raise Unmappable(f"missing_{any_of[0]}", f"this row has no {' or '.join(any_of)}")


def parse_assignments(texts: Iterable[str]) -> dict[str, str]:
    """`TARGET=COLUMN` texts as a mapping. Raises Usage for one that cannot be understood."""
    assignments: dict[str, str] = {}
    for text in texts:
        target, equals, rest = (part.strip() for part in text.partition("="))
        first, dot, below = target.partition(".")
        known = target in ALL_PLAIN_TARGETS or (first in NESTED_TARGETS and dot and below)
        if not equals or not rest or not known:
            places = ", ".join([*ALL_PLAIN_TARGETS, *(f"{name}.<key>" for name in NESTED_TARGETS)])
            raise Usage(f"cannot map {text!r}: write TARGET=COLUMN, TARGET one of {places}")
        if target in assignments:
            raise Usage(f"{target} is mapped twice")
        assignments[target] = rest
    return assignments


def instant(value: Any, unit: TimeUnit) -> datetime:
    """The instant that a cell tells, in UTC; without offset it is read as UTC, a date as midnight.

    Raises Unmappable (`invalid_time`).
    """
    try:
        match unit:
            case TimeUnit.SECONDS:
                return _of_seconds(_number(value))
            case TimeUnit.MILLISECONDS:
                return _of_seconds(_number(value) / 1000)
            case TimeUnit.RFC3339:
                return _of_text(value)
            case TimeUnit.AUTO:
                return _of_either(value)
    except (ValueError, TypeError, OverflowError, OSError) as error:
        raise Unmappable("invalid_time", f"{value!r} is no time (--time-unit {unit})") from error


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError("a truth value is no number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _of_seconds(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _of_text(value: Any) -> datetime:
    if not isinstance(value, str):
        raise TypeError("no text")
    if len(value) == len("2026-01-01"):
        return datetime.combine(date.fromisoformat(value), time(), UTC)
    return parse_instant(value)


def _of_either(value: Any) -> datetime:
    try:
        number = _number(value)
    except ValueError:
        return _of_text(value)
    return _of_seconds(number if abs(number) < FIRST_MILLISECONDS else number / 1000)


# --- columns -----------------------------------------------------------------------------------


def _value(columns: Columns, path: str) -> Any:
    """The value of a column; a dotted path reaches into nested objects. None where there is none.

    A column that bears the dotted name itself is preferred.
    """
    if path in columns:
        return columns[path]
    found: Any = columns
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def _identifier(target: str, value: Any) -> str:
    """Ids and names as text. Raises Unmappable for what is neither text nor a number."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unmappable(f"invalid_{target}", f"{value!r} is no {target}")
    return str(value)


def _scalar(value: Any) -> Any:
    """A cell as the number or truth value that it plainly is; all else as it stands.

    `007` and `+49` stay text: only what JSON would write as a number becomes one.
    """
    if not isinstance(value, str):
        return value
    if value in ("true", "false"):
        return value == "true"
    if NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    return value


# --- where each target stands in the event -------------------------------------------------------


def _place_time(made: dict[str, Any], _: str, value: Any, mapping: ColumnMapping) -> None:
    made["timestamp"] = format_instant(instant(value, mapping.time_unit))


def _place_account(made: dict[str, Any], target: str, value: Any, mapping: ColumnMapping) -> None:
    account = _identifier(target, value)
    if mapping.kind is Kind.GROUP:
        made["groupId"] = account
    else:
        made["context"] = {"groupId": account}


def _place_feature(made: dict[str, Any], target: str, value: Any, _: ColumnMapping) -> None:
    made.setdefault("properties", {})["feature"] = _identifier(target, value)


def _place_nested(made: dict[str, Any], target: str, value: Any, _: ColumnMapping) -> None:
    first, _dot, below = target.partition(".")
    made.setdefault(first, {})[below] = _scalar(value)


def _named(name: str) -> Callable[[dict[str, Any], str, Any, ColumnMapping], None]:
    def place(made: dict[str, Any], target: str, value: Any, _: ColumnMapping) -> None:
        made[name] = _identifier(target, value)

    return place


PLACES: Mapping[str, Callable[[dict[str, Any], str, Any, ColumnMapping], None]] = {
    "time": _place_time,
    "account": _place_account,
    "user": _named("userId"),
    "anonymous": _named("anonymousId"),
    "event": _named("event"),
    "feature": _place_feature,
    "name": _named("name"),
    "category": _named("category"),
    "properties": _place_nested,
    "traits": _place_nested,
}
