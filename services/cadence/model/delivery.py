"""What may become of a message on its road, and what each way a hand-over ends leads to.

Between the final dot and its 250 nobody can know whether a mail went out (RFC 1047). So there are
three ends, and the class of a message says what an uncertain one means for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.cadence.model.caps import Purpose


class State(StrEnum):
    """Where a message is. What stands after `handed_over` is final, but for a later bounce."""

    PLANNED = "planned"
    CLAIMED = "claimed"
    HANDED_OVER = "handed_over"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNCERTAIN = "uncertain"
    MISSED = "missed"
    SUPERSEDED = "superseded"
    DROPPED = "dropped"


# Notices that somebody has to get: rather twice than never, with the same Message-ID.
AT_LEAST_ONCE = frozenset({Purpose.RENEWAL, Purpose.SECURITY})
# What nobody can unsubscribe from.
OUTSIDE_CONSENT = frozenset({Purpose.RENEWAL, Purpose.SECURITY})


class Outcome(StrEnum):
    """How a hand-over ended."""

    ACCEPTED = "accepted"
    REFUSED_FOR_NOW = "refused_for_now"  # a definite no, which may be a yes later
    REFUSED = "refused"  # a definite no
    UNKNOWN = "unknown"  # it may be out


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How one hand-over ended, by which provider, and its last word (no address in it)."""

    outcome: Outcome
    provider: str
    said: str = ""


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """When a message that was definitely refused for now is tried again."""

    waits_seconds: Sequence[float] = (60.0, 300.0, 1800.0, 7200.0)
    resends: int = 3  # most times that an uncertain notice is sent again


@dataclass(frozen=True, kw_only=True)
class Next:
    """What a message is after a hand-over; `try_at` where it is planned again."""

    state: State
    reason: str | None = None
    try_at: datetime | None = None


def after(
    ended: Ended,
    *,
    purpose: Purpose,
    attempt: int,
    now: datetime,
    latest: datetime,
    policy: RetryPolicy,
) -> Next:
    """What follows from the end of hand-over number `attempt`, the first is 1.

    `latest`: the last instant at which the message is still of use, inclusive.
    """
    match ended.outcome:
        case Outcome.ACCEPTED:
            return Next(state=State.ACCEPTED)
        case Outcome.REFUSED:
            return Next(state=State.REJECTED, reason=f"refused: {ended.said}")
        case Outcome.REFUSED_FOR_NOW:
            if attempt > len(policy.waits_seconds):
                return Next(state=State.REJECTED, reason=f"refused {attempt} times: {ended.said}")
            try_at = now + timedelta(seconds=policy.waits_seconds[attempt - 1])
            if try_at > latest:
                return Next(state=State.MISSED, reason="missed_beyond_grace")
            return Next(state=State.PLANNED, reason=f"refused_for_now: {ended.said}", try_at=try_at)
        case Outcome.UNKNOWN:
            return uncertain(purpose=purpose, attempt=attempt, now=now, policy=policy)


def uncertain(*, purpose: Purpose, attempt: int, now: datetime, policy: RetryPolicy) -> Next:
    """What a message becomes that may be out already: sent again only where it has to arrive."""
    if purpose in AT_LEAST_ONCE and attempt <= policy.resends:
        wait = policy.waits_seconds[min(attempt, len(policy.waits_seconds)) - 1]
        return Next(state=State.PLANNED, reason="uncertain", try_at=now + timedelta(seconds=wait))
    return Next(state=State.UNCERTAIN, reason="no_answer_to_the_end")


def last_use(*, due_at: datetime, grace: timedelta, deadline: datetime | None) -> datetime:
    """The last instant, inclusive, at which a message is still of use: its deadline, else the end
    of its grace.
    """
    return due_at + grace if deadline is None else deadline
