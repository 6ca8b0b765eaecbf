"""What the demo company is paid: facts that the ledger takes, the same for ever."""

from datetime import UTC, date, datetime

from deploy.demo.billing import facts, paying
from deploy.demo.customers import Story, customers
from shared.events.facts import fact_of

FIRST_DAY = date(2026, 11, 22)
COMPANY = customers(FIRST_DAY)


def test_every_fact_is_one_that_the_ledger_takes():
    told = list(facts(COMPANY, FIRST_DAY))

    for fact in told:
        fact_of(fact, received_at=datetime(2026, 11, 22, 15, tzinfo=UTC))
    assert len({fact["id"] for fact in told}) == len(told)


def test_another_run_tells_the_same():
    assert list(facts(COMPANY, FIRST_DAY)) == list(facts(customers(FIRST_DAY), FIRST_DAY))


def test_whoever_never_took_off_has_left_and_all_others_pay():
    told = list(facts(COMPANY, FIRST_DAY))
    left = {fact["account"] for fact in told if fact.get("status") == "canceled"}

    assert left == {one.account for one in COMPANY if one.story is Story.NEVER_TOOK_OFF}
    assert paying(told) == len(COMPANY) - len(left)
