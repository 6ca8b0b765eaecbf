"""What health does with events: which fold answers which type, in which lane."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from services.health.model.account import (
    account_upserted,
    members_in_use,
    members_of,
    user_identified,
)
from services.health.model.commercial import at_risk_changed, contract_told, revenue_moved
from services.health.model.late import carried_on, late_days
from services.health.model.score import Habit, habit_of, scale_of
from services.health.model.use import Place, use_of
from services.health.store import accounts, usage
from services.health.store.accounts import Column
from shared.auth import fold_workspaces
from shared.bus.handlers import Batch, BatchFold, Lane, StateFold
from shared.db import Tx
from shared.events import ingest, metrics
from shared.events.base import Caused
from shared.events.told import AccountId, account_of, person_of
from shared.service import CONTROL_LANE

REFOLDED_AT_ONCE = 200  # accounts whose days are read together: bounds memory, not the result


# --- use -----------------------------------------------------------------------------------------


async def use_happened(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Add the batch to the rollups and carry the habits on; late days have theirs refolded."""
    use = use_of(batch)
    if not use.days:
        return ()
    await usage.hold_settings(tx, {account.workspace for account in use.days})
    places = await accounts.identify(tx, use.days)
    days = {places[account]: added for account, added in use.days.items()}
    kept = await usage.load_habits(tx, days)
    late = {place: late_days(kept.get(place), added) for place, added in days.items()}
    known = await usage.list_first(tx, late)
    await usage.add_use(tx, use, places)
    await accounts.add_members(tx, members_in_use(use.by_user), places)
    silence_days = await usage.get_silence_days(tx, {place.workspace for place in days})
    carried = {
        place: carried_on(
            kept.get(place),
            added,
            scale_of(silence_days[place.workspace]),
            known_first=known.get(place, {}),
        )
        for place, added in days.items()
    }
    await usage.save_habits(tx, {p: habit for p, habit in carried.items() if habit is not None})
    await refold(tx, [p for p, habit in carried.items() if habit is None], silence_days)
    return ()


async def refold(tx: Tx, places: Sequence[Place], silence_days: Mapping[str, int]) -> None:
    """Fold the habits of `places`, whose locks are held, anew from all their days."""
    for start in range(0, len(places), REFOLDED_AT_ONCE):
        days = await usage.list_days(tx, places[start : start + REFOLDED_AT_ONCE])
        folded: dict[Place, Habit | None] = {
            place: habit_of(listed, scale_of(silence_days[place.workspace]))
            for place, listed in days.items()
        }
        await usage.save_habits(tx, {p: habit for p, habit in folded.items() if habit is not None})


# --- settings ------------------------------------------------------------------------------------


async def workspaces_configured(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Keep the settings; where H changed, refold the habits that were kept under another."""
    await usage.lock_settings(tx, {received.event.id for received in batch})
    await fold_workspaces(tx, batch)
    silence_days = await usage.get_silence_days(tx, {received.event.id for received in batch})
    for workspace, kept_days in sorted(silence_days.items()):
        while otherwise := await usage.list_kept_otherwise(
            tx, workspace, silence_days=kept_days, limit=REFOLDED_AT_ONCE
        ):
            places = await accounts.identify(tx, otherwise)
            await refold(tx, list(places.values()), silence_days)
    return ()


# --- accounts and people -------------------------------------------------------------------------


async def members_named(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Whoever an event names together with an account is a member of it."""
    seen = members_of(batch)
    places = await accounts.identify(tx, {AccountId(key.workspace, key.account) for key in seen})
    await accounts.add_members(tx, seen, places)
    return ()


# --- lanes ---------------------------------------------------------------------------------------

USE = BatchFold(
    on=(ingest.UsageTracked, ingest.UsagePageViewed, ingest.UsageScreenViewed),
    handle=use_happened,
)
ACCOUNTS = StateFold(
    on={ingest.AccountUpserted: account_upserted},
    key=account_of,
    load=partial(accounts.load_told, column=Column.PROFILE),
    save=partial(accounts.save_told, column=Column.PROFILE),
)
COMMERCIAL = StateFold(
    on={
        metrics.MovementRecorded: revenue_moved,
        metrics.RevenueRestated: revenue_moved,
        metrics.AtRiskChanged: at_risk_changed,
        metrics.OptOutClosing: contract_told,
        metrics.OptedOut: contract_told,
        metrics.RenewalDue: contract_told,
        metrics.Renewed: contract_told,
        metrics.Ended: contract_told,
    },
    key=account_of,
    load=partial(accounts.load_told, column=Column.COMMERCIAL),
    save=partial(accounts.save_told, column=Column.COMMERCIAL),
)
PEOPLE = StateFold(
    on={ingest.UserIdentified: user_identified},
    key=person_of,
    load=accounts.load_persons,
    save=accounts.save_persons,
)
MEMBERS = BatchFold(on=(ingest.AccountUpserted, ingest.UserIdentified), handle=members_named)
SETTINGS = BatchFold(on=(ingest.WorkspaceConfigured,), handle=workspaces_configured)

CONTROL = replace(
    CONTROL_LANE,
    folds=tuple(
        SETTINGS if ingest.WorkspaceConfigured in fold.types else fold
        for fold in CONTROL_LANE.folds
    ),
)
LIVE = Lane(
    name="live",
    topics=(
        ingest.USAGE,
        ingest.USAGE_OVERFLOW,
        ingest.ACCOUNTS,
        metrics.REVENUE,
        metrics.CONTRACTS,
    ),
    folds=(USE, ACCOUNTS, MEMBERS, PEOPLE, COMMERCIAL),
)
HISTORY = Lane(
    name="history",
    topics=(ingest.USAGE_HISTORY,),
    folds=(USE,),
    waits_for="live",
    keeps_ids=True,
)
LANES = (CONTROL, LIVE, HISTORY)
