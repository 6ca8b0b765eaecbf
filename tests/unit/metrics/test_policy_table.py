"""The policy table, row by row: what others do differently, and what the books do (D01 to D35)."""

from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from services.metrics.model.calendar import Month, month_at, starts_at
from services.metrics.model.money import displayed
from services.metrics.model.movements import Kind
from shared.events.billing import AnyFact
from shared.events.facts import content_digest
from tests.unit.metrics.builders import (
    books_from,
    cohorts,
    discount,
    fact,
    instant,
    item,
    kinds,
    movements,
    mrr_at,
    point,
    rate,
    report,
    state,
    void,
    window,
)

TICK = timedelta(microseconds=1)


def one(**fields: Any) -> AnyFact:
    """A subscription of one item with these fields, from New Year."""
    return state("2026-01-01", items=[item(**fields)])


def test_d01_a_trial_is_no_mrr_and_turns_into_new():
    facts = [state("2026-01-10", status="trialing"), state("2026-01-24")]

    assert [movement.at for movement in movements(*facts)] == [instant("2026-01-24")]
    assert kinds(*facts) == [("new", 100)]


def test_d02_a_free_month_put_on_a_paying_subscription_is_no_churn():
    facts = [state("2026-01-01"), state("2026-02-01", status="trialing"), state("2026-03-01")]

    assert report("2026-02", *facts).customers_churned == 0
    assert report("2026-02", *facts).mrr_end == 100


def test_d03_recurring_discounts_lower_mrr_and_a_one_time_one_does_not():
    for duration, mrr in (("forever", 90), ("repeating", 90), ("once", 100)):
        off = discount("10", duration=duration)

        assert mrr_at("2026-01-01", state("2026-01-01", discounts=[off])) == mrr


def test_d04_fixed_amounts_apply_in_order_over_the_interval_and_never_below_nothing():
    yearly = state(
        "2026-01-01",
        items=[item("1200", interval="year", discounts=[discount("600", kind="amount")])],
        discounts=[discount("50"), discount("6000", kind="amount")],
    )
    halved = state(
        "2026-01-01",
        items=[item("1200", interval="year")],
        discounts=[
            discount("600", kind="amount"),
            discount("50"),
        ],
    )

    assert mrr_at("2026-01-01", yearly) == 0
    assert mrr_at("2026-01-01", halved) == 25


def test_d05_a_full_discount_is_churn_for_logo_and_revenue_alike():
    free = state("2026-01-01", discounts=[discount("100", start="2026-02-10")])

    february = report("2026-02", free)

    assert (february.customers_churned, february.net[Kind.CHURN]) == (1, -100)


def test_d06_a_year_is_an_exact_twelfth_and_parts_add_up():
    parts = [
        state("2026-01-01", account=str(n), items=[item("100", interval="year")]) for n in range(12)
    ]

    assert report("2026-01", *parts).mrr_end == 100


def test_d07_twelve_months_of_weeks_or_days_make_a_year():
    assert 12 * mrr_at("2026-01-01", one(unit_amount="1", interval="week")) == 52
    assert 12 * mrr_at("2026-01-01", one(unit_amount="1", interval="day")) == 365


def test_d08_metered_use_is_out_and_a_licensed_minimum_is_in():
    items = [item("5", 900, usage_type="metered"), item("20")]

    assert mrr_at("2026-01-01", state("2026-01-01", items=items)) == 20


def test_d09_tiers_are_priced_at_the_current_quantity_flat_fees_included():
    tiers = [{"up_to": 10, "unit_amount": "0.5"}, {"unit_amount": "0.25", "flat_amount": "2"}]

    tiered = one(unit_amount=None, quantity=12, tiers=tiers, tiers_mode="graduated")

    assert mrr_at("2026-01-01", tiered) == 5 + Fraction(1, 2) + 2


def test_d10_tax_inside_a_price_is_not_ours():
    taxed = one(unit_amount="11000", tax_behavior="inclusive", tax_percent="10")

    assert mrr_at("2026-01-01", taxed) == 10000


