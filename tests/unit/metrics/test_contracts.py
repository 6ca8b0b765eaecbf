"""Contracts: the window to opt out (C4), renewal by itself (C3), and what is told of both."""

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pytest

from services.metrics.model.contracts import (
    Contract,
    Notice,
    exceptions_to_renewal,
    last_day,
    losses,
    months_later,
    notices_due,
    opt_out_until,
    opted_out,
    terms_of,
    within_opt_out,
)

START = date(2026, 1, 1)
YEARLY = Contract(contract="c1", account="acme", starts_on=START, term_months=12)
DAY = timedelta(days=1)


def told(contract: Contract, after: str, through: str) -> list[tuple[str, str, str]]:
    due = notices_due(contract, date.fromisoformat(after), date.fromisoformat(through))
    return [(str(each.notice), str(each.due_on), str(each.on)) for each in due]


@pytest.mark.parametrize(("days", "inside"), [(0, True), (89, True), (90, True), (91, False)])
def test_c4_day_90_is_inside_the_window_and_day_91_is_out(days: int, inside: bool):  # noqa: FBT001
    assert within_opt_out(YEARLY, START + timedelta(days=days)) is inside


def test_c4_a_day_before_the_start_is_not_inside():
    assert not within_opt_out(YEARLY, START - DAY)


def test_c4_the_window_is_as_long_as_agreed():
    assert opt_out_until(replace(YEARLY, opt_out_days=30)) == date(2026, 1, 31)


def test_c4_what_is_lost_by_opting_out_is_apart_from_churn():
    early = replace(YEARLY, cancelled_on=START + timedelta(days=90))
    late = replace(YEARLY, cancelled_on=START + timedelta(days=91))

    assert losses([(early, Fraction(40)), (late, Fraction(60))]) == (Fraction(40), Fraction(60))
    assert (opted_out(early), opted_out(late), opted_out(YEARLY)) == (True, False, False)


def test_c4_the_closing_of_the_window_is_told_14_days_before():
    assert told(YEARLY, "2026-01-01", "2026-04-01") == [
        ("opt_out_closing", "2026-03-18", "2026-04-01")
    ]
    (due,) = notices_due(YEARLY, date(2026, 3, 17), date(2026, 3, 18))
    assert due.days_left == 14


def test_c4_a_window_shorter_than_the_notice_is_told_at_once():
    assert told(replace(YEARLY, opt_out_days=7), "2025-12-31", "2026-01-01") == [
        ("opt_out_closing", "2026-01-01", "2026-01-08")
    ]


def test_c4_who_opted_out_is_told_once_and_not_reminded():
    gone = replace(YEARLY, cancelled_on=date(2026, 2, 1))

    assert told(gone, "2025-12-31", "2028-01-01") == [("opted_out", "2026-02-01", "2026-02-01")]


def test_c3_a_term_is_renewed_without_any_event():
    terms = list(terms_of(YEARLY, date(2028, 1, 1)))

    assert [(term.number, str(term.starts_on), str(term.ends_on)) for term in terms] == [
        (1, "2026-01-01", "2026-12-31"),
        (2, "2027-01-01", "2027-12-31"),
        (3, "2028-01-01", "2028-12-31"),
    ]


def test_c3_renewal_is_due_30_days_before_the_last_day_to_give_notice():
    with_notice = replace(YEARLY, notice_days=60)

    assert told(with_notice, "2026-04-01", "2027-01-31") == [
        ("renewal_due", "2026-10-02", "2026-11-01"),
        ("renewed", "2027-01-01", "2027-12-31"),
    ]


def test_c3_a_contract_that_does_not_renew_ends_and_is_an_exception():
    once = replace(YEARLY, contract="c2", auto_renew=False)

    assert told(once, "2026-04-01", "2029-01-01") == [("ended", "2027-01-01", "2026-12-31")]
    assert exceptions_to_renewal([once, YEARLY]) == [once]
    assert (last_day(once), last_day(YEARLY)) == (date(2026, 12, 31), None)


def test_c3_a_cancelled_contract_is_renewed_no_more():
    cancelled = replace(YEARLY, cancelled_on=date(2027, 6, 30))

    assert [term.number for term in terms_of(cancelled, date(2030, 1, 1))] == [1, 2]
    assert told(cancelled, "2027-01-01", "2030-01-01") == [("ended", "2027-06-30", "2027-06-30")]


def test_c3_a_term_given_by_its_end_is_as_many_days_again():
    fixed = replace(YEARLY, term_months=None, ends_on=date(2026, 1, 30))

    assert [str(term.ends_on) for term in terms_of(fixed, date(2026, 3, 5))] == [
        "2026-01-30",
        "2026-03-01",
        "2026-03-31",
    ]


def test_c3_a_contract_without_term_runs_until_it_is_cancelled():
    endless = replace(YEARLY, term_months=None)

    assert list(terms_of(endless, date(2030, 1, 1))) == []
    assert told(endless, "2026-04-01", "2030-01-01") == []


def test_c3_a_month_that_is_too_short_gives_its_last_day_and_the_31st_comes_back():
    monthly = replace(YEARLY, starts_on=date(2026, 1, 31), term_months=1)

    assert [str(term.starts_on) for term in terms_of(monthly, date(2026, 4, 30))] == [
        "2026-01-31",
        "2026-02-28",
        "2026-03-31",
        "2026-04-30",
    ]
    assert months_later(date(2024, 2, 29), 12) == date(2025, 2, 28)
    assert months_later(date(2026, 12, 31), 2) == date(2027, 2, 28)


def test_notices_are_told_once_however_the_days_are_cut():
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(1, 800)]

    by_day = [each for day in days for each in notices_due(YEARLY, day - DAY, day)]

    assert by_day == notices_due(YEARLY, days[0] - DAY, days[-1])
    assert [each.notice for each in by_day] == [
        Notice.OPT_OUT_CLOSING,
        Notice.RENEWAL_DUE,
        Notice.RENEWED,
        Notice.RENEWAL_DUE,
        Notice.RENEWED,
    ]
