"""What is said of accounts: who they are, which customers they are elsewhere, where they count."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from services.metrics.handlers.booking import End, Touch, Touches, add_timeline, rebook, touch
from services.metrics.handlers.publishing import publish
from services.metrics.model.knowledge import Alias, homes_of
from services.metrics.model.profile import customer_in, told_by
from services.metrics.model.tally import Tally
from services.metrics.store import accounts, rollups, steps
from services.metrics.store.accounts import Account, Telling
from services.metrics.store.ledger import Ledger, load_ledger
from services.metrics.store.rollups import Cell
from shared.bus.handlers import Batch
from shared.db import Tx
from shared.events.base import Caused, Received
from shared.events.told import Profile, with_told


async def accounts_upserted(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Keep what was told; move accounts between segments, and facts to whom they belong."""
    by_workspace: defaultdict[str, list[Telling]] = defaultdict(list)
    for received in batch:
        if received.envelope.subject is not None and (told := told_by(received)):
            by_workspace[received.envelope.workspace].append(_telling(received, told))
    caused: list[Caused] = []
    for workspace, tellings in sorted(by_workspace.items()):
        ledger = await load_ledger(tx, workspace)
        await _keep(tx, ledger, tellings)
        caused += await _map(tx, ledger, tellings)
    return caused


def _telling(received: Received[Any], told: Mapping[str, Any]) -> Telling:
    assert received.envelope.subject is not None
    return Telling(
        account=received.envelope.subject,
        event=received.envelope.id,
        at=received.envelope.time,
        recorded_at=received.appended_at,
        told=told,
    )


async def _keep(tx: Tx, ledger: Ledger, tellings: Sequence[Telling]) -> None:
    workspace = ledger.workspace
    await accounts.append_tellings(tx, workspace, tellings)
    named = {telling.account for telling in tellings}
    before = await accounts.load_accounts(tx, workspace, named)
    profiles: dict[str, Profile] = dict(await accounts.load_profiles(tx, workspace, named))
    for telling in tellings:
        known = profiles[telling.account]
        profiles[telling.account] = with_told(known, telling.told, telling.at, telling.event)
    await accounts.save_profiles(tx, workspace, profiles)
    after = await accounts.load_accounts(tx, workspace, named)
    moved = {account for account in named if before[account] != after[account]}
    await _count_elsewhere(tx, ledger, moved, before, after)


async def _count_elsewhere(
    tx: Tx,
    ledger: Ledger,
    moved: set[str],
    before: Mapping[str, Account],
    after: Mapping[str, Account],
) -> None:
    """Let what accounts add stand in the parts that they are in now."""
    added: dict[Cell, Tally] = {}
    for account, timeline in (await steps.list_timelines(tx, ledger.workspace, moved)).items():
        for known, times in ((before[account], -1), (after[account], 1)):
            if known.counted:
                add_timeline(added, known, End(timeline), ledger.time_zone, times=times)
    await rollups.add(tx, ledger.workspace, added)


async def _map(tx: Tx, ledger: Ledger, tellings: Sequence[Telling]) -> list[Caused]:
    """Facts of a customer belong to the account that was last said to be it, earlier ones too."""
    said = [
        Alias(customer, telling.account, telling.event, telling.at, telling.recorded_at)
        for telling in tellings
        if (customer := customer_in(telling.told)) is not None
    ]
    if not said:
        return []
    workspace = ledger.workspace
    await accounts.append_aliases(tx, workspace, said)
    aliases = await accounts.list_aliases(tx, workspace, {alias.customer for alias in said})
    touches: Touches = {}
    for alias in said:
        for account in homes_of(alias.customer, aliases):
            touch(touches, account, Touch(alias.recorded_at, alias.event))
    rebooked = await rebook(tx, ledger, touches)
    now = max(telling.recorded_at for telling in tellings)
    return await publish(tx, workspace, rebooked, now=now)