def test_d11_past_due_stays_in_and_is_shown_apart_and_unpaid_is_out():
    facts = [
        state("2026-01-01"),
        state("2026-02-01", status="past_due"),
        state("2026-05-01", status="unpaid"),
    ]

    assert mrr_at("2026-04-30", *facts) == 100
    assert mrr_at("2026-05-01", *facts) == 0
    at_risk = [step.past_due for step in books_from(*facts).timelines["acme"]]
    assert at_risk == [{}, {"KRW": 100}, {}]


def test_d12_a_pause_that_voids_is_nothing_and_one_that_keeps_drafts_is_kept():
    for behavior, mrr in (("void", 0), ("mark_uncollectible", 0), ("keep_as_draft", 100)):
        paused = state("2026-01-01", pause={"behavior": behavior})

        assert mrr_at("2026-01-01", paused) == mrr
    assert mrr_at("2026-01-01", state("2026-01-01", status="paused")) == 0


def test_d13_an_end_is_churn_once_when_it_comes():
    scheduled = state("2026-01-01", ends_at="2026-03-01")
    confirmed = state("2026-03-01", status="canceled", ends_at="2026-03-01")

    moved = movements(scheduled, confirmed)

    assert [move.at for move in moved if move.kind is Kind.CHURN] == [instant("2026-03-01")]


def test_d14_refunds_and_credits_are_cash_and_no_contract():
    refunded = [
        fact("refund", account="acme", amount="100", effective_at="2026-01-20"),
        fact("credit_note", account="acme", amount="100", effective_at="2026-01-21"),
    ]

    assert report("2026-01", state("2026-01-01"), *refunded).mrr_end == 100


def test_d15_there_is_no_window_after_which_a_return_would_be_new():
    facts = [state("2020-01-01"), state("2020-02-01", status="canceled"), state("2026-01-01")]

    assert [kind for kind, _ in kinds(*facts)] == ["new", "churn", "reactivation"]


def test_d16_a_customer_with_a_subscription_left_has_not_churned():
    facts = [
        state("2026-01-01", "100", subscription="base"),
        state("2026-01-01", "40", subscription="addon"),
        state("2026-02-01", subscription="base", status="canceled"),
        state("2026-03-01", subscription="addon", status="canceled"),
    ]

    assert kinds(*facts) == [("new", 140), ("contraction", -100), ("churn", -40)]


def test_d17_the_ledger_keeps_every_jump_and_the_month_nets_each_account():
    facts = [state("2026-01-01", "500"), state("2026-02-05", "100"), state("2026-02-25", "500")]

    february = report("2026-02", *facts)

    assert (february.gross[Kind.CONTRACTION], february.gross[Kind.EXPANSION]) == (-400, 400)
    assert (february.ndr, february.grr) == (1, 1)


def test_d18_only_one_instant_groups_facts():
    apart = [state("2026-01-01T00:00:00.000001", "1", subscription="s2"), state("2026-01-01")]

    assert kinds(*apart) == [("new", 100), ("expansion", 1)]


ZONES = [
    ("Asia/Seoul", "2026-01-31T15:00"),
    ("UTC", "2026-02-01T00:00"),
    ("America/New_York", "2026-02-01T05:00"),
    ("Asia/Kathmandu", "2026-01-31T18:15"),
    ("Pacific/Kiritimati", "2026-01-31T10:00"),
    ("Pacific/Pago_Pago", "2026-02-01T11:00"),
    ("Australia/Lord_Howe", "2026-01-31T13:00"),
    ("Europe/Berlin", "2026-01-31T23:00"),
]


@pytest.mark.parametrize(("zone", "begins"), ZONES)
def test_d19_months_begin_at_the_tenants_own_midnight(zone: str, begins: str):
    assert report("2026-02", state(begins), zone=zone).customers_new == 1
    assert report("2026-01", state(begins), zone=zone).customers_new == 0


