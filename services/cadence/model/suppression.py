"""Which addresses are not written to any more, about what, and for how long."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.cadence.model.bounces import ReportKind
from services.cadence.model.caps import Purpose
from services.cadence.model.delivery import OUTSIDE_CONSENT

ALL = "all"


class SuppressionReason(StrEnum):
    """Why an address is suppressed."""

    HARD_BOUNCE = "hard_bounce"
    SOFT_BOUNCE = "soft_bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    STAFF = "staff"


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """No message of `scope` (a topic, or `all`) to one address; `until` None means for good."""

    scope: str
    reason: SuppressionReason
    at: datetime
    until: datetime | None = None


def of_report(kind: ReportKind, *, at: datetime, soft_pause: timedelta) -> Suppression | None:
    """What a report leads to: nothing, where it does not say that writing again is of no use."""
    match kind:
        case ReportKind.HARD_BOUNCE:
            return Suppression(scope=ALL, reason=SuppressionReason.HARD_BOUNCE, at=at)
        case ReportKind.SOFT_BOUNCE:
            return Suppression(
                scope=ALL, reason=SuppressionReason.SOFT_BOUNCE, at=at, until=at + soft_pause
            )
        case ReportKind.COMPLAINT:
            return Suppression(scope=ALL, reason=SuppressionReason.COMPLAINT, at=at)
        case _:
            return None


def forbids(suppression: Suppression, *, topic: str, purpose: Purpose, now: datetime) -> bool:
    """Whether it forbids a message of `topic` now.

    Somebody who left a list, or complained of it, still gets notices that are no list; a mailbox
    that is not there gets nothing.
    """
    if suppression.until is not None and now >= suppression.until:
        return False
    if suppression.scope not in (ALL, topic):
        return False
    chosen = {SuppressionReason.UNSUBSCRIBE, SuppressionReason.COMPLAINT}
    return not (purpose in OUTSIDE_CONSENT and suppression.reason in chosen)
