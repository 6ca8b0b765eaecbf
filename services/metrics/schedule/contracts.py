"""What becomes of contracts by their dates: told once, on its day in the workspace's zone."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.metrics.model.calendar import month_at
from services.metrics.model.contracts import Contract, Due, Notice, notices_due
from services.metrics.model.money import worth
from services.metrics.model.publication import money
from services.metrics.model.timeline import Timeline, amounts_at
from services.metrics.schedule.closing import WORKSPACES_AT_ONCE
from services.metrics.store import contracts, reports, steps
from services.metrics.store.contracts import Agreement, NoticeTold, Place
from services.metrics.store.reports import View
from services.metrics.store.settings import list_workspaces
from shared.db import Tx
from shared.events.base import Caused
from shared.events.metrics import (
    ContractEvent,
    Ended,
    OptedOut,
    OptOutClosing,
    RenewalDue,
    Renewed,
)

CONTRACTS_AT_ONCE = 500
# A contract may be told of late, or moved; what was due longer ago is history, and not told.
LOOKS_BACK = timedelta(days=30)
EVENTS: dict[Notice, type[ContractEvent]] = {
    Notice.OPT_OUT_CLOSING: OptOutClosing,
    Notice.OPTED_OUT: OptedOut,
    Notice.RENEWAL_DUE: RenewalDue,
    Notice.RENEWED: Renewed,
    Notice.ENDED: Ended,
}


async def tell_of_contracts(now: datetime, tx: Tx) -> Sequence[Caused]:
    """Job: publish what is due of each contract and was not told before."""
    caused: list[Caused] = []
    after = ""
    while workspaces := await list_workspaces(tx, after=after, limit=WORKSPACES_AT_ONCE):
        for workspace in workspaces:
            caused += await _tell_in(tx, await reports.get_view(tx, workspace), now)
        after = workspaces[-1]
    return caused


async def _tell_in(tx: Tx, view: View, now: datetime) -> list[Caused]:
    today = now.astimezone(ZoneInfo(view.zone)).date()
    caused: list[Caused] = []
    after = contracts.BEGINNING
    while page := await contracts.list_contracts(
        tx, view.workspace, after=after, limit=CONTRACTS_AT_ONCE
    ):
        caused += await _tell_of(tx, view, page, now, today)
        last = page[-1].contract
        after = Place(last.account, last.contract)
    return caused


async def _tell_of(
    tx: Tx, view: View, page: Sequence[Agreement], now: datetime, today: date
) -> list[Caused]:
    due = {
        NoticeTold(contract.account, contract.contract, each.notice, each.on): (contract, each)
        for contract in (agreement.contract for agreement in page)
        for each in notices_due(contract, today - LOOKS_BACK, today)
    }
    new = sorted(await contracts.append_notices(tx, view.workspace, due))
    timelines = await steps.list_timelines(tx, view.workspace, {told.account for told in new})
    return [
        _caused(view, *due[told], timelines[told.account], now=now, today=today) for told in new
    ]


def _caused(
    view: View, contract: Contract, due: Due, timeline: Timeline, *, now: datetime, today: date
) -> Caused:
    held = worth(amounts_at(timeline, now), view.rates, month_at(now, view.zone))
    left = (due.on - today).days
    event = EVENTS[due.notice](
        contract=contract.contract,
        on=due.on,
        auto_renew=contract.auto_renew,
        mrr=money(held),
        days_left=left if left >= 0 else None,
    )
    return Caused(
        event=event,
        workspace=view.workspace,
        subject=contract.account,
        cause_id=f"{view.workspace} {contract.account} {contract.contract} {due.on}",
        time=now,
    )
