"""Events out of the books: what a movement, a restatement, an overdue payment say to others."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

from services.metrics.model import POLICY_VERSION
from services.metrics.model.announcements import Announcement
from services.metrics.model.calendar import month_at
from services.metrics.model.identity import FactName
from services.metrics.model.money import Rates, shown, worth
from services.metrics.model.movements import Jump, movement_of
from services.metrics.model.restated import Cause
from shared.events.base import Caused
from shared.events.metrics import AtRiskChanged, MovementRecorded, RevenueRestated


@dataclass(frozen=True, kw_only=True)
class Voice:
    """Of which account is spoken, in which currency and zone, and which event gave cause."""

    workspace: str
    account: str
    rates: Rates
    zone: str
    cause_id: str


def spoken(
    voice: Voice, told: Announcement, *, now: datetime, since: datetime, cause: Cause
) -> Iterable[Caused]:
    """What there is to say of an account at `now`; `since` is when more was known, by `cause`."""
    for jump in told.in_force:
        yield from recorded(voice, jump)
    month = month_at(now, voice.zone)
    if told.restated is not None:
        restated = RevenueRestated(
            known_at=since,
            months=[str(month) for month in told.restated.months],
            mrr=money(worth(told.mrr, voice.rates, month)),
            cause=cause,
            facts=ids(told.restated.facts),
        )
        yield _caused(voice, restated, time=now, key=voice.account)
    if told.past_due is not None:
        risk = AtRiskChanged(
            past_due=bool(told.past_due), mrr=money(worth(told.past_due, voice.rates, month))
        )
        yield _caused(voice, risk, time=now, key=voice.account)


def recorded(voice: Voice, jump: Jump) -> Iterable[Caused]:
    """A jump as a movement in force; nothing where a rate makes its two sides equal."""
    movement = movement_of(jump, voice.rates, month_at(jump.at, voice.zone))
    if movement is None:
        return
    name = movement_id(voice.account, movement.at)
    event = MovementRecorded(
        movement=name,
        at=movement.at,
        kind=movement.kind.value,
        amount=money(movement.amount),
        mrr=money(movement.mrr),
        facts=ids(movement.facts),
        policy_version=POLICY_VERSION,
    )
    yield _caused(voice, event, time=movement.at, key=name)


def movement_id(account: str, at: datetime) -> str:
    """The id of an account's movement at an instant: the same whenever it is asked for."""
    return f"{account}/{at.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


def _caused(
    voice: Voice,
    event: MovementRecorded | RevenueRestated | AtRiskChanged,
    *,
    time: datetime,
    key: str,
) -> Caused:
    return Caused(
        event=event,
        workspace=voice.workspace,
        subject=voice.account,
        cause_id=voice.cause_id,
        key=key,
        time=time,
    )


def money(amount: Fraction) -> Decimal:
    """An amount as events carry it."""
    return Decimal(shown(amount))


def ids(names: Iterable[FactName]) -> list[str]:
    """The ids of facts."""
    return [name.id for name in names]
