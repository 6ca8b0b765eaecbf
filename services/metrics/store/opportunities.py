"""Opportunities, read off profiles, contracts and seats in use; and which of them were told."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import NamedTuple

from sqlalchemy import text

from services.metrics.model.opportunities import (
    Opportunity,
    OpportunityKind,
    PricingModel,
    seat_opportunity,
)
from shared.db import Tx, rows

ACCOUNTS_AT_ONCE = 500


class Lead(NamedTuple):
    """An opportunity under its name: the account and the kind, one of each at a time."""

    name: str
    opportunity: Opportunity


async def list_leads(tx: Tx, workspace: str, *, after: str = "") -> AsyncIterator[Lead]:
    """The opportunities of accounts behind `after`, by account; walk-through ones have none."""
    while True:
        found = await rows(
            tx,
            "SELECT a.account, a.profile #>> '{pricing_model,0}' AS pricing_model,"
            " coalesce((a.profile #>> '{seats,0}')::integer, (SELECT sum((c.terms ->> 'seats')"
            "   ::integer) FROM contract c WHERE c.workspace = a.workspace"
            "   AND c.account = a.account AND c.cancelled_on IS NULL)) AS agreed,"
            " (SELECT count(*) FROM seat s WHERE s.workspace = a.workspace"
            "   AND s.account = a.account) AS used"
            " FROM account a WHERE a.workspace = :workspace AND a.counted AND a.account > :after"
            " ORDER BY a.account LIMIT :limit",
            {"workspace": workspace, "after": after, "limit": ACCOUNTS_AT_ONCE},
        )
        for row in found:
            opportunity = seat_opportunity(
                row.account,
                pricing_model=_pricing_model(row.pricing_model),
                seats_agreed=row.agreed,
                seats_used=row.used,
                # Nobody tells of proven value yet: an offer waits for it (N20).
                value_proven=False,
            )
            if opportunity is not None:
                yield Lead(f"{row.account}/{opportunity.kind.value}", opportunity)
        if len(found) < ACCOUNTS_AT_ONCE:
            return
        after = found[-1].account


def _pricing_model(said: str | None) -> PricingModel | None:
    return PricingModel(said) if said in set(PricingModel) else None


async def list_told(tx: Tx, workspace: str) -> dict[str, Lead]:
    """The opportunities that were told as open, by name."""
    found = await rows(
        tx,
        "SELECT opportunity, account, kind, signal FROM opportunity_told"
        " WHERE workspace = :workspace ORDER BY opportunity",
        {"workspace": workspace},
    )
    return {
        row.opportunity: Lead(
            row.opportunity,
            Opportunity(account=row.account, kind=OpportunityKind(row.kind), signal=row.signal),
        )
        for row in found
    }


async def append_told(tx: Tx, workspace: str, leads: Sequence[Lead]) -> None:
    """Note opportunities as told."""
    if leads:
        await tx.execute(
            text(
                "INSERT INTO opportunity_told (workspace, opportunity, account, kind, signal)"
                " SELECT :workspace, u.* FROM unnest(CAST(:names AS text[]),"
                " CAST(:accounts AS text[]), CAST(:kinds AS text[]), CAST(:signals AS text[]))"
                " AS u ON CONFLICT DO NOTHING"
            ),
            {
                "workspace": workspace,
                "names": [lead.name for lead in leads],
                "accounts": [lead.opportunity.account for lead in leads],
                "kinds": [lead.opportunity.kind.value for lead in leads],
                "signals": [lead.opportunity.signal for lead in leads],
            },
        )


async def delete_told(tx: Tx, workspace: str, names: Collection[str]) -> None:
    """Forget opportunities that were told as closed."""
    if names:
        await tx.execute(
            text(
                "DELETE FROM opportunity_told WHERE workspace = :workspace"
                " AND opportunity = ANY(CAST(:names AS text[]))"
            ),
            {"workspace": workspace, "names": sorted(names)},
        )
