"""What the ledger says of an account: the later word stands, whatever comes first."""

from datetime import date
from decimal import Decimal
from itertools import permutations
from typing import Any

from services.health.model.commercial import at_risk_changed, contract_told, revenue_moved
from shared.events.base import Received
from shared.events.metrics import (
    AtRiskChanged,
    MovementRecorded,
    OptOutClosing,
    Renewed,
    RevenueRestated,
)
from shared.events.told import Profile
from tests.unit.health.builders import instant, received


def moved(at: str, mrr: str) -> Received[Any]:
    movement = MovementRecorded(
        movement=f"acme/{at}",
        at=instant(at),
        kind="expansion",
        amount=Decimal(1),
        mrr=Decimal(mrr),
        facts=["f1"],
        policy_version=1,
    )
    return received(movement, at)


def restated(at: str, mrr: str) -> Received[Any]:
    event = RevenueRestated(
        known_at=instant(at), months=["2026-01"], mrr=Decimal(mrr), cause="late", facts=["f2"]
    )
    return received(event, at)


def values(known: Profile) -> dict[str, Any]:
    return {name: told.value for name, told in known.items()}


def test_revenue_is_what_the_newest_movement_or_restatement_says_in_every_order():
    events = [moved("2026-01-05", "25000"), restated("2026-01-09", "20000.5")]

    for order in permutations(events):
        known: Profile = {}
        for event in order:
            known, caused = revenue_moved(known, event)
            assert caused == ()

        assert values(known) == {"mrr": "20000.5"}


def test_what_is_overdue_is_nothing_once_it_is_paid():
    late = received(AtRiskChanged(past_due=True, mrr=Decimal(25000)), "2026-01-05")
    paid = received(AtRiskChanged(past_due=False, mrr=Decimal(0)), "2026-01-06")

    known, _ = at_risk_changed({}, late)
    known, _ = at_risk_changed(known, paid)

    assert values(known) == {"mrr_at_risk": "0"}


def test_a_contract_stands_as_it_was_told_last():
    dates: dict[str, Any] = {"contract": "c-1", "auto_renew": True, "mrr": Decimal(25000)}
    closing = OptOutClosing(on=date(2026, 4, 5), days_left=14, **dates)
    renewed = Renewed(on=date(2027, 1, 4), **dates)

    known, _ = contract_told({}, received(closing, "2026-03-22"))
    earlier = values(known)
    known, _ = contract_told(known, received(renewed, "2027-01-05"))

    assert earlier["contract"]["state"] == "opt_out_closing"
    assert values(known)["contract"] == {
        "contract": "c-1",
        "state": "renewed",
        "on": "2027-01-04",
        "auto_renew": True,
    }
