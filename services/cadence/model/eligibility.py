"""Whether a message may go out now, read anew at hand-over: the newest word on everything counts.

Every no has its reason, the first that holds in this order: gone, late, opted out, suppressed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.cadence.model.caps import Caps, Claim, Purpose, held
from services.cadence.model.delivery import OUTSIDE_CONSENT, State
from services.cadence.model.programs import channel_for
from services.cadence.model.quiet import QuietHours, after_quiet
from services.cadence.model.suppression import ALL, Suppression, forbids

EMAIL = "email"
IN_APP = "in_app"


class Target(NamedTuple):
    """Where a workspace's channel leads, and what signs for it."""

    url: str
    secrets: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """What is known of a person now. `consents`: the newest word by topic, `all` among them.

    `targets`: the addresses of the workspace's other channels (webhook, slack).
    """

    user: str
    email: str | None = None
    name: str | None = None
    locale: str = "en"
    churned_at: datetime | None = None
    removed_at: datetime | None = None
    paused: bool = False
    consents: Mapping[str, bool] = field(default_factory=dict)
    preferred: Sequence[str] = ()
    targets: Mapping[str, Target] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Due:
    """What eligibility looks at of a message."""

    purpose: Purpose
    topic: str
    channels: Sequence[str]
    last_use: datetime
    newer: str | None = None
    """Identity of a later one of its program and person that is due as well."""


@dataclass(frozen=True, kw_only=True)
class Attention:
    """How much of a person's attention may be asked for, and when."""

    caps: Caps = field(default_factory=Caps)
    quiet: QuietHours | None = None
    quiet_channels: frozenset[str] = frozenset({"slack"})


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to do with a due message: hand it over by `channel`, or end it as `state`."""

    channel: str | None = None
    state: State | None = None
    reason: str | None = None
    winner: str | None = None
    wait_until: datetime | None = None
    """Not now, but then: another message goes first, or the person's quiet hours are on."""


def decide(
    due: Due, recipient: Recipient | None, suppressions: Sequence[Suppression], now: datetime
) -> Decision:
    """Whether and by which channel the message goes out now."""
    if recipient is None:
        return _dropped("person_unknown")
    if gone := _gone(recipient, due, now):
        return _dropped(gone)
    if now > due.last_use:
        return _late(due)
    if not _is_consented(recipient, due):
        return _dropped("opted_out")
    channel = _channel(due, recipient, suppressions, now)
    return Decision(channel=channel) if channel else _dropped(_no_channel(due, recipient))


def give_way(
    decision: Decision,
    claim: Claim,
    *,
    sent: Sequence[Claim],
    planned: Sequence[Claim],
    policy: Attention,
    zone: ZoneInfo,
) -> Decision:
    """The decision that stands once the person's other messages and quiet hours are looked at.

    `claim.at` is now. What may not go today for want of room goes when there is, or is dropped;
    the winner is named.
    """
    if decision.channel is None:
        return decision
    quiet = policy.quiet if decision.channel in policy.quiet_channels else None
    awake_at = after_quiet(claim.at, quiet, zone)
    if awake_at > claim.at:
        return Decision(reason="quiet_hours", wait_until=awake_at)
    over = held(claim, sent=sent, planned=planned, caps=policy.caps, zone=zone)
    if over is None:
        return decision
    if over.deferred_to is None:
        return Decision(state=State.DROPPED, reason=over.rule.value, winner=over.winner)
    return Decision(reason=over.rule.value, winner=over.winner, wait_until=over.deferred_to)


def _gone(recipient: Recipient, due: Due, now: datetime) -> str | None:
    if recipient.removed_at is not None and recipient.removed_at <= now:
        return "removed"
    if recipient.churned_at is not None and recipient.churned_at <= now:
        return "churned"
    return "paused" if recipient.paused and due.purpose not in OUTSIDE_CONSENT else None


def _late(due: Due) -> Decision:
    if due.newer is not None:
        return Decision(state=State.SUPERSEDED, reason="superseded", winner=due.newer)
    return Decision(state=State.MISSED, reason="missed_beyond_grace")


def _is_consented(recipient: Recipient, due: Due) -> bool:
    if due.purpose in OUTSIDE_CONSENT:
        return True
    consents = recipient.consents
    return consents.get(due.topic, True) and consents.get(ALL, True)


def _channel(
    due: Due, recipient: Recipient, suppressions: Sequence[Suppression], now: datetime
) -> str | None:
    """The first usable channel, in the person's own order, then the step's."""
    is_suppressed = any(
        forbids(suppression, topic=due.topic, purpose=due.purpose, now=now)
        for suppression in suppressions
    )
    usable = {IN_APP, *recipient.targets}
    if recipient.email is not None and not is_suppressed:
        usable.add(EMAIL)
    return channel_for(due.channels, recipient.preferred, usable)


def _no_channel(due: Due, recipient: Recipient) -> str:
    if EMAIL in due.channels and recipient.email is not None:
        return "suppressed"
    return "no_address" if EMAIL in due.channels else "no_channel"


def _dropped(reason: str) -> Decision:
    return Decision(state=State.DROPPED, reason=reason)
