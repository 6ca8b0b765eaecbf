"""The demo company: the same for ever, and carried on day by day without a change to what was."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

from deploy.demo.customers import Story, customers
from deploy.demo.use import Use, use

FIRST_DAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=400)


def told(*, since: datetime = LONG_AGO, until: datetime = NOW) -> list[Use]:
    return list(use(customers(FIRST_DAY), FIRST_DAY, since=since, until=until))


def test_same_first_day_tells_the_same_story():
    assert told() == told()


def test_later_run_repeats_what_was_and_adds_the_days_since():
    later = NOW + timedelta(days=10)

    assert told(until=later) == told() + told(since=NOW, until=later)
    assert len(told(since=NOW, until=later)) > 100


def test_use_is_told_in_order_of_time_and_never_of_the_future():
    times = [event.at for event in told()]

    assert times == sorted(times)
    assert times[-1] < NOW


def test_no_two_events_are_the_same_so_that_each_has_an_id_of_its_own():
    events = told()

    assert len(set(events)) == len(events)


def test_company_has_60_accounts_and_more_than_half_a_year_of_use():
    company, events = customers(FIRST_DAY), told()

    assert len(company) == len({customer.account for customer in company}) == 60
    assert 20_000 <= len(events) <= 40_000
    assert NOW - events[0].at > timedelta(weeks=26)


def test_nobody_uses_the_product_before_signing_up():
    signed_up_on = {
        person.user: person.signed_up_on
        for customer in customers(FIRST_DAY)
        for person in customer.people
    }

    assert all(event.at.date() >= signed_up_on[event.user] for event in told())


def test_stories_end_as_they_are_called():
    last: dict[str, datetime] = {}
    users: dict[str, set[str]] = defaultdict(set)
    for event in told():
        last[event.account] = event.at
        users[event.account].add(event.user)
    by_story = defaultdict(list)
    for customer in customers(FIRST_DAY):
        by_story[customer.story].append(customer)

    assert all(NOW - last[c.account] > timedelta(weeks=12) for c in by_story[Story.QUIET])
    assert all(NOW - last[c.account] < timedelta(days=5) for c in by_story[Story.STEADY])
    assert all(len(users[c.account]) == 1 < c.seats for c in by_story[Story.SINGLE_USER])
    for customer in by_story[Story.CHAMPION_LEFT]:
        recent = {
            e.user for e in told(since=NOW - timedelta(weeks=4)) if e.account == customer.account
        }
        assert customer.people[0].user in users[customer.account] - recent
