"""Lists as CSV: whole, not paged, and safe to open in a spreadsheet."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from decimal import Decimal

from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from shared.clock import format_instant
from shared.http import no_formula


def csv_response(
    header: Sequence[str], chunks: AsyncIterator[list[Sequence[object]]]
) -> StreamingResponse:
    """The header and the lines of all chunks."""
    return StreamingResponse(_lines(header, chunks), media_type="text/csv; charset=utf-8")


def flat(body: BaseModel) -> dict[str, object]:
    """The fields of a body; those of a body within it under both names, `net_new`."""
    told: dict[str, object] = {}
    for name in type(body).model_fields:
        value = getattr(body, name)
        if isinstance(value, BaseModel):
            told |= {f"{name}_{inner}": each for inner, each in flat(value).items()}
        else:
            told[name] = value
    return told


async def once(lines: list[Sequence[object]]) -> AsyncIterator[list[Sequence[object]]]:
    """Lines that are all there, as the one chunk of a list."""
    yield lines


async def _lines(
    header: Sequence[str], chunks: AsyncIterator[list[Sequence[object]]]
) -> AsyncIterator[str]:
    yield _written([header])
    async for chunk in chunks:
        yield _written(chunk)


def _written(lines: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([cell(value) for value in line] for line in lines)
    return text.getvalue()


def cell(value: object) -> object:
    """A value as every list writes it; a text that no spreadsheet takes for a formula.

    A negative amount stays a number.
    """
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return format_instant(value)
    if not isinstance(value, str) or _is_number(value):
        return value
    return no_formula(value)


def _is_number(text: str) -> bool:
    return text.startswith("-") and text[1:].replace(".", "", 1).isdigit()
