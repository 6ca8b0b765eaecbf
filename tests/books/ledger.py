"""The service's own model, brought to the form in which the calculator answers."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import msgspec

from services.metrics.model import books
from services.metrics.model.calendar import Month, starts_at
from services.metrics.model.identity import Record, in_force, judged, name_of
from services.metrics.model.movements import movements_of
from services.metrics.model.state import PricedState
from shared.events.facts import content_digest, fact_of

Report = dict[str, Any]
RECEIVED_AT = datetime(2026, 1, 1, tzinfo=UTC)


class Ledger:
    """The reports of the service by the facts recorded up to `known_at`; all where it is None."""

    def __init__(
        self,
        sent: Iterable[dict[str, Any]],
        *,
        zone: str,
        currency: str,
        margin: str | None = None,
        known_at: datetime | None = None,
    ) -> None:
        self.zone = zone
        self.margin = None if margin is None else Fraction(margin)
        records = {}
        listed = []
        for raw in sent:
            fact = fact_of(msgspec.json.encode(raw), received_at=RECEIVED_AT)
            assert fact.recorded_at is not None
            if known_at is None or fact.recorded_at <= known_at:
                record = Record(name_of(fact), content_digest(raw, fact), fact.recorded_at)
                records[record] = fact
                listed.append(record)
        verdict = judged(listed)
        self.duplicates = verdict.repeats
        self.conflicts = [tuple(record.name) for record in verdict.conflicts]
        self.standing = [records[record] for record in verdict.standing]
        self.books = books.books_of(self.standing, currency)

    @property
    def states(self) -> dict[str, list[PricedState]]:
        """The priced states of each account."""
        return books.priced_states(in_force(self.standing))

    def month(self, month: str) -> Report:
        return self.months(month, month)[month]  # type: ignore[no-any-return]

    def months(self, first: str, last: str) -> Report:
        found = books.months_of(self.books, Month.of(first), Month.of(last), self.zone, self.margin)
        return {str(month): plain(asdict(report)) for month, report in found.items()}

    def movements(self, first: str, last: str) -> list[tuple[datetime, str, str, Fraction]]:
        found = [
            (movement.at, account, str(movement.kind), movement.amount)
            for account, timeline in self.books.timelines.items()
            for movement in movements_of(timeline, self.books.rates, self.zone, Month.of(last))
        ]
        from_ = starts_at(Month.of(first), self.zone)
        return sorted(row for row in found if row[0] >= from_)

    def window(self, first: str, last: str) -> Report:
        return books.window_between(
            self.books, Month.of(first), Month.of(last), self.zone
        )._asdict()

    def point(self, at: datetime) -> Report:
        point = books.point(self.books, at, self.zone)
        return {"mrr": point.mrr, "cmrr": point.cmrr}

    def cohorts(self, first: str, last: str) -> Report:
        found = books.cohorts_of(
            self.books, Month.of(first), Month.of(last), self.zone, self.margin
        )
        return {str(month): plain(asdict(cohort)) for month, cohort in found.items()}


def plain(report: dict[Any, Any]) -> Report:
    """Keys as text, down through the report."""
    return {
        str(key): plain(value) if isinstance(value, dict) else value
        for key, value in report.items()
    }
