"""Rates: once one is in force, or came late, each account that it revalues is told of."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from services.metrics.model.calendar import month_at, starts_at
from services.metrics.model.identity import FactName
from services.metrics.model.money import Rates, worth
from services.metrics.model.publication import Voice, moved, restated_by
from services.metrics.model.restated import Cause
from services.metrics.model.retold import facts_behind, retold_by_rates, without
from services.metrics.model.timeline import Timeline, amounts_at
from services.metrics.store import rates, reports, steps
from services.metrics.store.rates import Due
from services.metrics.store.reports import View
from shared.db import Tx
from shared.events.base import Caused

ACCOUNTS_AT_ONCE = 200  # told in one transaction; the rest a second later
SHORTLY_BEFORE = timedelta(microseconds=1)  # the finest step of a record time


async def tell_of_rates(now: datetime, tx: Tx) -> Sequence[Caused]:
    """Job: tell some accounts what the rates that are due have changed."""
    due = await rates.load_due(tx, now=now)
    if due is None:
        return ()
    accounts = await rates.list_holders(
        tx,
        due.workspace,
        {rate.currency for rate in due.rates},
        after=due.after,
        limit=ACCOUNTS_AT_ONCE,
    )
    caused = await _told(tx, due, accounts, now) if accounts else []
    if len(accounts) < ACCOUNTS_AT_ONCE:
        await rates.delete_due(tx, due)
    else:
        await rates.save_place(tx, due, after=accounts[-1])
    return caused


async def _told(tx: Tx, due: Due, accounts: Sequence[str], now: datetime) -> list[Caused]:
    view = await reports.get_view(tx, due.workspace, known_at=due.due_at)
    before = await _rates_before(tx, due, view)
    known = await steps.list_timelines(tx, due.workspace, accounts, known_at=due.due_at)
    latest = await steps.list_timelines(tx, due.workspace, accounts)
    told = Told(view.rates, before, facts_behind(before, view.rates, due.rates), now)
    caused: list[Caused] = []
    for account in accounts:
        voice = Voice(
            workspace=due.workspace,
            account=account,
            rates=view.rates,
            zone=view.zone,
            cause_id=f"{due.workspace} rates {due.due_at.isoformat()}",
        )
        caused += _spoken(voice, due, told, known[account], latest[account])
    return caused


class Told(NamedTuple):
    """The rates `after` and `before` they were told, by which facts, and when that is said."""

    after: Rates
    before: Rates
    facts: Sequence[FactName]
    now: datetime


def _spoken(
    voice: Voice, due: Due, told: Told, known: Timeline, latest: Timeline
) -> Iterator[Caused]:
    retold = retold_by_rates(known, told.before, told.after, voice.zone, due.due_at)
    for movement in retold.come:
        yield moved(voice, movement)
    if retold.months:
        month = month_at(told.now, voice.zone)
        yield restated_by(
            voice,
            retold.months,
            worth(amounts_at(latest, told.now), told.after, month),
            known_at=due.due_at,
            cause=Cause.RATE,
            facts=told.facts,
            now=told.now,
        )


async def _rates_before(tx: Tx, due: Due, view: View) -> Rates:
    """The rates by which was told what is told otherwise from `due_at` on: those of months that
    begin then were known, but not in force.
    """
    earlier = await reports.get_view(tx, due.workspace, known_at=due.due_at - SHORTLY_BEFORE)
    before = earlier.rates
    for currency, month in due.rates:
        if starts_at(month, view.zone) == due.due_at:
            before = without(before, currency, month)
    return before
