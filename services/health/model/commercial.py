"""What the ledger says of an account: revenue, what of it is overdue, and its contract.

Kept as the words of metrics, each as it was told last, by the time of its event.
"""

from typing import Any

from shared.events.base import Caused, Received
from shared.events.metrics import (
    AtRiskChanged,
    ContractEvent,
    MovementRecorded,
    RevenueRestated,
)
from shared.events.told import Profile, told_last

MRR = "mrr"
AT_RISK = "mrr_at_risk"
CONTRACT = "contract"


def revenue_moved(
    known: Profile, received: Received[MovementRecorded | RevenueRestated]
) -> tuple[Profile, tuple[Caused, ...]]:
    """The account with the revenue that it has after a movement, or after a restatement."""
    return told_last(known, received, {MRR: str(received.event.mrr)}), ()


def at_risk_changed(
    known: Profile, received: Received[AtRiskChanged]
) -> tuple[Profile, tuple[Caused, ...]]:
    """The account with the part of its revenue that is past due; 0 once nothing is."""
    return told_last(known, received, {AT_RISK: str(received.event.mrr)}), ()


def contract_told(
    known: Profile, received: Received[ContractEvent]
) -> tuple[Profile, tuple[Caused, ...]]:
    """The account with what was last said of its contract, and at which of its dates."""
    event = received.event
    told: dict[str, Any] = {
        "contract": event.contract,
        "state": event.type.removeprefix("contract.").removesuffix(".v1"),
        "on": event.on.isoformat(),
        "auto_renew": event.auto_renew,
    }
    return told_last(known, received, {CONTRACT: told}), ()
