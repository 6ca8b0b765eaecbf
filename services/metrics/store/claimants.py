"""Which accounts facts have named for which subscription; more than one is a contest.

Whose it is then is the model's to say: what stands here depends on no order of arrival.
"""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import text

from shared.db import Tx, rows


class Claim(NamedTuple):
    """Some fact said that the subscription is the account's, or the customer's."""

    subscription: str
    account: str


async def append_claims(tx: Tx, workspace: str, claims: Collection[Claim]) -> None:
    """Keep the claims, and note the subscriptions that several accounts have now."""
    if not claims:
        return
    listed = sorted(claims)
    arguments = {
        "workspace": workspace,
        "subscriptions": [claim.subscription for claim in listed],
    }
    await tx.execute(
        text(
            "INSERT INTO claim (workspace, subscription, account)"
            " SELECT :workspace, subscription, account FROM"
            " unnest(CAST(:subscriptions AS text[]), CAST(:accounts AS text[]))"
            " AS u(subscription, account) ON CONFLICT DO NOTHING"
        ),
        {**arguments, "accounts": [claim.account for claim in listed]},
    )
    await tx.execute(
        text(
            "UPDATE claim c SET contested = true FROM ("
            "  SELECT subscription FROM claim WHERE workspace = :workspace"
            "  AND subscription = ANY(CAST(:subscriptions AS text[]))"
            "  GROUP BY subscription HAVING count(*) > 1) AS several"
            " WHERE c.workspace = :workspace AND c.subscription = several.subscription"
            " AND NOT c.contested"
        ),
        arguments,
    )


async def list_claims(tx: Tx, workspace: str, accounts: Collection[str]) -> list[Claim]:
    """All claims of the contested subscriptions that one of the accounts claims."""
    found = await rows(
        tx,
        "SELECT DISTINCT r.subscription, r.account FROM claim c JOIN claim r"
        " ON r.workspace = c.workspace AND r.subscription = c.subscription"
        " WHERE c.workspace = :workspace AND c.contested"
        " AND c.account = ANY(CAST(:accounts AS text[])) ORDER BY 1, 2",
        {"workspace": workspace, "accounts": sorted(accounts)},
    )
    return [Claim(*row) for row in found]


async def list_claimants(
    tx: Tx, workspace: str, *, after: str, and_itself: bool, limit: int
) -> list[str]:
    """The next accounts behind `after`, by id, that claim what others claim too."""
    found = await rows(
        tx,
        "SELECT DISTINCT account FROM claim WHERE workspace = :workspace AND contested"
        " AND (account > :after OR :and_itself AND account = :after)"
        " ORDER BY account LIMIT :limit",
        {"workspace": workspace, "after": after, "and_itself": and_itself, "limit": limit},
    )
    return [row.account for row in found]
