"""What is published of a change in the books, in the transaction that changes them."""

from collections.abc import Sequence
from datetime import datetime

from services.metrics.handlers.booking import Rebooked
from services.metrics.model.announcements import announcement_of
from services.metrics.model.publication import Voice, spoken
from services.metrics.model.retold import revalued_by_change
from services.metrics.store import reports
from services.metrics.store.scheduled import Scheduled, append_scheduled, delete_scheduled
from shared.db import Tx
from shared.events.base import Caused


async def publish(
    tx: Tx, workspace: str, rebooked: Sequence[Rebooked], *, now: datetime
) -> list[Caused]:
    """What the changed accounts give to say at `now`; what is to come later is noted.

    `now` is when the last of the facts was appended: the same in every replay.
    """
    if not rebooked:
        return []
    view = await reports.get_view(tx, workspace)
    told = [(b, announcement_of(b.before, b.after, now, view.zone, paid=b.paid)) for b in rebooked]
    gone = [Scheduled(workspace, b.account, at) for b, each in told for at in each.unscheduled]
    come = [Scheduled(workspace, b.account, at) for b, each in told for at in each.scheduled]
    await delete_scheduled(tx, gone)
    await append_scheduled(tx, come)
    return [
        event
        for booked, each in told
        for event in spoken(
            Voice(
                workspace=workspace,
                account=booked.account,
                rates=view.rates,
                zone=view.zone,
                cause_id=booked.touch.event,
            ),
            each,
            revalued_by_change(booked.before, booked.after, view.rates, view.zone, now),
            now=now,
            since=booked.touch.since,
            cause=booked.cause,
        )
    ]
