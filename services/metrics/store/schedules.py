"""Schedules of the billing system that still have something to do, and what that makes of CMRR."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from services.metrics.model.knowledge import (
    END_OF_TIME,
    account_of_customer,
    facts_in_force,
    states_at,
)
from services.metrics.model.money import Amounts
from services.metrics.model.objects import objects_of
from services.metrics.model.schedules import schedule_in, scheduled
from services.metrics.store import accounts, facts
from services.metrics.store.knowledge import get_knowledge, get_objects
from services.metrics.store.reports import View
from shared.db import Tx, rows
from shared.events.billing import ProviderObject
from shared.stripe.fields import id_of
from shared.stripe.schedule import Schedule, named


class Changes(NamedTuple):
    """What schedules make of committed MRR, by account, and those that cannot be read."""

    by_account: Mapping[str, Amounts]
    unresolved: tuple[str, ...]


NO_CHANGES = Changes({}, ())


async def get_changes(tx: Tx, view: View) -> Changes:
    """By how much the committed MRR of each account with a schedule is other than its steps say."""
    at = view.known_at or END_OF_TIME
    schedules = await _list_open(tx, view.workspace, at)
    if not schedules:
        return NO_CHANGES
    names = {name for schedule in schedules for name in named(schedule)}
    objects = objects_of(
        record.described
        for record in await get_objects(tx, view.workspace, names)
        if record.recorded_at <= at
    )
    by_home = await _by_home(tx, view.workspace, schedules, at)
    known = await get_knowledge(tx, view.workspace, by_home)
    found = {
        account: scheduled(states_at(known[account], at), listed, objects, at)
        for account, listed in sorted(by_home.items())
    }
    return Changes(
        {account: each.change for account, each in found.items()},
        tuple(name for each in found.values() for name in each.unresolved),
    )


async def _list_open(tx: Tx, workspace: str, at: datetime) -> list[Schedule]:
    records = await facts.list_schedules(tx, workspace)
    voids = await facts.list_voids_of_objects(tx, workspace, {record.name for record in records})
    standing = facts_in_force(each for each in (*records, *voids) if each.recorded_at <= at)
    told = objects_of(fact for fact in standing if isinstance(fact, ProviderObject))
    latest = (versions[-1][1] for versions in told.versions.values())
    return [found for content in latest if (found := schedule_in(content)) is not None]


async def _by_home(
    tx: Tx, workspace: str, schedules: list[Schedule], at: datetime
) -> dict[str, list[Schedule]]:
    """The schedules by the account that their customer is; walk-through accounts are left out."""
    customers = {name for each in schedules if (name := id_of(each.customer)) is not None}
    said = await accounts.list_aliases(tx, workspace, customers)
    aliases = [alias for alias in said if alias.recorded_at <= at]
    by_home: defaultdict[str, list[Schedule]] = defaultdict(list)
    for schedule in schedules:
        if (customer := id_of(schedule.customer)) is not None:
            by_home[account_of_customer(customer, aliases)].append(schedule)
    uncounted = await rows(
        tx,
        "SELECT account FROM account WHERE workspace = :workspace AND NOT counted"
        " AND account = ANY(CAST(:accounts AS text[]))",
        {"workspace": workspace, "accounts": sorted(by_home)},
    )
    for row in uncounted:
        del by_home[row.account]
    return dict(by_home)
