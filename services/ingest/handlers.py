"""What ingest does with events: it notes what became of its own, and how far the others have read.

And it takes over the gross margin that metrics is told: one setting, kept and told by one service.

History has a lane of its own, so that an import delays no receipt of a live event.
"""

from collections.abc import Sequence
from typing import Any

from services.ingest.store import receipts, workspaces
from shared.bus.handlers import BatchFold, Lane
from shared.db import Tx
from shared.events.base import Caused, Received
from shared.events.ingest import (
    ACCOUNTS,
    BILLING,
    INTERACTIONS,
    REJECTED,
    UNATTRIBUTED,
    USAGE,
    USAGE_HISTORY,
    USAGE_OVERFLOW,
    AccountUpserted,
    BillingFactRecorded,
    ConcessionGranted,
    ContractCancelled,
    ContractUpserted,
    DealClosed,
    EventRejected,
    ExternalReceived,
    PaymentDisputed,
    PaymentFailed,
    PaymentRefunded,
    PaymentSucceeded,
    UsagePageViewed,
    UsageScreenViewed,
    UsageTracked,
    UserAliased,
    UserIdentified,
)
from shared.events.metrics import REVENUE, SettingsChanged
from shared.events.runtime import PROGRESSED, RUNTIME_TOPICS

OWN_EVENTS = (
    UsageTracked,
    UsagePageViewed,
    UsageScreenViewed,
    UserIdentified,
    UserAliased,
    AccountUpserted,
    DealClosed,
    ContractUpserted,
    ContractCancelled,
    ConcessionGranted,
    PaymentSucceeded,
    PaymentFailed,
    PaymentRefunded,
    PaymentDisputed,
    ExternalReceived,
    BillingFactRecorded,
    EventRejected,
)


async def note_receipts(tx: Tx, batch: Sequence[Received[Any]]) -> list[Caused]:
    """Where each event stands; causes nothing."""
    await receipts.append_receipts(tx, batch)
    return []


async def note_rejected(tx: Tx, batch: Sequence[Received[Any]]) -> list[Caused]:
    """Refused events, to be seen among the dead letters; causes nothing."""
    await receipts.append_rejected(tx, batch)
    return []


async def note_progress(tx: Tx, batch: Sequence[Received[Any]]) -> list[Caused]:
    """How far each service has read; causes nothing."""
    await receipts.append_progress(tx, batch)
    return []


async def margins_changed(tx: Tx, batch: Sequence[Received[SettingsChanged]]) -> Sequence[Caused]:
    """Keep the margins that metrics was told, and tell everybody the settings as they now are."""
    caused = []
    for received in batch:
        workspace, told = received.envelope.workspace, received.event
        if told.gross_margin is None and not told.gross_margin_unknown:
            continue
        settings = await workspaces.take_margin(tx, workspace, told.gross_margin)
        if settings is not None:
            caused.append(
                Caused(
                    event=settings,
                    workspace=workspace,
                    cause_id=received.envelope.id,
                    time=received.appended_at,
                    record_key=f"{workspace}/",
                )
            )
    return caused


LANES = (
    Lane(
        name="receipts",
        topics=(
            USAGE,
            USAGE_OVERFLOW,
            UNATTRIBUTED,
            ACCOUNTS,
            INTERACTIONS,
            BILLING,
            REJECTED,
            *RUNTIME_TOPICS.values(),
        ),
        folds=(
            BatchFold(on=OWN_EVENTS, handle=note_receipts),
            BatchFold(on=(EventRejected,), handle=note_rejected),
            BatchFold(on=tuple(PROGRESSED.values()), handle=note_progress),
        ),
    ),
    Lane(
        name="receipts_history",
        topics=(USAGE_HISTORY,),
        folds=(BatchFold(on=OWN_EVENTS, handle=note_receipts),),
    ),
    Lane(
        name="settings",
        topics=(REVENUE,),
        folds=(BatchFold(on=(SettingsChanged,), handle=margins_changed),),
    ),
)
