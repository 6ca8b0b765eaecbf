"""Settings of workspaces: kept, and where the zone is another one, months are taken anew."""

from collections.abc import Sequence

from services.metrics.handlers.booking import End, add_timeline
from services.metrics.model.tally import Tally
from services.metrics.store import accounts, rollups, steps
from services.metrics.store.ledger import Ledger, load_ledger, save_zone
from services.metrics.store.rollups import Cell
from services.metrics.store.steps import ACCOUNTS_AT_ONCE, AccountSteps
from shared.auth import fold_workspaces
from shared.bus.handlers import Batch
from shared.db import Tx
from shared.events.base import Caused


async def workspaces_configured(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Keep the settings; a month is one of the workspace's zone (P20)."""
    latest = {received.event.id: received.event.time_zone for received in batch}
    ledgers = [await load_ledger(tx, workspace) for workspace in sorted(latest)]
    await fold_workspaces(tx, batch)
    for ledger in ledgers:
        if ledger.time_zone != latest[ledger.workspace]:
            await _retake(tx, ledger._replace(time_zone=latest[ledger.workspace]))
    return ()


async def _retake(tx: Tx, ledger: Ledger) -> None:
    """Sum the rollups up anew, in the ledger's zone."""
    await save_zone(tx, ledger.workspace, ledger.time_zone)
    await rollups.clear(tx, ledger.workspace)
    chunk: list[AccountSteps] = []
    async for account in steps.walk_timelines(tx, ledger.workspace):
        chunk.append(account)
        if len(chunk) == ACCOUNTS_AT_ONCE:
            await _add(tx, ledger, chunk)
            chunk = []
    await _add(tx, ledger, chunk)


async def _add(tx: Tx, ledger: Ledger, chunk: Sequence[AccountSteps]) -> None:
    if not chunk:
        return
    known = await accounts.load_accounts(tx, ledger.workspace, [a.account for a in chunk])
    added: dict[Cell, Tally] = {}
    for account, timeline in chunk:
        add_timeline(added, known[account], End(timeline), ledger.time_zone, times=1)
    await rollups.add(tx, ledger.workspace, added)
