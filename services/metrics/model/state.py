"""A state of a subscription, priced once: what it is worth from when, as long as it stands.

The profile of a state depends on that state alone, so that it can be kept beside its fact; what
follows from its neighbours (the next state, a trial after a paid one) is the timeline's.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from fractions import Fraction
from typing import NamedTuple

import msgspec

from services.metrics.model.identity import FactName, name_of
from services.metrics.model.money import NOTHING
from services.metrics.model.objects import CustomerDiscounts, Objects
from services.metrics.model.pricing import subscription_mrr
from services.metrics.model.resolution import resolved
from shared.events.billing import (
    Discount,
    Duration,
    Item,
    Pause,
    PauseBehavior,
    Status,
    SubscriptionState,
    UsageType,
)

COUNTING = frozenset({Status.ACTIVE, Status.PAST_DUE})  # P09
UNCOLLECTED = frozenset({PauseBehavior.VOID, PauseBehavior.MARK_UNCOLLECTIBLE})  # P10

DISCOUNTS_CUSTOMERS = "stripe"  # the source whose customers may have a discount themselves
# Nothing is scheduled for then: many systems write "never" as the last day that they can.
NEVER = datetime(9000, 1, 1, tzinfo=UTC)

# Why a scheduled effect moves MRR; a state's own reason follows from the state before it (P27).
DISCOUNT = "discount"
RESUMED = "resumed"
ENDED = "ended"


class Turn(NamedTuple):
    """From `at` on the state is worth `mrr`. `why` is empty for the state's own beginning."""

    at: datetime
    mrr: Fraction
    why: str


class PricedState(msgspec.Struct, frozen=True, array_like=True):
    """A snapshot and its turns, in order of time; the first is at `effective_at`.

    The turns of a trial say what it is worth once it is paid. `object_ids` are the provider's
    objects that went into the price, `unresolved` those of them that nobody has told yet, and the
    prices whose product a narrowed discount would need.
    """

    name: FactName
    subscription: str
    status: Status
    currency: str
    effective_at: datetime
    seq: int
    seats: int
    paused: bool
    turns: tuple[Turn, ...]
    object_ids: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()
    digest: str | None = None
    follows: str | None = None

    @property
    def order(self) -> tuple[datetime, int, str, str]:
        """Where it stands among the states of its subscription (P22)."""
        return (self.effective_at, self.seq, self.name.id, self.name.source)


def priced(state: SubscriptionState, objects: Objects) -> PricedState:
    """The state with its MRR from turn to turn, by the objects that are known."""
    known = resolved(state, objects)
    of_customer = _of_customer(state, objects)
    if state.status in COUNTING or state.status is Status.TRIALING:
        turns = tuple(_turns(state, known.items, (*known.discounts, *of_customer.known)))
    else:
        turns = (Turn(state.effective_at, NOTHING, ""),)
    return PricedState(
        name=name_of(state),
        subscription=state.subscription,
        status=state.status,
        currency=state.currency,
        effective_at=state.effective_at,
        seq=state.seq,
        seats=sum(
            item.quantity or 0 for item in state.items if item.usage_type is UsageType.LICENSED
        ),
        paused=paused(state.pause, state.effective_at),
        turns=turns,
        object_ids=tuple(sorted(known.object_ids)),
        unresolved=tuple(
            sorted({*known.unresolved, *([state.account] if of_customer.unresolved else ())})
        ),
        digest=state.digest,
        follows=state.follows,
    )


def _of_customer(state: SubscriptionState, objects: Objects) -> CustomerDiscounts:
    """What its customer takes off the subscription: Stripe does so only where it has no discount
    of its own.
    """
    if state.source != DISCOUNTS_CUSTOMERS or state.discounts:
        return CustomerDiscounts()
    return objects.discounts_of_customer(state.account, state.currency)


def paused(pause: Pause | None, at: datetime) -> bool:
    """Whether nothing is collected at `at`: `void` and `mark_uncollectible` until resumes_at (P10);
    a pause that keeps drafts changes nothing.
    """
    if pause is None or pause.behavior not in UNCOLLECTED:
        return False
    return pause.resumes_at is None or at < pause.resumes_at


def _turns(
    state: SubscriptionState, items: tuple[Item, ...], discounts: tuple[Discount, ...]
) -> Iterator[Turn]:
    """Where the MRR of a state that counts changes by itself (P26): discounts begin and end, a
    pause resumes, the subscription ends (P11).
    """
    last: Fraction | None = None
    for at, why in _schedule(state, items, discounts):
        ended = state.ends_at is not None and at >= state.ends_at
        nothing = ended or paused(state.pause, at)
        mrr = NOTHING if nothing else subscription_mrr(items, discounts, at)
        if mrr != last:
            yield Turn(at, mrr, why)
            last = mrr


def _schedule(
    state: SubscriptionState, items: tuple[Item, ...], discounts: tuple[Discount, ...]
) -> list[tuple[datetime, str]]:
    """The instants at which something scheduled may change the state, its own beginning first."""
    begins = state.effective_at
    turns: dict[datetime, str] = {}
    for discount in (*discounts, *(one for item in items for one in item.discounts)):
        if discount.duration is not Duration.ONCE:
            turns |= {at: DISCOUNT for at in (discount.start, discount.end) if at is not None}
    if state.pause is not None and state.pause.resumes_at is not None:
        turns[state.pause.resumes_at] = RESUMED
    if state.ends_at is not None:
        turns[state.ends_at] = ENDED
    to_come = ((at, why) for at, why in turns.items() if begins < at < NEVER)
    return [(begins, ""), *sorted(to_come)]


def _kept(amount: Fraction) -> int | str:
    """An amount as it is kept: most are whole, and read so much faster."""
    whole = amount.denominator == 1 and abs(amount.numerator) < MOST_KEPT_WHOLE
    return amount.numerator if whole else f"{amount.numerator}/{amount.denominator}"


MOST_KEPT_WHOLE = 2**63
_encoder = msgspec.msgpack.Encoder(enc_hook=_kept)


def encoded(states: Iterable[PricedState]) -> bytes:
    """Priced states as they are kept; every amount exact."""
    return _encoder.encode(list(states))


def decoded(kept: bytes) -> list[PricedState]:
    """The priced states that were kept."""
    return _decoder.decode(kept)


def _exact(_: type, said: int | str) -> Fraction:
    if isinstance(said, int):
        return Fraction(said)
    numerator, denominator = said.split("/")
    return Fraction(int(numerator), int(denominator))


_decoder = msgspec.msgpack.Decoder(list[PricedState], dec_hook=_exact)
