"""What the ledger tells of accounts: what they are worth now, and whether they are gone."""

from collections.abc import Sequence
from typing import Any

from services.nps.handlers.grouping import by_workspace
from services.nps.store import people
from services.nps.store.people import Worth
from shared.bus.handlers import Batch, BatchFold, Lane
from shared.db import Tx
from shared.events import metrics
from shared.events.base import Caused, Received

CHURN = "churn"
RETURNS = ("new", "reactivation")


async def worth_told(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Keep the MRR as it was told last, and when an account went or came back."""
    for workspace, events in by_workspace(batch):
        told = [_worth(event) for event in events if event.envelope.subject is not None]
        await people.save_worth(tx, workspace, told)
    return ()


def _worth(received: Received[Any]) -> Worth:
    account = received.envelope.subject
    assert account is not None
    match received.event:
        case metrics.MovementRecorded(kind=kind, at=at, mrr=mrr):
            return Worth(
                account,
                mrr,
                churned_at=at if kind == CHURN else None,
                returned_at=at if kind in RETURNS else None,
            )
        case metrics.RevenueRestated(mrr=mrr):
            return Worth(account, mrr)
        case _:
            return Worth(account, None, churned_at=received.envelope.time)


REVENUE = Lane(
    name="revenue",
    topics=(metrics.REVENUE, metrics.CONTRACTS),
    folds=(
        BatchFold(
            on=(metrics.MovementRecorded, metrics.RevenueRestated, metrics.Ended),
            handle=worth_told,
        ),
    ),
)
