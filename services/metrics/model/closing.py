"""The digest of a closed month: it binds every figure, the policy, and all months before."""

from dataclasses import fields
from hashlib import sha256

import msgspec

from services.metrics.model.calendar import Month
from services.metrics.model.months import MonthReport

FIRST = "0" * 64  # what stands before the first month that is closed


def month_digest(
    month: Month, report: MonthReport, *, currency: str, policy_version: int, previous: str
) -> str:
    """SHA-256 in hex over the exact figures of the month and the digest of the one before it."""
    content = {
        "month": str(month),
        "currency": currency,
        "policy_version": policy_version,
        "previous": previous,
        "figures": exact_figures(report),
    }
    return sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()


def exact_figures(report: MonthReport) -> dict[str, object]:
    """The figures of a report by name, as text that loses nothing."""
    return {field.name: _exact(getattr(report, field.name)) for field in fields(report)}


def _exact(figure: object) -> object:
    """A figure as text that loses nothing: `-6/55`."""
    if isinstance(figure, dict):
        return {str(kind): _exact(amount) for kind, amount in figure.items()}
    return None if figure is None else str(figure)
