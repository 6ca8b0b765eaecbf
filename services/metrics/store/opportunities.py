"""Opportunities, read off profiles, contracts, seats and wishes; and which of them were told."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import text

from services.metrics.model.opportunities import (
    Offer,
    Opportunity,
    OpportunityKind,
    PricingModel,
    desire_opportunities,
    seat_opportunity,
)
from services.metrics.store.offers import list_offers
from shared.db import Tx, rows

ACCOUNTS_AT_ONCE = 500


class Lead(NamedTuple):
    """An opportunity under its name: the account, the kind, and what would be sold."""

    name: str
    opportunity: Opportunity

    @classmethod
    def of(cls, opportunity: Opportunity) -> "Lead":
        """The opportunity under its name, which stays as long as it does."""
        parts = (opportunity.account, opportunity.kind.value, opportunity.offer)
        return cls("/".join(part for part in parts if part is not None), opportunity)


class Place(NamedTuple):
    """Where a lead stands in the list."""

    account: str
    name: str


BEGINNING = Place("", "")


async def list_leads(tx: Tx, workspace: str, *, after: Place = BEGINNING) -> AsyncIterator[Lead]:
    """The opportunities behind `after`, by account and name; walk-through accounts have none."""
    offers = await list_offers(tx, workspace)
    passed, and_itself = after.account, True
    while True:
        found = await _list_accounts(tx, workspace, passed, and_itself=and_itself)
        for row in found:
            for lead in _leads(row, offers):
                if (row.account, lead.name) > after:
                    yield lead
        if len(found) < ACCOUNTS_AT_ONCE:
            return
        passed, and_itself = found[-1].account, False


async def _list_accounts(tx: Tx, workspace: str, after: str, *, and_itself: bool) -> list[Any]:
    return await rows(
        tx,
        "SELECT a.account, a.profile #>> '{pricing_model,0}' AS pricing_model,"
        " coalesce((a.profile #>> '{seats,0}')::integer, (SELECT sum((c.terms ->> 'seats')"
        "   ::integer) FROM contract c WHERE c.workspace = a.workspace"
        "   AND c.account = a.account AND c.cancelled_on IS NULL)) AS agreed,"
        " (SELECT count(*) FROM seat s WHERE s.workspace = a.workspace"
        "   AND s.account = a.account) AS used,"
        " ARRAY(SELECT d.feature FROM desire d WHERE d.workspace = a.workspace"
        "   AND d.account = a.account ORDER BY d.feature) AS desired"
        " FROM account a WHERE a.workspace = :workspace AND a.counted"
        " AND (a.account > :after OR :and_itself AND a.account = :after)"
        " ORDER BY a.account LIMIT :limit",
        {
            "workspace": workspace,
            "after": after,
            "and_itself": and_itself,
            "limit": ACCOUNTS_AT_ONCE,
        },
    )


def _leads(row: Any, offers: Mapping[str, Offer]) -> list[Lead]:
    # Nobody tells of proven value yet: an offer waits for it (N20).
    seats = seat_opportunity(
        row.account,
        pricing_model=_pricing_model(row.pricing_model),
        seats_agreed=row.agreed,
        seats_used=row.used,
        value_proven=False,
    )
    desired = desire_opportunities(row.account, row.desired, offers, value_proven=False)
    found = desired if seats is None else [seats, *desired]
    return sorted((Lead.of(opportunity) for opportunity in found), key=attrgetter("name"))


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
