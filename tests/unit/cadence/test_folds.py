"""What is known of people and accounts does not depend on the order in which it is told."""

from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import msgspec

from services.cadence.model.people import (
    Account,
    Person,
    account_upserted,
    revenue_moved,
    says_the_same,
    user_identified,
    zone_events,
)
from services.cadence.model.stages import Stage
from services.cadence.model.zones import ZoneKind
from shared.events.ingest import AccountUpserted, UserIdentified
from shared.events.metrics import MovementRecorded
from tests.unit.cadence.people import at
from tests.unit.health.builders import received

NOBODY = Person(profile={})
NEW = Account(profile={})


def said(when: str, **fields: Any) -> Any:
    return received(UserIdentified(user="u-1", **fields), at(when))


def moved(when: str, kind: str, mrr: int) -> Any:
    event = MovementRecorded(
        movement=when,
        at=at(when),
        kind=kind,
        amount=Decimal(mrr),
        mrr=Decimal(mrr),
        facts=["f"],
        policy_version=1,
    )
    return received(event, at(when))


def folded(person: Person, events: Any) -> Person:
    for event in events:
        person, _ = user_identified(person, event)
    return person


def test_a_person_is_the_same_in_every_order_and_after_every_repeat():
    events = [
        said("2025-06-02T00:00Z", time_zone="Asia/Seoul", locale="ko"),
        said("2025-06-03T00:00Z", signed_up_at=at("2025-06-01T00:00Z")),
        said("2025-06-04T00:00Z", time_zone="Europe/London"),
        said("2025-06-05T00:00Z", time_zone="Asia/Seoul", locale="en"),
    ]
    usual = folded(NOBODY, events)

    for order in permutations(events):
        assert folded(NOBODY, [*order, *order]) == usual

    assert usual.signed_up_at == at("2025-06-01T00:00Z")
    assert usual.value("locale") == "en"
    assert [(event.kind, event.zone) for event in zone_events(usual.zones)] == [
        (ZoneKind.LEARNED, "Asia/Seoul"),
        (ZoneKind.MOVED, "Europe/London"),
        (ZoneKind.MOVED, "Asia/Seoul"),
    ]


def test_while_nobody_said_when_the_first_time_of_being_identified_is_the_sign_up():
    person = folded(NOBODY, [said("2025-06-05T00:00Z"), said("2025-06-02T00:00Z")])

    assert person.signed_up_at == at("2025-06-02T00:00Z")


def test_a_zone_that_is_said_at_every_visit_makes_no_list_without_end():
    first = at("2025-06-02T00:00Z")
    visits = [
        received(UserIdentified(user="u-1", time_zone="Asia/Seoul"), first + timedelta(days=day))
        for day in range(50)
    ]

    assert len(folded(NOBODY, visits).zones) == 2


def test_an_address_is_taken_only_where_it_is_a_text_in_the_clear():
    for personal in (b'{"email": 5}', b'{"key": "k", "sealed": "x"}', b"[]"):
        event = said("2025-06-02T00:00Z", personal=msgspec.Raw(personal))
        assert folded(NOBODY, [event]).value("email") is None


def test_an_account_is_the_same_in_every_order():
    events = [
        moved("2025-06-01T00:00Z", "new", 5000),
        moved("2025-06-02T00:00Z", "churn", 0),
        moved("2025-06-03T00:00Z", "reactivation", 6000),
    ]
    for order in permutations(events):
        account = NEW
        for event in order:
            account, _ = revenue_moved(account, event)
        assert account.stage is Stage.ADOPTION
        assert (account.churned_at, account.reactivated_at) == (
            at("2025-06-02T00:00Z"),
            at("2025-06-03T00:00Z"),
        )


def test_what_is_said_again_means_nothing_new():
    plan = AccountUpserted(plan="team")
    once, _ = account_upserted(NEW, received(plan, at("2025-06-02T00:00Z")))
    twice, _ = account_upserted(once, received(plan, at("2025-06-03T00:00Z")))
    other, _ = account_upserted(
        twice, received(AccountUpserted(plan="free"), at("2025-06-04T00:00Z"))
    )

    assert says_the_same(once, twice)
    assert not says_the_same(twice, other)
