"""What people may enter programs by."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import text

from services.cadence.model.occasions import Occasion
from services.cadence.store.people import encoded
from shared.db import Tx


async def add_occasions(tx: Tx, occasions: Sequence[Occasion]) -> None:
    """Keep occasions, each once; of two with one key the earlier stands."""
    earliest: dict[tuple[str, str, str, str], Occasion] = {}
    for occasion in sorted(occasions, key=lambda occasion: occasion.at):
        earliest.setdefault(occasion.key, occasion)
    listed = [earliest[key] for key in sorted(earliest)]
    if not listed:
        return
    await tx.execute(
        text(
            "INSERT INTO occasion AS o (workspace, scope, event, about, at, names_on, facts)"
            " SELECT * FROM unnest(CAST(:workspaces AS text[]), CAST(:scopes AS text[]),"
            " CAST(:events AS text[]), CAST(:about AS text[]), CAST(:at AS timestamptz[]),"
            " CAST(:names_on AS date[]), CAST(CAST(:facts AS text[]) AS jsonb[]))"
            " ON CONFLICT (workspace, scope, event, about) DO UPDATE SET at = excluded.at,"
            " names_on = excluded.names_on, facts = excluded.facts WHERE excluded.at < o.at"
        ),
        {
            "workspaces": [occasion.workspace for occasion in listed],
            "scopes": [occasion.scope for occasion in listed],
            "events": [occasion.event for occasion in listed],
            "about": [occasion.about for occasion in listed],
            "at": [occasion.at for occasion in listed],
            "names_on": [occasion.names_on for occasion in listed],
            "facts": [encoded(dict(occasion.facts)) for occasion in listed],
        },
    )


def occasion_in(row: Any) -> Occasion:
    """An occasion as a row holds it."""
    return Occasion(
        workspace=row.workspace,
        scope=row.scope,
        event=row.event,
        about=row.about,
        at=row.at,
        names_on=row.names_on,
        facts=msgspec.json.decode(row.facts),
    )
