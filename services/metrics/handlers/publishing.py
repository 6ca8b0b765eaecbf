"""What is published of a change in the books, in the transaction that changes them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from services.metrics.handlers.booking import Rebooked
from services.metrics.model import POLICY_VERSION
from services.metrics.model.announcements import Announcement, announcement_of
from services.metrics.model.calendar import month_at
from services.metrics.model.identity import FactName
from services.metrics.model.money import shown, worth
from services.metrics.model.movements import Jump, movement_of
from services.metrics.store import reports
from services.metrics.store.reports import View
from services.metrics.store.scheduled import Scheduled, append_scheduled, delete_scheduled
from shared.clock import format_instant
from shared.db import Tx
from shared.events.base import Caused
from shared.events.metrics import AtRiskChanged, MovementRecorded, RevenueRestated


async def publish(
    tx: Tx, workspace: str, rebooked: Sequence[Rebooked], *, now: datetime
) -> list[Caused]:
    """What the changed accounts give to say at `now`; what is to come later is noted.

    `now` is when the last of the facts was appended: the same in every replay.
    """
    if not rebooked:
        return []
    view = await reports.get_view(tx, workspace)
    said = [
        (booked, announcement_of(booked.before, booked.after, now, view.zone))
        for booked in rebooked
    ]
    await delete_scheduled(
        tx, [Scheduled(workspace, b.account, at) for b, told in said for at in told.unscheduled]
    )
    await append_scheduled(
        tx, [Scheduled(workspace, b.account, at) for b, told in said for at in told.scheduled]
    )
    return [event for booked, told in said for event in _events(view, booked, told, now)]


def _events(view: View, booked: Rebooked, told: Announcement, now: datetime) -> Iterable[Caused]:
    for jump in told.in_force:
        yield from recorded(view, booked.account, jump, cause_id=booked.touch.event)
    month = month_at(now, view.zone)
    if told.restated is not None:
        yield Caused(
            event=RevenueRestated(
                known_at=booked.touch.since,
                months=[str(month) for month in told.restated.months],
                mrr=money(worth(told.mrr, view.rates, month)),
                cause=booked.touch.cause,
                facts=ids(told.restated.facts),
            ),
            workspace=view.workspace,
            subject=booked.account,
            cause_id=booked.touch.event,
            key=booked.account,
            time=now,
        )
    if told.past_due is not None:
        yield Caused(
            event=AtRiskChanged(
                past_due=bool(told.past_due), mrr=money(worth(told.past_due, view.rates, month))
            ),
            workspace=view.workspace,
            subject=booked.account,
            cause_id=booked.touch.event,
            key=booked.account,
            time=now,
        )


def recorded(view: View, account: str, jump: Jump, *, cause_id: str) -> Iterable[Caused]:
    """A jump as a movement in force; nothing where a rate makes its two sides equal."""
    movement = movement_of(jump, view.rates, month_at(jump.at, view.zone))
    if movement is None:
        return
    name = f"{account}/{format_instant(movement.at)}"
    yield Caused(
        event=MovementRecorded(
            movement=name,
            at=movement.at,
            kind=movement.kind.value,
            amount=money(movement.amount),
            mrr=money(movement.mrr),
            facts=ids(movement.facts),
            policy_version=POLICY_VERSION,
        ),
        workspace=view.workspace,
        subject=account,
        cause_id=cause_id,
        key=name,
        time=movement.at,
    )


def money(amount: Fraction) -> Decimal:
    """An amount as events carry it."""
    return Decimal(shown(amount))


def ids(names: Iterable[FactName]) -> list[str]:
    """The ids of facts."""
    return [name.id for name in names]
