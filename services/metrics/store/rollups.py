"""What months add, by part, month and currency: kept, so that reports need not look at accounts."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from fractions import Fraction
from typing import Any, NamedTuple

from sqlalchemy import text

from services.metrics.model.calendar import Month
from services.metrics.model.movements import KINDS, Kind
from services.metrics.model.tally import COUNTED, EMPTY, Tally
from shared.db import Tx, rows

ALL = ""  # the part of all accounts
AMOUNTS = tuple(f"{view}_{kind}" for view in ("net", "gross") for kind in KINDS)
COUNTS = tuple(f"customers_{kind}" for kind in COUNTED)
COLUMNS = (*AMOUNTS, *COUNTS)
NOTHING = "0/1"


class Cell(NamedTuple):
    """Where a month's tally of one currency stands."""

    part: str
    month: Month
    currency: str


def segment_part(segment: str) -> str:
    """The part of the accounts of a segment."""
    return f"={segment}"


def parts_of(segment: str | None) -> tuple[str, ...]:
    """The parts that an account of `segment` is in."""
    return (ALL,) if segment is None else (ALL, segment_part(segment))


async def add(tx: Tx, workspace: str, added: Mapping[Cell, Tally]) -> None:
    """Add to the cells; one that comes to nothing is gone. Who calls holds the ledger."""
    changed = {cell: tally for cell, tally in added.items() if tally != EMPTY}
    if not changed:
        return
    standing = await _list_cells(tx, workspace, changed)
    total = {cell: standing.get(cell, EMPTY).plus(tally) for cell, tally in sorted(changed.items())}
    await _delete(tx, workspace, [cell for cell, tally in total.items() if tally == EMPTY])
    await _save(tx, workspace, {c: tally for c, tally in total.items() if tally != EMPTY})


async def clear(tx: Tx, workspace: str) -> None:
    """Forget all cells of the workspace."""
    await tx.execute(
        text("DELETE FROM month_rollup WHERE workspace = :workspace"), {"workspace": workspace}
    )


async def list_tallies(
    tx: Tx, workspace: str, part: str, *, through: Month
) -> dict[tuple[Month, str], Tally]:
    """The tallies of a part up to `through`, by month and currency."""
    found = await rows(
        tx,
        f"SELECT month, currency, {', '.join(COLUMNS)} FROM month_rollup"
        " WHERE workspace = :workspace AND part = :part AND month <= :through",
        {"workspace": workspace, "part": part, "through": first_day(through)},
    )
    return {(month_of(row[0]), row[1]): _tally(row[2:]) for row in found}


def first_day(month: Month) -> date:
    """How a month stands in a table."""
    return date(month.year, month.number, 1)


def month_of(day: date) -> Month:
    """The month that begins on `day`."""
    return Month(day.year, day.month)


# --- cells ---------------------------------------------------------------------------------------


async def _list_cells(tx: Tx, workspace: str, cells: Collection[Cell]) -> dict[Cell, Tally]:
    found = await rows(
        tx,
        f"SELECT r.part, r.month, r.currency, {', '.join(f'r.{c}' for c in COLUMNS)}"
        " FROM month_rollup r JOIN unnest(CAST(:parts AS text[]), CAST(:months AS date[]),"
        " CAST(:currencies AS text[])) AS u(part, month, currency) ON r.workspace = :workspace"
        " AND r.part = u.part AND r.month = u.month AND r.currency = u.currency",
        {"workspace": workspace, **_places(cells)},
    )
    return {Cell(row[0], month_of(row[1]), row[2]): _tally(row[3:]) for row in found}


async def _delete(tx: Tx, workspace: str, cells: Collection[Cell]) -> None:
    if cells:
        await tx.execute(
            text(
                "DELETE FROM month_rollup r USING unnest(CAST(:parts AS text[]),"
                " CAST(:months AS date[]), CAST(:currencies AS text[]))"
                " AS u(part, month, currency) WHERE r.workspace = :workspace"
                " AND r.part = u.part AND r.month = u.month AND r.currency = u.currency"
            ),
            {"workspace": workspace, **_places(cells)},
        )


async def _save(tx: Tx, workspace: str, tallies: Mapping[Cell, Tally]) -> None:
    if not tallies:
        return
    amounts = ", ".join(f"CAST(:{name} AS text[])" for name in AMOUNTS)
    counts = ", ".join(f"CAST(:{name} AS bigint[])" for name in COUNTS)
    replaced = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS)
    columns = list(zip(*map(_columns, tallies.values()), strict=True))
    await tx.execute(
        text(
            f"INSERT INTO month_rollup (workspace, part, month, currency, {', '.join(COLUMNS)})"
            " SELECT :workspace, u.* FROM unnest(CAST(:parts AS text[]), CAST(:months AS date[]),"
            f" CAST(:currencies AS text[]), {amounts}, {counts}) AS u"
            f" ON CONFLICT (workspace, part, month, currency) DO UPDATE SET {replaced}"
        ),
        {
            "workspace": workspace,
            **_places(tallies),
            **{name: list(column) for name, column in zip(COLUMNS, columns, strict=True)},
        },
    )


def _places(cells: Iterable[Cell]) -> dict[str, list[Any]]:
    listed = list(cells)
    return {
        "parts": [cell.part for cell in listed],
        "months": [first_day(cell.month) for cell in listed],
        "currencies": [cell.currency for cell in listed],
    }


def _columns(tally: Tally) -> tuple[str | int, ...]:
    """The values of COLUMNS."""
    amounts = [sums.get(kind) for sums in (tally.net, tally.gross) for kind in KINDS]
    counts = [tally.customers.get(kind, 0) for kind in COUNTED]
    return (*(NOTHING if amount is None else _text(amount) for amount in amounts), *counts)


def _tally(values: Iterable[Any]) -> Tally:
    """The tally of values of COLUMNS."""
    listed = list(values)
    half, whole = len(KINDS), len(AMOUNTS)
    return Tally(
        _sums(listed[:half]),
        _sums(listed[half:whole]),
        {kind: count for kind, count in zip(COUNTED, listed[whole:], strict=True) if count},
    )


def _sums(values: Iterable[str]) -> dict[Kind, Fraction]:
    return {
        kind: _amount(value) for kind, value in zip(KINDS, values, strict=True) if value != NOTHING
    }


def _text(amount: Fraction) -> str:
    return f"{amount.numerator}/{amount.denominator}"


def _amount(said: str) -> Fraction:
    numerator, denominator = said.split("/")
    return Fraction(int(numerator), int(denominator))