# In each of these zones clocks change within three hours of the month's first instant.
CLOCK_CHANGES = [
    ("America/New_York", "2026-11", "2026-11-01T04:00"),  # back at 2
    ("America/Havana", "2012-04", "2012-04-01T05:00"),  # midnight itself is skipped
    ("America/Asuncion", "2023-10", "2023-10-01T04:00"),  # skipped
    ("Africa/Cairo", "2014-08", "2014-07-31T22:00"),  # skipped
    ("Africa/Cairo", "2024-11", "2024-10-31T22:00"),  # back at midnight: 23:00 comes twice
    ("America/Havana", "2026-11", "2026-11-01T04:00"),  # back at 1: midnight comes twice
    ("Asia/Gaza", "2011-08", "2011-07-31T22:00"),  # back at midnight
    ("Asia/Amman", "2016-04", "2016-03-31T22:00"),  # skipped
    ("Asia/Dhaka", "2010-01", "2009-12-31T18:00"),  # back at midnight
    ("Africa/Casablanca", "2008-09", "2008-09-01T00:00"),  # back at midnight
    ("Australia/Lord_Howe", "2023-10", "2023-09-30T13:30"),  # ahead by half an hour at 2
    ("Australia/Sydney", "2012-04", "2012-03-31T13:00"),  # back at 3
]


@pytest.mark.parametrize(("zone", "month", "begins"), CLOCK_CHANGES)
def test_d19_months_begin_at_the_first_midnight_where_clocks_change_about_then(
    zone: str, month: str, begins: str
):
    at = instant(begins)

    assert starts_at(Month.of(month), zone) == at
    assert month_at(at, zone) == Month.of(month)
    assert month_at(at - TICK, zone) == Month.of(month).previous


def test_d19_a_clock_that_goes_back_into_the_old_month_does_not_bring_it_back():
    first_midnight = instant("2009-11-01T02:30")  # a minute later clocks show 23:01 of October

    for minutes in (0, 1, 30, 61):
        at = first_midnight + timedelta(minutes=minutes)

        assert month_at(at, "America/St_Johns") == Month.of("2009-11")


def test_d20_currency_swings_stand_apart_and_leave_ndr_alone():
    facts = [
        rate("2026-01", "1300"),
        rate("2026-02", "1400"),
        state("2026-01-01", "1000", currency="USD"),
    ]

    february = report("2026-02", *facts)

    assert (february.mrr_start, february.fx, february.mrr_end) == (13000, 1000, 14000)
    assert not any(february.net.values())
    assert february.ndr == 1


def test_d21_won_have_no_decimals():
    assert displayed(mrr_at("2026-01-01", state("2026-01-01", "33000")), "KRW") == "33000"


def test_d22_a_late_fact_restates_and_the_earlier_answer_can_be_given_again():
    known = [state("2026-01-01"), state("2026-02-01", "200")]
    late = state("2026-01-10", "150", recorded_at="2026-03-01")

    assert report("2026-01", *known, late).mrr_end == 150
    assert report("2026-01", *known).mrr_end == 100


def test_d23_a_correction_is_a_void_and_a_replacement():
    wrong = state("2026-01-10", "900")
    right = state("2026-01-10", "90")

    assert kinds(state("2026-01-01"), wrong, void(wrong), right) == [
        ("new", 100),
        ("contraction", -10),
    ]


def test_d24_a_repeat_is_told_from_a_conflict_by_content_and_not_by_spelling():
    said = {"id": "f1", "type": "refund", "account": "acme", "amount": "10"}
    spelled = {"amount": "10", "account": "acme", "source": "native", "type": "refund", "id": "f1"}
    other = {**said, "amount": "11"}

    digests = [content_digest(raw, fact(**renamed(raw))) for raw in (said, spelled, other)]

    assert digests[0] == digests[1] != digests[2]


def renamed(raw: dict[str, Any]) -> dict[str, Any]:
    """The raw fact as the builder takes it."""
    return {("type_" if name == "type" else name): value for name, value in raw.items()}


def test_d25_business_time_decides_and_never_arrival():
    first, second = state("2026-01-01", "1"), state("2026-01-02", "2")

    assert movements(first, second) == movements(second, first)


