"""Money's way: what Stripe tells, in any order and again, comes out as the books of a workspace."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any

import httpx
import msgspec
import pytest

from deploy.local.waiting import wait_until
from tests.support.mainstay import OPERATOR_KEY
from tests.support.processes import ServiceProcess
from tests.support.stack import ANY_POISON, TemporaryStack
from tests.unit.ingest.stripe_objects import (
    SECRET,
    coupon,
    discount,
    event,
    item,
    items,
    price,
    seconds,
    signature,
    subscription,
)

BEGIN = datetime(2026, 1, 10, tzinfo=UTC)
NAMED_TIERS = price(
    id="price_t",
    billing_scheme="tiered",
    tiers_mode="graduated",
    unit_amount=None,
    unit_amount_decimal=None,
)
TIERS = [
    {"up_to": 10, "unit_amount_decimal": "1000", "flat_amount": 5000},
    {"up_to": None, "unit_amount_decimal": "800"},
]


@dataclass(frozen=True)
class Money:
    """Ingest and metrics, and a workspace to which Stripe speaks."""

    ingest: ServiceProcess
    metrics: ServiceProcess
    http: httpx.Client
    keys: Mapping[str, str]

    def hear(self, webhooks: Sequence[Mapping[str, Any]]) -> None:
        """Have the webhooks sent in this order; wait until the ledger stands behind each one."""
        for sent in webhooks:
            body = msgspec.json.encode(sent)
            answer = self.http.post(
                f"{self.ingest.url}/webhooks/stripe/{self.keys['write']}",
                content=body,
                headers={"Stripe-Signature": signature(body, SECRET, at=datetime.now(UTC))},
            )
            assert answer.is_success, answer.text
            assert answer.json()["status"] == "accepted", answer.text
        for sent in webhooks:
            self.await_booked(sent["id"])

    def tell(self, fact: Mapping[str, Any]) -> None:
        """Send a fact, and wait until the ledger stands behind it."""
        answer = self.http.post(
            f"{self.ingest.url}/v1/billing", auth=(self.keys["write"], ""), json={"facts": [fact]}
        )
        (result,) = answer.json()["results"]
        assert result["status"] == "accepted", result
        self.await_booked(result["message_id"])

    def await_booked(self, message_id: str) -> None:
        """Wait until the ledger stands behind a message."""
        booked = wait_until(partial(self._is_booked, message_id), timeout_seconds=30)
        assert booked, (message_id, self.metrics.last_lines())

    def _is_booked(self, message_id: str) -> bool:
        answer = self.http.get(
            f"{self.ingest.url}/v1/receipts/{message_id}", headers=self._reading()
        )
        return answer.is_success and "metrics" in answer.json()["processed_by"]

    def has_ignored(self, repeats: int) -> bool:
        """Whether the ledger has met so many repeats."""
        ignored = self.months("2026-01", "2026-01")["duplicates_ignored"]
        return bool(ignored == repeats)

    def months(self, first: str, last: str) -> dict[str, Any]:
        """The report of some months."""
        answer = self.http.get(
            f"{self.metrics.url}/v1/revenue/months",
            params={"from": first, "to": last},
            headers=self._reading(),
        )
        assert answer.is_success, answer.text
        report: dict[str, Any] = answer.json()
        return report

    def ends(self, first: str, last: str) -> dict[str, int]:
        """The MRR at the end of each month, won."""
        months = self.months(first, last)["months"]
        return {month: int(report["mrr_end"]) for month, report in months.items()}

    def knows_its_keys(self) -> bool:
        """Whether the keys have reached metrics."""
        answer = self.http.get(f"{self.metrics.url}/v1/kpis", headers=self._reading())
        return answer.is_success

    def _reading(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.keys['read']}"}


@pytest.fixture
def money(stack: TemporaryStack) -> Iterator[Money]:
    """Ingest and metrics on fresh databases."""
    databases = {name: stack.fresh_database(name) for name in ("ingest", "metrics")}
    environment = {
        "KAFKA_BOOTSTRAP": stack.kafka_bootstrap,
        **ANY_POISON,
        "KAFKA_GROUP_SUFFIX": f".{secrets.token_hex(4)}",
        "OPERATOR_KEY": OPERATOR_KEY,
        **{f"DATABASE_URL_{name.upper()}": url for name, url in databases.items()},
    }
    workspace = {
        "id": f"t-{secrets.token_hex(6)}",
        "name": "Tenant",
        "time_zone": "Asia/Seoul",
        "reporting_currency": "KRW",
        "locale": "ko",
        "gross_margin": "0.8",
        "webhook_secrets": {"stripe": [SECRET]},
    }
    with ExitStack() as started:
        ingest, metrics = (
            started.enter_context(ServiceProcess(name, environment)) for name in databases
        )
        http = started.enter_context(httpx.Client(timeout=30, trust_env=False))
        answer = http.post(
            f"{ingest.url}/v1/workspaces",
            headers={"authorization": f"Bearer {OPERATOR_KEY}"},
            json=workspace,
        )
        assert answer.is_success, answer.text
        made = Money(ingest, metrics, http, answer.json()["keys"])
        assert wait_until(made.knows_its_keys, timeout_seconds=20)
        yield made


def happened(
    number: int,
    kind: str,
    held: Mapping[str, Any],
    previous: Mapping[str, Any] | None = None,
    *,
    day: int = 0,
) -> dict[str, Any]:
    """What Stripe says of a day, the first being 0."""
    at = BEGIN + timedelta(days=day)
    return event(kind, held, previous, id=f"evt_{number}", created=seconds(at))


def begun(**fields: Any) -> dict[str, Any]:
    """A subscription that began on the first day."""
    begin = seconds(BEGIN)
    return subscription(created=begin, start_date=begin, **fields)


def units(quantity: int) -> dict[str, Any]:
    """So many units of the usual price."""
    return items(item(quantity=quantity))


def test_history_told_twice_and_in_any_order_is_one_set_of_books(money: Money):
    tiered = begun(
        id="sub_2",
        customer="cus_2",
        items=items(item(price=NAMED_TIERS, quantity=15)),
        discounts=["di_1"],
    )
    ended = {"status": "canceled", "ended_at": seconds(BEGIN + timedelta(days=100))}
    named = discount(start=seconds(BEGIN), source={"coupon": "co_1", "type": "coupon"})
    paid = {"id": "in_1", "amount_paid": 66000, "currency": "krw", "customer": "cus_1"}
    refunded = {"id": "ch_1", "amount_refunded": 10, "currency": "krw", "customer": "cus_1"}
    before = {"items": {"data": [item(quantity=2)]}}
    history = [
        happened(1, "customer.subscription.created", begun(items=units(2))),
        happened(2, "customer.subscription.updated", begun(items=units(5)), before, day=40),
        happened(3, "customer.subscription.deleted", begun(items=units(5), **ended), day=100),
        happened(4, "customer.subscription.created", tiered),
        happened(5, "customer.discount.created", named),
        happened(6, "coupon.created", coupon(percent_off=10.0)),
        happened(7, "invoice.paid", paid, day=1),
        happened(8, "charge.refunded", refunded, day=2),
    ]
    told = [*history, *history]
    Random(5).shuffle(told)

    money.hear(told)
    without_tiers = money.ends("2026-01", "2026-01")
    money.tell(
        {
            "type": "provider_object",
            "source": "stripe",
            "id": "price_t looked up",
            "object_id": "price_t",
            "object": NAMED_TIERS | {"tiers": TIERS},
        }
    )

    of_tiers = (5000 + 10 * 1000 + 5 * 800) * 9 // 10
    assert without_tiers == {"2026-01": 2 * 33000}
    assert money.ends("2026-01", "2026-05") == {
        "2026-01": 2 * 33000 + of_tiers,
        "2026-02": 5 * 33000 + of_tiers,
        "2026-03": 5 * 33000 + of_tiers,
        "2026-04": of_tiers,
        "2026-05": of_tiers,
    }
    assert wait_until(partial(money.has_ignored, len(history)), timeout_seconds=20)
    assert money.months("2026-01", "2026-05")["conflicts"] == []


def test_two_updates_of_one_second_come_out_in_their_order(money: Money):
    to_three = {"items": {"data": [item(quantity=2)]}}
    to_four = {"items": {"data": [item(quantity=3)]}}
    history = [
        happened(5, "customer.subscription.created", begun(items=units(2))),
        # The ids say the contrary of what happened.
        happened(9, "customer.subscription.updated", begun(items=units(3)), to_three, day=5),
        happened(1, "customer.subscription.updated", begun(items=units(4)), to_four, day=5),
    ]

    money.hear(history)

    assert money.ends("2026-01", "2026-01") == {"2026-01": 4 * 33000}
