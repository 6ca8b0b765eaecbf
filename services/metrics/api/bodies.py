"""What the routes answer. A ratio over nothing is null, and so is all that is unknown."""

from datetime import datetime
from fractions import Fraction
from typing import Any

from pydantic import BaseModel, Field

from services.metrics.model import POLICY_VERSION
from services.metrics.model.identity import FactName
from services.metrics.model.knowledge import RawRecord
from services.metrics.model.money import ratio, shown
from services.metrics.model.months import MonthReport
from services.metrics.model.movements import Movement
from services.metrics.model.publication import movement_id
from services.metrics.store.reports import View

AMOUNT = "Minor units of the reporting currency, a decimal string; losses are negative."
RATIO = "A decimal number, 0.12 is 12 %; null over nothing."


class SumsBody(BaseModel):
    """The movements of a month by class."""

    new: str = Field(description=AMOUNT)
    reactivation: str = Field(description=AMOUNT)
    expansion: str = Field(description=AMOUNT)
    contraction: str = Field(description=AMOUNT)
    churn: str = Field(description=AMOUNT)


class MonthBody(BaseModel):
    """The report of a month."""

    mrr_start: str = Field(description="MRR at its start, at the rates of the month before.")
    fx: str = Field(description="The revaluation of the opening balance at this month's rates.")
    mrr_end: str = Field(description="MRR at its end: mrr_start + fx + the sum of net, or gross.")
    net: SumsBody = Field(description="Each account by its two ends, one class.")
    gross: SumsBody = Field(description="Every jump at its instant.")
    customers_start: int = Field(description="Accounts with MRR at its start.")
    customers_end: int = Field(description="Accounts with MRR at its end.")
    customers_new: int = Field(description="Net view: the first paid MRR ever.")
    customers_reactivated: int = Field(description="Net view: back after having paid once.")
    customers_churned: int = Field(description="Net view: paying at the start, not at the end.")
    ndr: float | None = Field(description=f"Net dollar retention. {RATIO}")
    grr: float | None = Field(description=f"Gross dollar retention. {RATIO}")
    logo_churn: float | None = Field(description=f"Churned / paying at the start. {RATIO}")
    net_revenue_churn: float | None = Field(description="1 - ndr.")
    gross_revenue_churn: float | None = Field(description="1 - grr.")
    quick_ratio: float | None = Field(
        description="(new + reactivation + expansion) / (contraction + churn), net view, no fx."
    )
    arpa: str | None = Field(description="MRR per account at the end, minor units.")
    ltv: str | None = Field(description="arpa x margin / logo_churn, minor units.")
    cac: str | None = Field(description="Spend / new customers, minor units.")
    cac_payback_months: float | None = Field(
        description="cac / (new MRR per new customer x margin)."
    )
    simple_customer_change: float | None = Field(description="(start - end) / start, customers.")
    simple_revenue_change: float | None = Field(
        description="(mrr_start + fx - mrr_end) / (mrr_start + fx)."
    )

    @classmethod
    def of(cls, report: MonthReport) -> "MonthBody":
        """The report, shown."""
        return cls(
            mrr_start=shown(report.mrr_start),
            fx=shown(report.fx),
            mrr_end=shown(report.mrr_end),
            net=SumsBody(**{kind.value: shown(sum_) for kind, sum_ in report.net.items()}),
            gross=SumsBody(**{kind.value: shown(sum_) for kind, sum_ in report.gross.items()}),
            customers_start=report.customers_start,
            customers_end=report.customers_end,
            customers_new=report.customers_new,
            customers_reactivated=report.customers_reactivated,
            customers_churned=report.customers_churned,
            ndr=ratio(report.ndr),
            grr=ratio(report.grr),
            logo_churn=ratio(report.logo_churn),
            net_revenue_churn=ratio(report.net_revenue_churn),
            gross_revenue_churn=ratio(report.gross_revenue_churn),
            quick_ratio=ratio(report.quick_ratio),
            arpa=amount(report.arpa),
            ltv=amount(report.ltv),
            cac=amount(report.cac),
            cac_payback_months=ratio(report.cac_payback_months),
            simple_customer_change=ratio(report.simple_customer_change),
            simple_revenue_change=ratio(report.simple_revenue_change),
        )


def amount(exact: Fraction | None) -> str | None:
    """An amount that may be unknown, shown."""
    return None if exact is None else shown(exact)


class ConflictBody(BaseModel):
    """A record that says something else under the id of a fact that stands."""

    source: str = Field(description="The fact's source.")
    id: str = Field(description="The fact's id.")
    recorded_at: datetime = Field(description="When this record was made.")
    partition: int = Field(description="Where it stands in ingest.billing.v1: the partition.")
    offset: int = Field(description="And the offset.")
    fact: dict[str, Any] = Field(description="What it says, as sent.")


class ViewBody(BaseModel):
    """What every revenue report says about itself."""

    currency: str = Field(description="The reporting currency.", examples=["KRW"])
    time_zone: str = Field(description="IANA zone that months are taken in.")
    policy_version: int = Field(description="Version of the rules by which figures are made.")
    known_at: datetime | None = Field(description="As asked; null is all that is known.")
    known_until: datetime | None = Field(
        description="Every fact recorded up to it is in: an answer known at it is final."
    )


def view_fields(view: View, known_until: datetime | None) -> dict[str, Any]:
    """The fields of ViewBody."""
    return {
        "currency": view.currency,
        "time_zone": view.zone,
        "policy_version": POLICY_VERSION,
        "known_at": view.known_at,
        "known_until": known_until,
    }


class MonthsBody(ViewBody):
    """The reports of a span of months."""

    months: dict[str, MonthBody] = Field(description="By month, as 2025-04.")
    duplicates_ignored: int = Field(description="Records of a fact that said the same again.")
    conflicts: list[ConflictBody] = Field(
        description="Records that said something else under a known id; the first one stands."
    )
    missing_rates: list[str] = Field(
        description="Currencies without a rate in some month: what they hold then is left out."
    )


def conflict(record: RawRecord, fact: dict[str, Any]) -> ConflictBody:
    """A conflict, shown."""
    return ConflictBody(
        source=record.name.source,
        id=record.name.id,
        recorded_at=record.recorded_at,
        partition=record.place.part,
        offset=record.place.offset,
        fact=fact,
    )


class MovementBody(BaseModel):
    """A movement of an account's recurring revenue."""

    id: str = Field(description="The account and the instant; `fx` ones are told apart.")
    account: str = Field(description="The account.")
    at: datetime = Field(description="When it took effect.")
    type: str = Field(
        description="new, reactivation, expansion, contraction, churn, or fx, a revaluation."
    )
    amount: str = Field(description=AMOUNT)
    mrr: str = Field(description="The account's MRR after it.")
    reason: str = Field(description="Why, in words; advisory, never compared.")
    facts: list[str] = Field(description="Ids of the facts behind it.")
    policy_version: int = Field(description="Version of the rules by which it was made.")

    @classmethod
    def of(cls, account: str, movement: Movement) -> "MovementBody":
        """The movement, shown."""
        return cls(
            id=movement_id(account, movement),
            account=account,
            at=movement.at,
            type=movement.kind.value,
            amount=shown(movement.amount),
            mrr=shown(movement.mrr),
            reason=movement.reason,
            facts=fact_ids(movement.facts),
            policy_version=POLICY_VERSION,
        )


def fact_ids(names: tuple[FactName, ...]) -> list[str]:
    """The ids of facts."""
    return [name.id for name in names]
