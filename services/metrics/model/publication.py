"""Events out of the books: what a movement, a restatement, an overdue payment say to others."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

from services.metrics.model import POLICY_VERSION
from services.metrics.model.announcements import Announcement, Restated
from services.metrics.model.calendar import Month, month_at
from services.metrics.model.identity import FactName
from services.metrics.model.money import Rates, shown, worth
from services.metrics.model.movements import Jump, Kind, Movement, movement_of
from services.metrics.model.restated import Cause
from services.metrics.model.retold import Retold
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
    voice: Voice,
    told: Announcement,
    revalued: Retold,
    *,
    now: datetime,
    since: datetime,
    cause: Cause,
) -> Iterable[Caused]:
    """What there is to say of an account at `now`; `since` is when more was known, by `cause`.

    `revalued`: what that makes of its `fx` movements.
    """
    for jump in told.in_force:
        yield from recorded(voice, jump)
    month = month_at(now, voice.zone)
    held = worth(told.mrr, voice.rates, month)
    restated = told.restated
    if restated is None and revalued.months:
        restated = Restated(
            months=revalued.months,
            facts=sorted({name for jump in told.in_force for name in jump.facts}),
        )
    if restated is not None:
        yield restated_by(
            voice,
            sorted({*restated.months, *revalued.months}),
            held,
            known_at=since,
            cause=cause,
            facts=restated.facts,
            now=now,
        )
    else:
        for movement in revalued.come:
            yield moved(voice, movement)
    if told.past_due is not None:
        risk = AtRiskChanged(
            past_due=bool(told.past_due), mrr=money(worth(told.past_due, voice.rates, month))
        )
        yield _caused(voice, risk, time=now, key=voice.account)


def recorded(voice: Voice, jump: Jump) -> Iterable[Caused]:
    """A jump as a movement in force; nothing where a rate makes its two sides equal."""
    movement = movement_of(jump, voice.rates, month_at(jump.at, voice.zone))
    if movement is not None:
        yield moved(voice, movement)


def moved(voice: Voice, movement: Movement) -> Caused:
    """A movement in force. An `fx` one is the same event whoever finds that it is to be told."""
    name = movement_id(voice.account, movement)
    if movement.kind is Kind.FX:
        told = f"{money(movement.amount)} {money(movement.mrr)} {' '.join(ids(movement.facts))}"
        voice = replace(voice, cause_id=f"{voice.workspace} {name} {told}")
    event = MovementRecorded(
        movement=name,
        at=movement.at,
        kind=movement.kind.value,
        amount=money(movement.amount),
        mrr=money(movement.mrr),
        facts=ids(movement.facts),
        policy_version=POLICY_VERSION,
    )
    return _caused(voice, event, time=movement.at, key=name)


def restated_by(
    voice: Voice,
    months: Iterable[Month],
    mrr: Fraction,
    *,
    known_at: datetime,
    cause: Cause,
    facts: Iterable[FactName],
    now: datetime,
) -> Caused:
    """That the account's months are told otherwise since `known_at`."""
    event = RevenueRestated(
        known_at=known_at,
        months=[str(month) for month in months],
        mrr=money(mrr),
        cause=cause,
        facts=ids(facts),
    )
    return _caused(voice, event, time=now, key=voice.account)


def movement_id(account: str, movement: Movement) -> str:
    """The id of an account's movement: the same whenever it is asked for."""
    revalued = "/fx" if movement.kind is Kind.FX else ""
    return f"{account}/{movement.at.astimezone(UTC).replace(tzinfo=None).isoformat()}Z{revalued}"


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
