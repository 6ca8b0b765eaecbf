"""A subscription with all that Stripe can say of one, and changes anywhere in it."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from tests.unit.ingest.stripe_objects import (
    coupon,
    discount,
    item,
    items,
    plan,
    price,
    subscription,
    tax_rate,
)

Changes = list[tuple[tuple[Any, ...], Any]]

TIERED = price(
    billing_scheme="tiered",
    tiers_mode="volume",
    unit_amount=None,
    unit_amount_decimal=None,
    tiers=[
        {"up_to": 5, "unit_amount": 700, "flat_amount": 90},
        {"up_to": None, "unit_amount_decimal": "650.25"},
    ],
)
AMOUNT_OFF = coupon(percent_off=None, amount_off=4321, currency="krw")
FULL = subscription(
    items=items(
        item(
            quantity=17,
            price=price(unit_amount=None, unit_amount_decimal="1234.5678"),
            discounts=[discount(id="di_2", source=None, coupon=AMOUNT_OFF), "di_9"],
            tax_rates=[tax_rate(7.5, inclusive=True)],
        ),
        item(id="si_2", quantity=29, price=TIERED),
        item(id="si_3", quantity=3, price=None, plan=plan(amount_decimal="42.42")),
    ),
    discounts=[discount()],
    pause_collection={"behavior": "void", "resumes_at": 1_798_000_000},
    cancel_at_period_end=True,
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.sampled_from(["krw", "usd", "NaN", "1e400", "active", "inf", "year", 0, -1, 1e300]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value within `value`."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*path, number))


def changes_of(sent: Any) -> st.SearchStrategy[Changes]:
    """Up to four values within `sent`, each with another or with `...` to take it away."""
    somewhere = st.sampled_from(list(places(sent)))
    return st.lists(st.tuples(somewhere, st.just(...) | VALUES), max_size=4)


def changed(sent: Any, changes: Changes) -> Any:
    """`sent` with the values at some places replaced, or taken away where it is `...`."""
    sent = deepcopy(sent)
    for path, value in changes:
        holder = sent
        try:
            for step in path[:-1]:
                holder = holder[step]
            if value is ...:
                del holder[path[-1]]
            else:
                holder[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change has taken the place away
    return sent
