"""How the parameters of dead letters are read: filters, times, ids and cursors."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Depends, Path, Query

from shared.bus.redrive import uuid_of
from shared.bus.tables import Filters, LetterState, Place
from shared.clock import format_instant, parse_instant
from shared.dead_letters.bodies import NO_NUL, DeadLetterView, RedriveBody
from shared.http import InvalidRequest, Problem, decode_cursor, encode_cursor, encode_place

LetterPath = Annotated[str, Path(max_length=100, description="Id of the dead letter.")]
DryRun = Annotated[
    bool, Query(description="Only say what would happen: nothing is written or published.")
]
UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "dead_letter_unknown"}
}
DECIDED: dict[int | str, dict[str, Any]] = {
    409: {
        "model": Problem,
        "description": "already_redriven, already_discarded, earlier_letter_open or lane_gone",
    }
}
BROKEN: dict[int | str, dict[str, Any]] = {
    422: {"model": Problem, "description": "still_broken: the code that runs now fails too"}
}


def _filters(
    *,
    code: Annotated[
        str | None, Query(max_length=200, pattern=NO_NUL, description="Only of this reason.")
    ] = None,
    lane: Annotated[
        str | None, Query(max_length=200, pattern=NO_NUL, description="Only of this lane.")
    ] = None,
    event_type: Annotated[
        str | None,
        Query(alias="type", max_length=200, pattern=NO_NUL, description="Only of this event type."),
    ] = None,
    since: Annotated[
        str | None,
        Query(alias="from", max_length=40, description="Given up at or after, RFC 3339."),
    ] = None,
    until: Annotated[
        str | None, Query(alias="to", max_length=40, description="Given up before, RFC 3339.")
    ] = None,
    state: Annotated[
        Literal["open", "redriven", "discarded", "all"],
        Query(description="Only what waits for a decision, or was decided so."),
    ] = "all",
) -> Filters:
    return Filters(
        code=code,
        lane=lane,
        event_type=event_type,
        since=_instant("from", since),
        until=_instant("to", until),
        state=None if state == "all" else LetterState(state),
    )


Filtered = Annotated[Filters, Depends(_filters)]


def _instant(name: str, given: str | None) -> datetime | None:
    if given is None:
        return None
    try:
        return parse_instant(given)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(
            f"{name}: {given!r} is no RFC 3339 instant; write 2026-03-01T00:00:00Z, a + as %2B"
        ) from error


def meant(body: RedriveBody) -> Filters:
    """The letters that a body means. Raises InvalidRequest where it says nothing, nor all."""
    filters = Filters(
        code=body.code,
        lane=body.lane,
        event_type=body.type,
        since=_instant("from", body.from_),
        until=_instant("to", body.to),
    )
    if filters == Filters() and not body.all:
        raise InvalidRequest("say which are meant: code, lane, type, from or to; or all: true")
    return filters


def known_form(letter_id: str) -> str:
    """The id in its usual form. Raises InvalidRequest for anything else."""
    known = uuid_of(letter_id)
    if known is None:
        raise InvalidRequest(f"dead_letter: {letter_id!r} is no id")
    return known


def time_cursor(last: DeadLetterView) -> str:
    """The cursor behind the last letter of a list by time."""
    return encode_cursor(f"{format_instant(last.dead_at)} {last.id}")


def time_place(cursor: str) -> tuple[datetime, str]:
    """Time and id of the last letter of the page before. Raises InvalidRequest."""
    instant, _, letter_id = decode_cursor(cursor).partition(" ")
    try:
        at, known = parse_instant(instant), uuid_of(letter_id)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(f"cursor {cursor!r} is none of ours") from error
    if known is None:
        raise InvalidRequest(f"cursor {cursor!r} is none of ours")
    return at, known


def number_place(cursor: str) -> int:
    """Number of the last audit entry of the page before. Raises InvalidRequest."""
    number = decode_cursor(cursor)
    if not (number.isascii() and number.isdecimal() and len(number) < len(str(2**63))):
        raise InvalidRequest(f"cursor {cursor!r} is none of ours")
    return int(number)


def log_cursor(place: Place) -> str:
    """The cursor behind the last letter of a run in the order of the log."""
    return encode_place(place)


Name = Annotated[str, msgspec.Meta(pattern=NO_NUL)]
LogPlace = tuple[
    bool,
    Name,
    Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)],
    Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)],
    Name,
]


def log_place(cursor: str) -> Place:
    """Place of the last letter of the run before. Raises InvalidRequest."""
    try:
        return Place(*msgspec.json.decode(decode_cursor(cursor), type=LogPlace))
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"cursor {cursor!r} is none of ours") from error
