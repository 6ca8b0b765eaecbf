"""Route of one account: what it is worth, what is agreed and at risk, and the facts behind it."""

from datetime import datetime
from typing import Annotated, ClassVar

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from services.metrics.api.bodies import ViewBody, view_fields
from services.metrics.api.parameters import AsOf, KnownAt, Snapshot, as_of_or_now, known_at_of
from services.metrics.api.refused import RefusedFactBody
from services.metrics.model.calendar import month_at
from services.metrics.model.committed import committed
from services.metrics.model.identity import FactName
from services.metrics.model.knowledge import END_OF_TIME, refused_at, unresolved_at
from services.metrics.model.money import Amounts, shown, worth
from services.metrics.model.timeline import amounts_at, first_paid_at, past_due_at
from services.metrics.store import reports, steps
from services.metrics.store.knowledge import get_knowledge
from services.metrics.store.schedules import get_changes
from services.metrics.store.tide import get_known_until
from shared.auth import Reading
from shared.http import NotFound, Problem

router = APIRouter()


class AccountUnknown(NotFound):
    """No fact of this workspace speaks of this account."""

    code: ClassVar[str] = "account_unknown"


class StepBody(BaseModel):
    """From `at` on the account is worth `mrr`."""

    at: datetime = Field(description="When it took effect, or will.")
    mrr: dict[str, str] = Field(description="Minor units by currency.")
    past_due: dict[str, str] = Field(description="The part of it whose payment is overdue.")
    reason: str = Field(description="Why, in words; advisory.")
    facts: list[str] = Field(description="Ids of the facts behind it.")


class AccountBody(ViewBody):
    """An account's books."""

    account: str = Field(description="The account.")
    mrr: str = Field(description="At `as_of`, minor units of the reporting currency.")
    committed: str = Field(description="Once all known schedules have run.")
    at_risk: str = Field(description="The part of the MRR whose payment is overdue.")
    first_paid_at: datetime | None = Field(description="When it first had MRR.")
    steps: list[StepBody] = Field(description="By time, scheduled ones too.")
    unresolved: list[str] = Field(
        description="Provider's objects that a state names and nobody has told yet."
    )
    refused: list[RefusedFactBody] = Field(
        description="Facts that count nowhere: their subscription is another account's."
    )


@router.get(
    "/revenue/accounts/{account:path}",
    summary="An account's books",
    responses={404: {"model": Problem, "description": "account_unknown"}},
)
async def get_account(
    request: Request,
    caller: Reading,
    tx: Snapshot,
    account: Annotated[str, Path(description="The account's id.", examples=["acme"])],
    as_of: AsOf = None,
    known_at: KnownAt = None,
) -> AccountBody:
    """What the account is worth at `as_of`, with what was known at `known_at`."""
    known_until = await get_known_until(tx)
    view = await reports.get_view(tx, caller.workspace, known_at=known_at_of(known_at))
    # PostgreSQL keeps no NUL in a text, so no account has one in its id.
    names = [] if "\0" in account else [account]
    timelines = await steps.list_timelines(tx, view.workspace, names, known_at=view.known_at)
    timeline = timelines.get(account, ())
    known = await get_knowledge(tx, view.workspace, names)
    if account not in known or not known[account].states:
        raise AccountUnknown(f"account {account!r} has no billing fact in this workspace")
    at = as_of_or_now(as_of, request)
    known_by = view.known_at or END_OF_TIME
    month = month_at(at, view.zone)
    change = (await get_changes(tx, view)).by_account.get(account, {})
    return AccountBody(
        **view_fields(view, known_until),
        account=account,
        mrr=shown(worth(amounts_at(timeline, at), view.rates, month)),
        committed=shown(
            worth(committed(timeline), view.rates, month) + worth(change, view.rates, month)
        ),
        at_risk=shown(worth(past_due_at(timeline, at), view.rates, month)),
        first_paid_at=first_paid_at(timeline),
        steps=[
            StepBody(
                at=step.at,
                mrr=_shown(step.mrr),
                past_due=_shown(step.past_due),
                reason=step.reason,
                facts=_ids(step.facts),
            )
            for step in timeline
        ],
        unresolved=sorted(unresolved_at(known[account], known_by)),
        refused=[
            RefusedFactBody.of(each)
            for each in refused_at(known[account], known_by)
            if each.account == account
        ],
    )


def _shown(amounts: Amounts) -> dict[str, str]:
    return {currency: shown(amount) for currency, amount in sorted(amounts.items())}


def _ids(names: tuple[FactName, ...]) -> list[str]:
    return [name.id for name in names]
