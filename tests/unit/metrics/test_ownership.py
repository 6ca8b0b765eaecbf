"""Whose a subscription is that several accounts name: nobody's arrival decides."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from services.metrics.model.identity import name_of
from services.metrics.model.knowledge import (
    END_OF_TIME,
    Alias,
    Knowledge,
    Place,
    StateRecord,
    VoidRecord,
    refused_at,
    states_at,
    timeline_at,
)
from services.metrics.model.objects import NO_OBJECTS
from services.metrics.model.state import priced
from shared.events.billing import SubscriptionState, Void
from tests.unit.metrics.builders import instant, state, void

_offsets = count()


def claim(
    account: str, recorded_at: str, *, at: str = "2026-01-01", source: str = "native"
) -> StateRecord:
    """A state of the one subscription, said of `account`."""
    said = state(at, account=account, source=source)
    assert isinstance(said, SubscriptionState)
    worth = priced(said, NO_OBJECTS)
    return StateRecord(
        name_of(said), account, instant(recorded_at), Place(0, next(_offsets)), worth, said
    )


def known(account: str, claims: list[StateRecord], **more: object) -> Knowledge:
    """What is known of `account` where all claims speak of one subscription."""
    own = [record for record in claims if record.account == account]
    others = [record for record in claims if record.account != account]
    made = Knowledge(
        account=account, states=own, contested=frozenset({"s1"} if others else ()), rivals=others
    )
    return replace(made, **more)  # type: ignore[arg-type]


def counted(knowledge: Knowledge, at: datetime = END_OF_TIME) -> list[str]:
    return [each.name.id for each in states_at(knowledge, at)]


def test_a_subscription_is_of_the_account_that_was_recorded_first_with_it():
    late, early = claim("acme", "2026-01-10"), claim("umbra", "2026-01-05")

    assert counted(known("umbra", [late, early])) == [early.name.id]
    assert counted(known("acme", [late, early])) == []
    (refused,) = refused_at(known("acme", [late, early]), END_OF_TIME)
    assert (refused.name, refused.sent_for, refused.owner) == (late.name, "acme", "umbra")


def test_of_claims_recorded_at_one_instant_the_first_in_the_log_stands():
    first, second = claim("umbra", "2026-01-05"), claim("acme", "2026-01-05")

    assert counted(known("umbra", [second, first])) == [first.name.id]
    assert counted(known("acme", [second, first])) == []


def test_until_a_rival_is_recorded_a_claim_counts():
    first, second = claim("umbra", "2026-01-05"), claim("acme", "2026-01-10")

    assert counted(known("umbra", [second, first]), instant("2026-01-05")) == [first.name.id]
    assert counted(known("acme", [second, first]), instant("2026-01-09")) == []


def test_a_claim_that_is_void_gives_the_subscription_to_the_next():
    wrong, right = claim("umbra", "2026-01-05"), claim("acme", "2026-01-10")
    assert wrong.state is not None
    gone = void(wrong.state, "2026-02-01")
    assert isinstance(gone, Void)
    knowledge = known("acme", [wrong, right], voids=[VoidRecord(gone, instant("2026-02-01"))])

    assert counted(knowledge, instant("2026-01-31")) == []
    assert counted(knowledge, instant("2026-02-01")) == [right.name.id]
    assert refused_at(knowledge, instant("2026-02-01")) == []


def test_a_customer_and_the_account_that_it_is_are_no_rivals():
    by_account = claim("acme", "2026-01-05")
    by_customer = claim("cus_1", "2026-01-10", source="stripe")
    told = Alias("cus_1", "acme", "e1", instant("2026-01-20"), instant("2026-01-20"))
    knowledge = Knowledge(
        account="acme",
        states=[by_account, by_customer],
        contested=frozenset({"s1"}),
        aliases=[told],
    )

    assert counted(knowledge, instant("2026-01-19")) == [by_account.name.id]
    assert set(counted(knowledge)) == {by_account.name.id, by_customer.name.id}


ACCOUNTS = ("acme", "umbra", "hooli")
CLAIMS = st.lists(
    st.tuples(st.sampled_from(ACCOUNTS), st.integers(0, 20), st.integers(0, 20)),
    min_size=1,
    max_size=8,
)


@given(said=CLAIMS, shuffled=st.randoms(use_true_random=False), days=st.integers(0, 20))
@settings(max_examples=60, deadline=None)
def test_at_any_time_one_account_has_the_subscription_whatever_came_first(
    said: list[tuple[str, int, int]], shuffled: Random, days: int
) -> None:
    begin = instant("2026-01-01")
    claims = [
        claim(account, f"2026-01-{1 + recorded:02}", at=f"2026-01-{1 + at:02}")
        for account, recorded, at in said
    ]
    other_order = list(claims)
    shuffled.shuffle(other_order)
    at = begin + timedelta(days=days)

    def owners(order: list[StateRecord], known_at: datetime) -> list[str]:
        return [a for a in ACCOUNTS if timeline_at(known(a, order), known_at)]

    assert owners(claims, at) == owners(other_order, at)
    assert len(owners(claims, at)) == bool([r for r in claims if r.recorded_at <= at])
    assert set(owners(claims, at)) <= set(owners(claims, END_OF_TIME))