def test_d26_only_who_paid_at_the_start_is_a_member_and_an_empty_base_is_null():
    assert report("2026-01", state("2026-01-01T00:00")).ndr is None
    assert report("2026-02", state("2026-01-01"), state("2026-02-02", account="new")).ndr == 1


def test_d27_a_dip_that_recovered_is_no_loss_in_a_long_window():
    facts = [state("2025-12-01"), state("2026-01-10", "10"), state("2026-03-10", "100")]

    span = window("2026-01", "2026-03", *facts)

    assert (span.ndr, span.grr) == (1, 1)


def test_d28_who_joined_and_left_inside_is_in_neither_side():
    facts = [
        state("2025-12-01", account="stays"),
        state("2026-01-10", "900", account="visits"),
        state("2026-02-10", account="visits", status="canceled"),
    ]

    span = window("2026-01", "2026-03", *facts)

    assert (span.customers_start, span.ndr, span.logo_churn) == (1, 1, 0)
    assert report("2026-01", *facts).gross[Kind.NEW] == 900


def test_d29_margin_repays_cac_and_only_new_customers_bear_it():
    facts = [
        state("2026-01-05", "100"),
        state("2025-01-05", "500", account="back"),
        state("2025-02-05", account="back", status="canceled"),
        state("2026-01-05", "500", account="back"),
        fact("sales_and_marketing", month="2026-01", amount="400"),
    ]

    january = report("2026-01", *facts, margin="0.8")

    assert january.cac == 400
    assert january.cac_payback_months == 5


def test_d30_column_zero_of_a_cohort_can_hurt():
    facts = [state("2026-01-05"), state("2026-01-25", status="canceled")]

    cohort = cohorts("2026-01", "2026-02", *facts)["2026-01"]

    assert cohort.size == 1
    assert [row.logo_retention for row in cohort.rows.values()] == [0, 0]


def test_d31_committed_mrr_runs_every_schedule_and_leaves_trials_out():
    facts = [
        state("2026-01-01", ends_at="2026-12-01"),
        state("2026-06-01", "40", subscription="starts"),
        state("2026-01-01", "70", subscription="tries", status="trialing"),
    ]

    assert point("2026-01-02", *facts).cmrr == 40


def test_d32_a_price_rise_is_told_from_more_seats():
    seats = state("2026-02-01", items=[item("100", 2)])
    dearer = state("2026-02-01", items=[item("200", 1)])

    for changed, reason in ((seats, "seats"), (dearer, "price")):
        assert movements(state("2026-01-01"), changed)[-1].reason == reason


def test_d33_a_start_may_lie_before_its_record_and_a_later_one_is_committed_only():
    backdated = state("2026-01-01", recorded_at="2026-03-01")
    to_come = state("2026-09-01", "10", account="later", recorded_at="2026-03-01")

    at = point("2026-03-01", backdated, to_come)

    assert (at.mrr, at.cmrr) == (100, 110)
    assert report("2026-01", backdated, to_come).mrr_end == 100


def test_d34_the_articles_own_formulas_stand_beside_cohort_churn():
    facts = [
        *(state("2025-12-01", "275", account=f"c{number}") for number in range(10)),
        state("2026-01-10", account="c0", status="canceled"),
        state("2026-01-10", account="c1", status="canceled"),
        state("2026-01-10", "850", account="new"),
    ]

    january = report("2026-01", *facts)

    assert january.simple_customer_change == Fraction(1, 10)
    assert january.simple_revenue_change == Fraction(2750 - 3050, 2750)
    assert january.logo_churn == Fraction(2, 10)


def test_d35_an_account_of_several_currencies_is_summed_and_a_switch_is_one_movement():
    facts = [
        rate("2026-01", "1000"),
        state("2026-01-01", "5000"),
        state("2026-01-01", "100", subscription="s2", currency="USD"),
        state("2026-01-20", "600", currency="USD"),
    ]

    assert kinds(*facts) == [("new", 6000), ("expansion", 1000)]
    assert report("2026-01", *facts).customers_end == 1
