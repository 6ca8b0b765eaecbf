"""A state with what its provider only named filled in, as far as it is known.

What nobody has told yet is never guessed: a discount is left out, tiers stay a name (and are worth
nothing), and both are listed.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from services.metrics.model.objects import Objects
from shared.events.billing import Discount, Item, ObjectName, SubscriptionState


class Resolved(NamedTuple):
    """What a state is priced by. `object_ids` are the provider's objects that it takes to price
    it, `unresolved` those of them that are not known.
    """

    items: tuple[Item, ...]
    discounts: tuple[Discount, ...]
    object_ids: frozenset[str]
    unresolved: frozenset[str]


NONE: frozenset[str] = frozenset()


def resolved(state: SubscriptionState, objects: Objects) -> Resolved:
    """The items and discounts of the state, by the objects as they were told at its instant."""
    if not takes_objects(state):
        return Resolved(state.items, state.discounts, NONE, NONE)
    filling = _Filling(state, objects)
    return Resolved(
        filling.items,
        filling.discounts,
        frozenset(filling.object_ids),
        frozenset(filling.unresolved),
    )


def takes_objects(state: SubscriptionState) -> bool:
    """Whether the state leaves something to its provider's objects: terms of a discount, tiers of
    a price, or which of its items belong to the products that a discount is for.
    """
    discounts = (*state.discounts, *(one for item in state.items for one in item.discounts))
    return any(one.kind is None or one.products is not None for one in discounts) or any(
        isinstance(item.tiers, ObjectName) for item in state.items
    )


class _Filling:
    """Fills in what one state leaves open, and notes which objects it took."""

    def __init__(self, state: SubscriptionState, objects: Objects) -> None:
        self.state = state
        self.objects = objects
        self.object_ids: set[str] = set()
        self.unresolved: set[str] = set()
        self.discounts = self._discounts(state.discounts)
        self.items = tuple(self._item(item) for item in state.items)

    def _item(self, item: Item) -> Item:
        if not (item.discounts or self.discounts or isinstance(item.tiers, ObjectName)):
            return item
        found: dict[str, Any] = {}
        if item.discounts:
            found["discounts"] = self._discounts(item.discounts)
        if isinstance(item.tiers, ObjectName):
            found |= self._tariff(item.tiers.object_id)
        narrowed = (*self.discounts, *found.get("discounts", ()))
        if item.product is None and any(one.products is not None for one in narrowed):
            found["product"] = self._product(item.price)
        return msgspec.structs.replace(item, **found) if found else item

    def _tariff(self, price_id: str) -> dict[str, Any]:
        self.object_ids.add(price_id)
        tariff = self.objects.tariff(price_id, self.state.effective_at)
        if tariff is None:
            self.unresolved.add(price_id)
            return {}
        found = {"tiers": tariff.tiers, "tiers_mode": tariff.mode}
        return (
            found if tariff.transform is None else found | {"transform_quantity": tariff.transform}
        )

    def _product(self, price_id: str) -> str | None:
        self.object_ids.add(price_id)
        product = self.objects.product(price_id, self.state.effective_at)
        if product is None:
            self.unresolved.add(price_id)
        return product

    def _discounts(self, discounts: Iterable[Discount]) -> tuple[Discount, ...]:
        known = []
        for discount in discounts:
            told = discount if discount.kind is not None else self._told(discount)
            if told is not None:
                known.append(told)
        return tuple(known)

    def _told(self, named: Discount) -> Discount | None:
        assert named.object_id is not None
        self.object_ids.add(named.object_id)
        told = self.objects.discount(named.object_id, self.state.currency, self.state.effective_at)
        if told is None:
            self.unresolved.add(named.object_id)
            return None
        # What the snapshot itself says of its span was true then; the object may be a later one.
        return msgspec.structs.replace(
            told, start=named.start or told.start, end=named.end or told.end
        )
