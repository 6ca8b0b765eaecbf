"""Spans of time, half-open: the start is inside, the end is not."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple


class Span(NamedTuple):
    """From `starts_at` to before `ends_at`. Empty where the end is not after the start."""

    starts_at: datetime
    ends_at: datetime

    def __contains__(self, instant: object) -> bool:
        return isinstance(instant, datetime) and self.starts_at <= instant < self.ends_at


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same instants by the fewest spans, in order; those that touch become one."""
    found: list[Span] = []
    for span in sorted(span for span in spans if span.starts_at < span.ends_at):
        if found and span.starts_at <= found[-1].ends_at:
            found[-1] = Span(found[-1].starts_at, max(found[-1].ends_at, span.ends_at))
        else:
            found.append(span)
    return tuple(found)


def span_at(spans: Sequence[Span], instant: datetime) -> Span | None:
    """The first of the spans that the instant is inside of; None where it is in none."""
    return next((span for span in spans if instant in span), None)
