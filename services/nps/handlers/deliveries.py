"""What became of invitations at cadence, and of people's consent to be written to."""

from collections.abc import Sequence

from services.nps.handlers.grouping import by_workspace
from services.nps.store import invitations, people
from services.nps.store.invitations import HandedOver
from services.nps.store.inviting import invited
from services.nps.store.people import Consent
from shared.bus.handlers import Batch, BatchFold, Lane
from shared.db import Tx
from shared.events import cadence
from shared.events.base import Caused


async def invitations_handed_over(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Note since when an invitation is in the person's hands, and tell of it, once."""
    caused: list[Caused] = []
    for workspace, events in by_workspace(batch):
        told = [
            HandedOver(each.event.invitation, each.event.at, each.envelope.id)
            for each in events
            if each.event.invitation is not None
        ]
        fresh = await invitations.save_handed_over(tx, workspace, told)
        caused += [invited(each, handed.event) for each, handed in fresh]
    return caused


async def invitations_failed(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Note why an invitation did not go out: it starts no quarantine."""
    for workspace, events in by_workspace(batch):
        failed = [
            (each.event.invitation, each.event.reason or each.event.type)
            for each in events
            if each.event.invitation is not None
        ]
        await invitations.save_failed(tx, workspace, failed)
    return ()


async def consents_changed(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Keep consents as cadence, their owner, tells them."""
    for workspace, events in by_workspace(batch):
        said = [
            Consent(each.event.user, each.event.about, each.event.granted, each.event.at)
            for each in events
            if each.event.channel in (None, "email")
        ]
        await people.save_consents(tx, workspace, said)
    return ()


DELIVERIES = Lane(
    name="deliveries",
    topics=(cadence.DELIVERIES, cadence.WORK),
    folds=(
        BatchFold(on=(cadence.DeliveryHandedOver,), handle=invitations_handed_over),
        BatchFold(
            on=(cadence.DeliveryRejected, cadence.DeliveryMissed, cadence.DeliveryDropped),
            handle=invitations_failed,
        ),
        BatchFold(on=(cadence.ConsentChanged,), handle=consents_changed),
    ),
)
