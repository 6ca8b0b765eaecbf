"""Messages as the events that others read."""

from datetime import datetime
from typing import Any

from services.cadence.model.delivery import State
from services.cadence.model.message import Message
from shared.events import cadence as events
from shared.events.base import Caused, Event, partition_key

OF_STATE: dict[State, type[events.DeliveryEvent]] = {
    State.HANDED_OVER: events.DeliveryHandedOver,
    State.ACCEPTED: events.DeliveryAccepted,
    State.REJECTED: events.DeliveryRejected,
    State.UNCERTAIN: events.DeliveryUncertain,
    State.MISSED: events.DeliveryMissed,
    State.SUPERSEDED: events.DeliverySuperseded,
    State.DROPPED: events.DeliveryDropped,
}


def told_of_person(
    event: Event,
    *,
    workspace: str,
    account: str | None,
    user: str,
    cause_id: str,
    key: str,
    at: datetime,
) -> Caused:
    """An event of one person, under the account's key, else under the person's own."""
    return Caused(
        event=event,
        workspace=workspace,
        cause_id=cause_id,
        time=at,
        subject=account,
        key=key,
        record_key=partition_key(workspace, account, user),
    )


def delivery(
    said: dict[str, Any],
    *,
    state: State,
    at: datetime,
    due_at: datetime,
    reason: str | None,
    winner: str | None,
    invitation: str | None,
) -> events.DeliveryEvent | None:
    """What became of a message; None for what is not told (planned again)."""
    kind = OF_STATE.get(state)
    if kind is None:
        return None
    return kind(**said, at=at, due_at=due_at, reason=reason, winner=winner, invitation=invitation)


def said_of(message: Message, channel: str | None = None) -> dict[str, Any]:
    """What every event about a message says of it; `channel`: the one that it takes now."""
    return {
        "message": message.identity,
        "user": message.user,
        "program": message.program,
        "step": message.step,
        "template": message.template,
        "variant": message.variant,
        "channel": channel or message.channel or message.channels[0],
        "pillar": message.pillar,
        "purpose": message.purpose.value,
    }
