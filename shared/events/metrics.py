"""Contracts of metrics: revenue as the ledger books it, contracts, and what there is to expand."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from shared.events.base import Event, Topic

ACCOUNT_KEY = "<workspace>/<account>"

REVENUE = Topic(
    name="metrics.revenue.v1",
    producer="metrics",
    description="Movements of recurring revenue, restatements, closed months, settings.",
    key=f"{ACCOUNT_KEY}; months and settings: <workspace>/",
    partitions=12,
)
CONTRACTS = Topic(
    name="metrics.contracts.v1",
    producer="metrics",
    description="What becomes of contracts by their dates, and what there is to expand.",
    key=ACCOUNT_KEY,
    partitions=12,
)

Money = Annotated[
    Decimal, Meta(description="Minor units of the reporting currency, a decimal string.")
]
Facts = Annotated[list[str], Meta(description="Ids of the facts behind it.")]
Contract = Annotated[str, Meta(description="The contract's id.")]


class MovementRecorded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published once a movement of an account's recurring revenue is in force, not before."""

    type: ClassVar[str] = "revenue.movement_recorded.v1"
    topic: ClassVar[Topic] = REVENUE
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "movement": "acme/2026-01-05T09:00:00Z",
            "at": "2026-01-05T09:00:00Z",
            "kind": "expansion",
            "amount": "5000",
            "mrr": "25000",
            "facts": ["evt_1"],
            "policy_version": 1,
        },
    )

    movement: Annotated[str, Meta(description="Its id: the account and the instant.")]
    at: Annotated[datetime, Meta(description="When it took effect.")]
    kind: Annotated[str, Meta(description="new, reactivation, expansion, contraction, churn, fx")]
    amount: Money
    mrr: Annotated[Decimal, Meta(description="The account's recurring revenue after it.")]
    facts: Facts
    policy_version: int


class RevenueRestated(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a fact that came late, or was withdrawn, changes what was said before."""

    type: ClassVar[str] = "revenue.restated.v1"
    topic: ClassVar[Topic] = REVENUE
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "known_at": "2026-03-05T09:00:00Z",
            "months": ["2026-01", "2026-02"],
            "mrr": "20000",
            "cause": "late",
            "facts": ["evt_1"],
        },
    )

    known_at: Annotated[datetime, Meta(description="Since when it is known.")]
    months: Annotated[list[str], Meta(description="Months whose figures have changed.")]
    mrr: Annotated[Decimal, Meta(description="The account's recurring revenue now.")]
    cause: Annotated[str, Meta(description="late, void, correction, rate or mapping")]
    facts: Facts


class AtRiskChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published when an account's subscriptions become past due, or none is any more."""

    type: ClassVar[str] = "revenue.at_risk_changed.v1"
    topic: ClassVar[Topic] = REVENUE
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({"past_due": True, "mrr": "25000"},)

    past_due: bool
    mrr: Annotated[Decimal, Meta(description="Recurring revenue that is past due.")]


class MonthClosed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a month of a workspace is closed: its figures keep the invariants."""

    type: ClassVar[str] = "revenue.month_closed.v1"
    topic: ClassVar[Topic] = REVENUE
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "month": "2026-01",
            "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "previous_digest": "",
            "policy_version": 1,
        },
    )

    month: Annotated[str, Meta(description="As 2026-01.")]
    digest: Annotated[str, Meta(description="SHA-256 over the one before and this month, hex.")]
    previous_digest: Annotated[str, Meta(description="Of the month closed before; empty if none.")]
    policy_version: int


class FirstPaymentSucceeded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published when an account has paid for the first time."""

    type: ClassVar[str] = "payment.first_succeeded.v1"
    topic: ClassVar[Topic] = REVENUE
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"at": "2026-01-05T09:00:00Z", "amount": "25000", "currency": "EUR"},
    )

    at: datetime
    amount: Annotated[Decimal, Meta(description="Minor units of `currency`, a decimal string.")]
    currency: Annotated[str, Meta(description="ISO 4217.")]


class SettingsChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published when somebody sets the gross margin or the target of net dollar retention."""

    type: ClassVar[str] = "metrics.settings_changed.v1"
    topic: ClassVar[Topic] = REVENUE
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({"gross_margin": "0.8"},)

    gross_margin: Annotated[
        str | None, Meta(description="Share of revenue, 0 to 1; absent: not changed.")
    ] = None
    gross_margin_unknown: Annotated[bool, Meta(description="The margin was set to unknown.")] = (
        False
    )
    ndr_target: Annotated[
        str | None, Meta(description="As a ratio, 1.2 is 120 %; absent: not changed.")
    ] = None


class ContractEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What is said of a contract at one of its dates."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"contract": "c-1", "on": "2026-04-05", "auto_renew": True, "mrr": "25000"},
    )

    contract: Contract
    on: Annotated[date, Meta(description="The last day inside, in the workspace's zone.")]
    auto_renew: bool
    mrr: Annotated[Decimal, Meta(description="The account's recurring revenue now.")]
    days_left: Annotated[int | None, Meta(description="Days to `on`; absent once it passed.")] = (
        None
    )


class OptOutClosing(ContractEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published before the window closes in which a contract can be left without notice."""

    type: ClassVar[str] = "contract.opt_out_closing.v1"
    topic: ClassVar[Topic] = CONTRACTS


class OptedOut(ContractEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a contract is cancelled within its opt-out window."""

    type: ClassVar[str] = "contract.opted_out.v1"
    topic: ClassVar[Topic] = CONTRACTS


class RenewalDue(ContractEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when the end of a contract's term comes near."""

    type: ClassVar[str] = "contract.renewal_due.v1"
    topic: ClassVar[Topic] = CONTRACTS


class Renewed(ContractEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a contract that renews by itself has passed the end of its term."""

    type: ClassVar[str] = "contract.renewed.v1"
    topic: ClassVar[Topic] = CONTRACTS


class Ended(ContractEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a contract has ended: cancelled, or not renewed."""

    type: ClassVar[str] = "contract.ended.v1"
    topic: ClassVar[Topic] = CONTRACTS


class OpportunityEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Something that an account may buy beside what it has."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"opportunity": "acme/seat/c-1", "kind": "seat", "signal": "more users than seats"},
    )

    opportunity: Annotated[str, Meta(description="Its id.")]
    kind: Annotated[str, Meta(description="seat, add_on or cross_sell")]
    signal: Annotated[str, Meta(description="What speaks for it.")]
    value: Annotated[
        Decimal | None, Meta(description="Recurring revenue it may bring; absent: unknown.")
    ] = None
    blocked_by: Annotated[str | None, Meta(description="value_proven, while that is open.")] = None


class OpportunityOpened(OpportunityEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when signals first speak for selling an account more."""

    type: ClassVar[str] = "opportunity.opened.v1"
    topic: ClassVar[Topic] = CONTRACTS


class OpportunityClosed(OpportunityEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when an opportunity was taken, or nothing speaks for it any more."""

    type: ClassVar[str] = "opportunity.closed.v1"
    topic: ClassVar[Topic] = CONTRACTS
