"""The policy, rule by rule: P01 to P28, each with its boundaries."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from services.metrics.model.calendar import Month
from services.metrics.model.identity import FactName, Record, judged
from services.metrics.model.money import displayed, minor_factor, ratio, share
from services.metrics.model.movements import Kind
from tests.unit.metrics.builders import (
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
)

TIERS = [
    {"up_to": 10, "unit_amount": "100", "flat_amount": "1000"},
    {"up_to": 20, "unit_amount": "80", "flat_amount": "500"},
    {"up_to": None, "unit_amount": "50"},
]


def worth(**fields: Any) -> Fraction:
    """MRR of one item with these fields."""
    return mrr_at("2026-01-01", state("2026-01-01", items=[item(**fields)]))


def tiered(quantity: int, mode: str) -> Fraction:
    return worth(unit_amount=None, tiers=TIERS, tiers_mode=mode, quantity=quantity)


def test_p01_mrr_is_price_times_quantity_of_the_items_in_force():
    subscribed = state("2026-01-01", items=[item("100", 3), item("50.5", 2)])

    assert mrr_at("2026-01-01", subscribed) == 401


def test_p01_invoices_and_payments_make_no_mrr():
    invoiced = fact("invoice_item", account="acme", amount="5000", effective_at="2026-01-02")

    assert mrr_at("2026-01-03", state("2026-01-01"), invoiced) == 100


@pytest.mark.parametrize(
    ("interval", "count", "per_month"),
    [
        ("month", 1, Fraction(1)),
        ("month", 3, Fraction(1, 3)),
        ("year", 1, Fraction(1, 12)),
        ("year", 2, Fraction(1, 24)),
        ("week", 1, Fraction(52, 12)),
        ("week", 2, Fraction(52, 24)),
        ("day", 1, Fraction(365, 12)),
        ("day", 30, Fraction(365, 360)),
    ],
)
def test_p02_an_interval_is_spread_over_months_exactly(
    interval: str, count: int, per_month: Fraction
):
    assert worth(unit_amount="1", interval=interval, interval_count=count) == per_month


def test_p03_a_trial_is_nothing_until_it_turns_active():
    trial = state("2026-01-01", status="trialing")
    paid = state("2026-02-01")

    assert mrr_at("2026-01-31", trial, paid) == 0
    assert kinds(trial, paid) == [("new", 100)]


def test_p04_a_trial_put_on_a_paying_subscription_keeps_its_mrr():
    facts = [state("2026-01-01"), state("2026-02-01", status="trialing"), state("2026-03-01")]

    assert mrr_at("2026-02-15", *facts) == 100
    assert kinds(*facts) == [("new", 100)]


def test_p04_a_second_snapshot_of_a_free_month_keeps_it_too():
    facts = [state("2026-01-01")] + [
        state(at, status="trialing") for at in ("2026-02-01", "2026-02-10")
    ]

    assert mrr_at("2026-02-15", *facts) == 100


def test_p04_a_trial_after_a_pause_or_an_end_is_an_ordinary_trial():
    facts = [
        state("2026-01-01"),
        state("2026-02-01", status="canceled"),
        state("2026-03-01", status="trialing"),
    ]

    assert mrr_at("2026-03-02", *facts) == 0


def test_p04_a_trial_of_another_subscription_keeps_nothing():
    facts = [state("2026-01-01"), state("2026-02-01", subscription="s2", status="trialing")]

    assert mrr_at("2026-02-15", *facts) == 100


@pytest.mark.parametrize("duration", ["forever", "repeating"])
def test_p05_a_discount_lowers_mrr_from_its_start_to_before_its_end(duration: str):
    off = discount("20", duration=duration, start="2026-02-01", end="2026-04-01")
    subscribed = state("2026-01-01", discounts=[off])

    assert mrr_at("2026-01-31T23:59:59.999999", subscribed) == 100
    assert mrr_at("2026-02-01", subscribed) == 80
    assert mrr_at("2026-03-31T23:59:59.999999", subscribed) == 80
    assert mrr_at("2026-04-01", subscribed) == 100


def test_p05_a_discount_once_never_lowers_mrr():
    assert (
        mrr_at("2026-01-01", state("2026-01-01", discounts=[discount("50", duration="once")]))
        == 100
    )


def test_p05_item_discounts_come_first_then_the_subscriptions_each_in_order():
    subscribed = state(
        "2026-01-01",
        items=[item("100", discounts=[discount("50"), discount("10", kind="amount")])],
        discounts=[discount("10", kind="amount"), discount("50")],
    )

    assert mrr_at("2026-01-01", subscribed) == (100 * Fraction(1, 2) - 10 - 10) / 2


def test_p05_an_amount_is_per_billing_period_and_spread_over_it():
    subscribed = state(
        "2026-01-01",
        items=[item("1200", interval="year")],
        discounts=[discount("120", kind="amount")],
    )

    assert mrr_at("2026-01-01", subscribed) == 90


def test_p05_an_amount_on_a_subscription_is_shared_over_its_items_in_proportion():
    taxed = item("300", tax_behavior="inclusive", tax_percent="100")
    subscribed = state(
        "2026-01-01", items=[taxed, item("100")], discounts=[discount("40", kind="amount")]
    )

    # Of the 40 the taxed item bears 30: only its share is halved by tax.
    assert mrr_at("2026-01-01", subscribed) == Fraction(300 - 30, 2) + 90


def test_p05_a_discount_never_takes_more_than_there_is():
    off = discount("250", kind="amount")

    assert mrr_at("2026-01-01", state("2026-01-01", discounts=[off])) == 0
    assert worth(unit_amount="100", discounts=[off]) == 0


def test_p06_metered_items_are_nothing_and_a_licensed_minimum_counts():
    metered = item("7", None, usage_type="metered")
    minimum = item("50")

    assert mrr_at("2026-01-01", state("2026-01-01", items=[metered, minimum])) == 50


@pytest.mark.parametrize(
    ("quantity", "amount"), [(0, 0), (1, 1100), (10, 2000), (11, 1380), (20, 2100), (21, 1050)]
)
def test_p07_volume_prices_all_units_by_one_tier(quantity: int, amount: int):
    assert tiered(quantity, "volume") == amount


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [(0, 0), (1, 1100), (10, 2000), (11, 2580), (20, 3300), (21, 3350)],
)
def test_p07_graduated_prices_each_unit_by_its_tier_and_a_flat_fee_once_reached(
    quantity: int, amount: int
):
    assert tiered(quantity, "graduated") == amount


@pytest.mark.parametrize(("round_", "amount"), [("up", 300), ("down", 200)])
def test_p07_a_transformed_quantity_is_divided_and_rounded_before_it_is_priced(
    round_: str, amount: int
):
    transform = {"divide_by": 10, "round": round_}

    assert worth(unit_amount="100", quantity=25, transform_quantity=transform) == amount


def test_p07_unit_amounts_have_decimals():
    assert worth(unit_amount="0.000000000001", quantity=3) == Fraction(3, 10**12)


def test_p08_an_inclusive_price_is_divided_by_its_tax_after_discounts():
    taxed = {"tax_behavior": "inclusive", "tax_percent": "10"}

    assert worth(unit_amount="110", **taxed) == 100
    assert worth(unit_amount="110", discounts=[discount("11", kind="amount")], **taxed) == 90


def test_p08_an_exclusive_price_is_net_already():
    assert worth(unit_amount="110", tax_behavior="exclusive", tax_percent="10") == 110


@pytest.mark.parametrize("status", ["active", "past_due"])
def test_p09_active_and_past_due_count(status: str):
    assert mrr_at("2026-01-01", state("2026-01-01", status=status)) == 100


@pytest.mark.parametrize(
    "status", ["unpaid", "incomplete", "incomplete_expired", "canceled", "paused"]
)
def test_p09_every_other_status_is_nothing(status: str):
    assert mrr_at("2026-01-01", state("2026-01-01"), state("2026-01-01", status=status, seq=1)) == 0


def test_p09_past_due_is_not_cut_off_by_age():
    assert mrr_at("2026-11-01", state("2025-01-01", status="past_due")) == 100


@pytest.mark.parametrize("behavior", ["void", "mark_uncollectible"])
def test_p10_a_pause_is_nothing_from_the_fact_until_it_resumes(behavior: str):
    pause = {"behavior": behavior, "resumes_at": "2026-03-01T00:00:00Z"}
    facts = [state("2026-01-01"), state("2026-02-01", pause=pause)]

    assert mrr_at("2026-01-31T23:59:59.999999", *facts) == 100
    assert mrr_at("2026-02-01", *facts) == 0
    assert mrr_at("2026-02-28T23:59:59.999999", *facts) == 0
    assert mrr_at("2026-03-01", *facts) == 100


def test_p10_a_pause_without_end_lasts_until_a_state_without_pause():
    facts = [state("2026-01-01", pause={"behavior": "void"}), state("2026-04-01")]

    assert mrr_at("2026-03-31", *facts) == 0
    assert mrr_at("2026-04-01", *facts) == 100


def test_p10_a_pause_that_keeps_drafts_changes_nothing():
    assert mrr_at("2026-01-02", state("2026-01-01", pause={"behavior": "keep_as_draft"})) == 100


def test_p11_a_scheduled_end_keeps_mrr_until_that_instant():
    scheduled = state("2026-01-01", ends_at="2026-03-01")

    assert mrr_at("2026-02-28T23:59:59.999999", scheduled) == 100
    assert mrr_at("2026-03-01", scheduled) == 0


def test_p11_a_state_of_canceled_ends_it_at_once():
    facts = [
        state("2026-01-01", ends_at="2026-03-01"),
        state("2026-02-01", status="canceled", ends_at="2026-03-01"),
    ]

    assert kinds(*facts) == [("new", 100), ("churn", -100)]
    assert mrr_at("2026-02-01", *facts) == 0


def test_p11_a_confirmation_after_the_end_moves_nothing():
    scheduled = state("2026-01-01", ends_at="2026-03-01")
    confirmed = state("2026-03-01T00:00:05", status="canceled", ends_at="2026-03-01")

    assert movements(scheduled, confirmed) == movements(scheduled)


@pytest.mark.parametrize("type_", ["refund", "credit_note", "invoice_item", "usage"])
def test_p12_noise_moves_nothing(type_: str):
    noise = fact(type_, account="acme", amount="99", effective_at="2026-02-01")
    subscribed = state("2026-01-01")

    assert movements(subscribed, noise) == movements(subscribed)


def test_p13_to_nothing_by_discount_is_churn_and_back_is_reactivation():
    free = discount("100", start="2026-02-01", end="2026-03-01")

    assert kinds(state("2026-01-01", discounts=[free])) == [
        ("new", 100),
        ("churn", -100),
        ("reactivation", 100),
    ]


def test_p13_a_free_plan_is_no_customer():
    assert report("2026-01", state("2026-01-01", "0")).customers_end == 0


@pytest.mark.parametrize("back", ["2026-02-01T00:00:01", "2026-11-01"])
def test_p14_any_return_after_having_paid_is_a_reactivation(back: str):
    facts = [state("2026-01-01"), state("2026-02-01", status="canceled"), state(back)]

    assert [kind for kind, _ in kinds(*facts)] == ["new", "churn", "reactivation"]


def test_p15_all_facts_of_an_account_at_one_instant_make_one_movement():
    moved = [
        state("2026-02-01", "30"),
        state("2026-02-01", "40", subscription="s2"),
    ]

    assert kinds(state("2026-01-01"), *moved) == [("new", 100), ("contraction", -30)]


def test_p15_a_movement_names_every_fact_of_its_instant():
    one, two = state("2026-02-01", "30"), state("2026-02-01", "40", subscription="s2")

    movement = movements(state("2026-01-01"), one, two)[-1]

    assert movement.facts == (FactName("native", one.id), FactName("native", two.id))


def test_p16_a_month_has_one_rate_and_its_opening_balance_is_revalued():
    facts = [
        rate("2026-01", "1000"),
        rate("2026-02", "1100"),
        state("2026-01-10", "100", currency="USD"),
        state("2026-02-10", "200", currency="USD"),
    ]

    assert kinds(*facts, through="2026-02") == [("new", 1000), ("fx", 100), ("expansion", 1100)]
    february = report("2026-02", *facts)
    assert (february.mrr_start, february.fx, february.mrr_end) == (1000, 100, 2200)


def test_p16_the_last_known_rate_is_carried_forward():
    facts = [rate("2026-01", "1000"), state("2026-03-10", "100", currency="USD")]

    assert report("2026-05", *facts).mrr_end == 1000


def test_p16_ndr_values_both_ends_at_the_closing_months_rate():
    facts = [
        rate("2026-01", "1000"),
        rate("2026-02", "2000"),
        state("2026-01-10", "100", currency="USD"),
    ]

    assert report("2026-02", *facts).ndr == 1


def test_p16_a_later_recorded_rate_replaces_the_earlier_one_of_its_month():
    facts = [
        rate("2026-01", "2000", recorded_at="2026-03-01"),
        rate("2026-01", "1000", recorded_at="2026-01-01"),
        state("2026-01-10", "100", currency="USD"),
    ]

    assert report("2026-01", *facts).mrr_end == 2000


@pytest.mark.parametrize(
    ("currency", "shown"), [("KRW", "33000"), ("USD", "330.00"), ("KWD", "33.000")]
)
def test_p17_minor_units_go_by_currency(currency: str, shown: str):
    assert displayed(Fraction(33000), currency) == shown


def test_p17_a_rate_between_major_units_is_converted_between_minor_ones():
    assert minor_factor(Decimal(1300), "USD", "KRW") == 13
    assert minor_factor(Decimal("3.25"), "KWD", "USD") == Fraction(325, 1000)


def test_p18_the_gross_view_has_every_jump_and_the_net_view_the_two_ends():
    facts = [
        state("2026-01-01"),
        state("2026-02-05", "150"),
        state("2026-02-20", "120"),
    ]

    february = report("2026-02", *facts)

    assert (february.gross[Kind.EXPANSION], february.gross[Kind.CONTRACTION]) == (50, -30)
    assert (february.net[Kind.EXPANSION], february.net[Kind.CONTRACTION]) == (20, 0)


def test_p18_who_joins_and_leaves_in_a_month_is_in_the_gross_view_alone():
    january = report("2026-01", state("2026-01-05"), state("2026-01-20", status="canceled"))

    assert (january.gross[Kind.NEW], january.gross[Kind.CHURN]) == (100, -100)
    assert not any(january.net.values())
    assert (january.customers_new, january.customers_churned) == (0, 0)


def test_p19_retention_is_read_over_those_who_paid_at_the_start():
    facts = [
        state("2026-01-01", account="grows"),
        state("2026-02-10", "130", account="grows"),
        state("2026-01-01", account="leaves"),
        state("2026-02-10", account="leaves", status="canceled"),
        state("2026-02-10", "1000", account="joins"),
    ]

    february = report("2026-02", *facts)

    assert february.ndr == Fraction(130, 200)
    assert february.grr == Fraction(100, 200)
    assert february.logo_churn == Fraction(1, 2)


def test_p19_returners_are_outside():
    facts = [
        state("2026-01-01", account="stays"),
        state("2025-11-01", account="back"),
        state("2025-12-01", account="back", status="canceled"),
        state("2026-02-10", account="back"),
    ]

    assert report("2026-02", *facts).ndr == 1


def test_p20_the_boundary_instant_is_in_the_new_month_of_the_tenants_zone():
    begins = "2026-01-31T15:00"  # 1 February in Seoul

    assert report("2026-02", state(begins), zone="Asia/Seoul").net[Kind.NEW] == 100
    just_before = state("2026-01-31T14:59:59.999999")
    assert report("2026-01", just_before, zone="Asia/Seoul").net[Kind.NEW] == 100


def test_p21_the_latest_view_restates_the_past_by_business_date():
    late = state("2026-01-15", "300", recorded_at="2026-06-01")

    assert report("2026-01", state("2026-01-01"), late).mrr_end == 300


def test_p21_the_view_as_of_an_instant_knows_only_the_facts_recorded_up_to_it():
    facts = [state("2026-01-01"), state("2026-01-15", "300", recorded_at="2026-06-01")]
    as_of_may, as_of_june = facts[:1], facts

    assert report("2026-01", *as_of_may).mrr_end == 100
    assert report("2026-01", *as_of_june).mrr_end == 300


def test_p22_a_repeat_is_ignored_and_other_content_is_a_conflict():
    name = FactName("native", "f1")
    records = [
        Record(name, "a", instant("2026-01-02")),
        Record(name, "b", instant("2026-01-03")),
        Record(name, "a", instant("2026-01-04")),
        Record(FactName("stripe", "f1"), "b", instant("2026-01-05")),
    ]

    verdict = judged(records)

    assert [record.digest for record in verdict.standing] == ["a", "b"]
    assert verdict.repeats == 1
    assert verdict.conflicts == (records[1],)


def test_p22_the_first_recorded_stands_in_whatever_order_they_come():
    name = FactName("native", "f1")
    early, late = Record(name, "b", instant("2026-01-01")), Record(name, "a", instant("2026-01-02"))

    assert judged([late, early]) == judged([early, late])
    assert judged([late, early]).standing == (early,)


def test_p22_of_two_recorded_at_one_instant_the_first_in_the_log_stands():
    name, at = FactName("native", "f1"), instant("2026-01-01")

    assert judged([Record(name, "b", at), Record(name, "a", at)]).standing[0].digest == "b"


def test_p22_a_void_removes_its_target():
    wrong = state("2026-01-15", "900")

    assert mrr_at("2026-02-01", state("2026-01-01"), wrong, void(wrong)) == 100


def test_p22_a_void_names_a_fact_of_its_own_source():
    imported = state("2026-01-15", "900", id="x", source="stripe")
    elsewhere = fact("void", target="x")

    assert mrr_at("2026-02-01", imported, elsewhere) == 900


def test_p22_a_void_that_is_void_itself_removes_nothing():
    wrong = state("2026-01-15", "900")
    removed = void(wrong, "2026-03-01")

    assert mrr_at("2026-02-01", wrong, removed, void(removed, "2026-04-01")) == 900


def test_p22_the_state_is_the_latest_by_instant_then_sequence_then_id():
    at = "2026-01-01"
    facts = [
        state(at, "1", id="z", seq=1),
        state(at, "2", id="a", seq=2),
        state(at, "3", id="b", seq=2),
    ]

    for order in (facts, facts[::-1]):
        assert mrr_at(at, *order) == 3


def test_p23_cmrr_lets_every_known_schedule_run():
    facts = [
        state("2026-01-01", "100", subscription="ends", ends_at="2026-09-01"),
        state("2026-01-01", "50", subscription="off", discounts=[discount("50", end="2026-08-01")]),
        state("2026-10-01", "10", subscription="starts"),
        state("2026-01-01", "1000", subscription="trial", status="trialing"),
    ]

    at = point("2026-02-01", *facts)

    assert at.mrr == 125
    assert at.cmrr == 60


def test_p24_a_cohort_is_the_month_of_the_first_paid_mrr_and_keeps_its_members():
    facts = [
        state("2026-01-05", account="stays"),
        state("2026-01-05", account="leaves at once"),
        state("2026-01-20", account="leaves at once", status="canceled"),
        state("2026-01-05", account="returns"),
        state("2026-02-20", account="returns", status="canceled"),
        state("2026-03-20", "300", account="returns"),
    ]

    made = cohorts("2026-01", "2026-03", *facts, margin="0.5")

    cohort = made["2026-01"]
    assert list(made) == ["2026-01"]
    assert (cohort.size, cohort.base_mrr) == (3, 300)
    assert [row.customers for row in cohort.rows.values()] == [2, 1, 2]
    assert [row.mrr for row in cohort.rows.values()] == [200, 100, 400]
    assert cohort.rows[Month.of("2026-03")].logo_retention == Fraction(2, 3)
    assert cohort.rows[Month.of("2026-03")].ndr == Fraction(4, 3)
    # 200 per live account, half of it margin; 1 lost of 2 + 1 at risk in February and March
    assert cohort.ltv == 200 * Fraction(1, 2) / Fraction(1, 3)


def test_p24_cohort_cac_and_nps_come_from_the_facts_of_its_members():
    facts = [
        state("2026-01-05", account="a"),
        state("2026-01-05", account="b"),
        fact("acquisition_cost", account="a", amount="300"),
        fact("acquisition_cost", account="a", amount="100"),
        fact("acquisition_cost", account="stranger", amount="9999"),
        *(
            fact("nps_response", account="a", respondent=who, score=score, effective_at=at)
            for who, score, at in [
                ("ann", 2, "2026-01-01"),
                ("ann", 9, "2026-02-01"),
                ("bob", 8, "2026-01-01"),
                ("cyd", 6, "2026-01-01"),
                ("dan", 10, "2026-01-01"),
            ]
        ),
    ]

    cohort = cohorts("2026-01", "2026-01", *facts)["2026-01"]

    assert cohort.cac == 200
    assert cohort.nps == 25


def test_p25_quick_ratio_arpa_ltv_cac_and_payback():
    facts = [
        state("2026-01-01", "100", account="stays"),
        state("2026-01-01", "100", account="leaves"),
        state("2026-02-02", account="leaves", status="canceled"),
        state("2026-02-02", "300", account="joins"),
        fact("sales_and_marketing", month="2026-02", amount="600"),
    ]

    february = report("2026-02", *facts, margin="0.5")

    assert february.quick_ratio == 3
    assert february.arpa == 200
    assert february.ltv == 200 * Fraction(1, 2) / Fraction(1, 2)
    assert february.cac == 600
    assert february.cac_payback_months == 4


def test_p25_reactivation_helps_the_quick_ratio_and_fx_does_not():
    facts = [
        rate("2026-01", "100"),
        rate("2026-02", "200"),
        state("2026-01-01", "100", account="foreign", currency="USD"),
        state("2025-11-01", "40", account="returns"),
        state("2025-12-01", account="returns", status="canceled"),
        state("2026-02-02", "40", account="returns"),
        state("2026-01-01", "100", account="shrinks"),
        state("2026-02-02", "90", account="shrinks"),
    ]

    assert report("2026-02", *facts).quick_ratio == 4


def test_p25_without_gross_margin_there_is_no_ltv_and_no_payback():
    facts = [state("2026-01-01"), fact("sales_and_marketing", month="2026-01", amount="1")]

    january = report("2026-01", *facts)

    assert (january.ltv, january.cac, january.cac_payback_months) == (None, 1, None)


def test_p26_scheduled_effects_need_no_confirming_fact():
    pause = {"behavior": "void", "resumes_at": "2026-02-01T00:00:00Z"}
    facts = [
        state("2026-01-01", pause=pause),
        state("2026-01-01", "10", subscription="ends", ends_at="2026-03-01"),
        state("2026-01-01", "20", subscription="off", discounts=[discount("50", end="2026-04-01")]),
    ]

    moved: list[Any] = [(str(each.at.date()), each.amount) for each in movements(*facts)]

    assert moved == [
        ("2026-01-01", 20),
        ("2026-02-01", 100),
        ("2026-03-01", -10),
        ("2026-04-01", 10),
    ]


def test_p26_an_end_in_the_year_9999_is_none():
    endless = state("2026-01-01", ends_at="9999-12-31T23:59:59")

    assert report("2026-01", endless, zone="Asia/Seoul").mrr_end == 100
    assert point("2026-01-02", endless).cmrr == 100


def test_p27_the_reason_tells_price_from_seats():
    facts = [
        state("2026-01-01", items=[item("100", 1)]),
        state("2026-02-01", items=[item("100", 2)]),
        state("2026-03-01", items=[item("150", 2)]),
    ]

    assert [movement.reason for movement in movements(*facts)] == ["started", "seats", "price"]


@pytest.mark.parametrize("part", [0, 5])
def test_p28_a_ratio_over_nothing_is_null(part: int):
    assert share(part, 0) is None
    assert ratio(None) is None


def test_p28_an_empty_month_has_no_ratio_and_no_figure_but_zero():
    empty = report("2025-12", state("2026-01-01"), margin="0.5")

    assert (empty.mrr_start, empty.mrr_end, empty.customers_start) == (0, 0, 0)
    assert [
        empty.ndr,
        empty.grr,
        empty.logo_churn,
        empty.net_revenue_churn,
        empty.gross_revenue_churn,
        empty.quick_ratio,
        empty.arpa,
        empty.ltv,
        empty.cac,
        empty.cac_payback_months,
        empty.simple_customer_change,
        empty.simple_revenue_change,
    ] == [None] * 12
