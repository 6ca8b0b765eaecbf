"""What can be sold beside what an account has, and what accounts have wished for."""

from collections.abc import Collection
from decimal import Decimal

from sqlalchemy import text

from services.metrics.model.opportunities import Offer, OpportunityKind
from shared.db import Tx, rows


async def list_offers(tx: Tx, workspace: str) -> dict[str, Offer]:
    """The offer that answers a wish for each feature, by feature."""
    found = await rows(
        tx,
        "SELECT feature, name, kind, value FROM offer WHERE workspace = :workspace"
        " ORDER BY name, feature",
        {"workspace": workspace},
    )
    return {
        row.feature: Offer(
            row.name,
            OpportunityKind(row.kind),
            row.feature,
            None if row.value is None else Decimal(row.value),
        )
        for row in found
    }


async def save_offer(tx: Tx, workspace: str, name: str, offers: Collection[Offer]) -> None:
    """Let the offer of this name answer these features and no others; they are all its own."""
    await delete_offer(tx, workspace, name)
    await tx.execute(
        text(
            "INSERT INTO offer (workspace, feature, name, kind, value)"
            " SELECT :workspace, feature, :name, kind, value FROM"
            " unnest(CAST(:features AS text[]), CAST(:kinds AS text[]),"
            " CAST(:values AS numeric[])) AS u(feature, kind, value)"
            " ON CONFLICT (workspace, feature) DO UPDATE SET name = excluded.name,"
            " kind = excluded.kind, value = excluded.value"
        ),
        {
            "workspace": workspace,
            "name": name,
            "features": [offer.feature for offer in offers],
            "kinds": [offer.kind.value for offer in offers],
            "values": [offer.value for offer in offers],
        },
    )


async def delete_offer(tx: Tx, workspace: str, name: str) -> None:
    """Forget the offer of this name."""
    await tx.execute(
        text("DELETE FROM offer WHERE workspace = :workspace AND name = :name"),
        {"workspace": workspace, "name": name},
    )


async def append_desires(tx: Tx, workspace: str, desires: Collection[tuple[str, str]]) -> None:
    """Keep which accounts have wished for which features."""
    if desires:
        listed = sorted(desires)
        await tx.execute(
            text(
                "INSERT INTO desire (workspace, account, feature) SELECT :workspace, u.* FROM"
                " unnest(CAST(:accounts AS text[]), CAST(:features AS text[])) AS u"
                " ON CONFLICT DO NOTHING"
            ),
            {
                "workspace": workspace,
                "accounts": [account for account, _ in listed],
                "features": [feature for _, feature in listed],
            },
        )
