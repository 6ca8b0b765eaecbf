"""The request board: accounts weigh once, and everybody who asked hears of a change."""

from decimal import Decimal

import pytest

from services.nps.model.requests import Status, Tally, Vote, board, may_become, tally, to_tell


def test_an_account_weighs_once_however_many_of_its_people_vote():
    votes = [
        Vote(user="u1", account="a"),
        Vote(user="u2", account="a"),
        Vote(user="u3", account="b"),
        Vote(user="u4", account=None),
    ]

    assert tally(votes, {"a": Decimal(100), "b": None}) == Tally(
        voters=4, accounts=2, mrr=Decimal(100)
    )


def test_the_board_orders_by_mrr_then_accounts_then_people_then_id():
    found = board(
        {
            "many": Tally(voters=9, accounts=2, mrr=Decimal(10)),
            "rich": Tally(voters=1, accounts=1, mrr=Decimal(11)),
            "wide": Tally(voters=3, accounts=3, mrr=Decimal(10)),
            "b": Tally(voters=1, accounts=1, mrr=Decimal(1)),
            "a": Tally(voters=1, accounts=1, mrr=Decimal(1)),
        }
    )

    assert found == ["rich", "wide", "many", "a", "b"]


@pytest.mark.parametrize("new", list(Status))
def test_what_is_shipped_stays_shipped(new: Status):
    assert not may_become(Status.SHIPPED, new)


@pytest.mark.parametrize("status", list(Status))
def test_a_request_does_not_become_what_it_is(status: Status):
    assert not may_become(status, status)


def test_a_declined_request_may_be_opened_again():
    assert may_become(Status.DECLINED, Status.OPEN)


def test_each_voter_is_told_once():
    votes = [Vote(user="v", account="a"), Vote(user="u", account="b"), Vote(user="v", account="b")]

    assert to_tell(votes) == ["u", "v"]
