"""People in programs, the programs that a workspace has, and the anchors of people."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, time
from typing import Any

import msgspec
from sqlalchemy import text

from services.cadence.model.anchor import Anchor
from services.cadence.model.defaults import PROGRAMS
from services.cadence.model.planning import Entered, Offered
from services.cadence.model.programs import Program
from services.cadence.model.zones import ZoneSource
from services.cadence.store.people import encoded, person_ids
from shared.db import Tx, rows
from shared.events.told import PersonId


async def list_journeys(tx: Tx, persons: Collection[PersonId]) -> dict[PersonId, list[Entered]]:
    """What these people have entered, or were refused."""
    found = await rows(
        tx,
        "SELECT j.workspace, j.user_id, j.program, j.about, j.version, j.state, j.reason,"
        " j.entered_at, j.names_on, j.facts::text AS facts, j.account FROM journey j"
        " JOIN unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]))"
        " AS u(workspace, user_id) ON j.workspace = u.workspace AND j.user_id = u.user_id"
        " ORDER BY j.workspace, j.user_id, j.entered_at, j.program, j.about",
        person_ids(persons),
    )
    listed: defaultdict[PersonId, list[Entered]] = defaultdict(list)
    for row in found:
        listed[PersonId(row.workspace, row.user_id)].append(_entered(row))
    return listed


async def save_journeys(
    tx: Tx, journeys: Sequence[tuple[PersonId, Entered]], *, now: datetime
) -> None:
    """Keep how people stand in programs. One that has ended never goes on again."""
    if not journeys:
        return
    ordered = sorted(journeys, key=lambda pair: (pair[0], pair[1].key))
    entries = [entered for _, entered in ordered]
    await tx.execute(
        text(
            "INSERT INTO journey AS j (workspace, user_id, program, about, version, state, reason,"
            " entered_at, names_on, facts, account, decided_at, ended_at)"
            " SELECT u.workspace, u.user_id, u.program, u.about, u.version, u.state, u.reason,"
            " u.entered_at, u.names_on, u.facts, u.account, :now,"
            " CASE WHEN u.state = 'going' THEN NULL ELSE CAST(:now AS timestamptz) END"
            " FROM unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]),"
            " CAST(:programs AS text[]), CAST(:about AS text[]), CAST(:versions AS integer[]),"
            " CAST(:states AS text[]), CAST(:reasons AS text[]), CAST(:entered AS timestamptz[]),"
            " CAST(:names_on AS date[]), CAST(CAST(:facts AS text[]) AS jsonb[]),"
            " CAST(:accounts AS text[])) AS u(workspace, user_id, program, about, version, state,"
            " reason, entered_at, names_on, facts, account)"
            " ON CONFLICT (workspace, user_id, program, about) DO UPDATE SET"
            " state = excluded.state, reason = excluded.reason, entered_at = excluded.entered_at,"
            " ended_at = excluded.ended_at WHERE j.state = 'going'"
        ),
        {
            **person_ids(person for person, _ in ordered),
            "programs": [entered.program for entered in entries],
            "about": [entered.about for entered in entries],
            "versions": [entered.version for entered in entries],
            "states": [entered.state for entered in entries],
            "reasons": [entered.reason for entered in entries],
            "entered": [entered.entered_at for entered in entries],
            "names_on": [entered.names_on for entered in entries],
            "facts": [encoded(dict(entered.facts)) for entered in entries],
            "accounts": [entered.account for entered in entries],
            "now": now,
        },
    )


async def list_offered(tx: Tx, workspaces: Collection[str]) -> dict[str, list[Offered]]:
    """The programs of each workspace: its own that are live, and what is shipped beside them.

    Of an own one the highest version counts; where that is not live, nothing of that id is sent,
    be it one that is shipped.
    """
    found = await rows(
        tx,
        "SELECT DISTINCT ON (workspace, program) workspace, program, live, at,"
        " definition::text AS definition FROM program"
        " WHERE workspace = ANY(CAST(:workspaces AS text[]))"
        " ORDER BY workspace, program, version DESC",
        {"workspaces": sorted(workspaces)},
    )
    own: defaultdict[str, dict[str, Offered | None]] = defaultdict(dict)
    for row in found:
        own[row.workspace][row.program] = (
            Offered(program=msgspec.json.decode(row.definition, type=Program), live_since=row.at)
            if row.live
            else None
        )
    shipped: Mapping[str, Offered | None] = {each.id: Offered(program=each) for each in PROGRAMS}
    return {
        workspace: [each for each in {**shipped, **own[workspace]}.values() if each is not None]
        for workspace in workspaces
    }


async def list_anchors(tx: Tx, persons: Collection[PersonId]) -> dict[PersonId, Anchor]:
    """The anchors of these people as they were told last."""
    found = await rows(
        tx,
        "SELECT a.workspace, a.user_id, a.signed_up_on, a.local_time, a.zone, a.zone_source"
        " FROM anchor a JOIN unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]))"
        " AS u(workspace, user_id) ON a.workspace = u.workspace AND a.user_id = u.user_id",
        person_ids(persons),
    )
    return {
        PersonId(row.workspace, row.user_id): Anchor(
            signed_up_on=row.signed_up_on,
            local_time=time.fromisoformat(row.local_time),
            zone=row.zone,
            zone_source=ZoneSource(row.zone_source),
        )
        for row in found
    }


async def save_anchors(
    tx: Tx, anchors: Mapping[PersonId, tuple[Anchor, datetime]], *, tzdata: str
) -> dict[PersonId, int]:
    """Keep anchors with the sign-ups that they are of; the how-manieth anchor of each it is."""
    ordered = sorted(anchors.items(), key=lambda pair: pair[0])
    if not ordered:
        return {}
    found = await rows(
        tx,
        "INSERT INTO anchor AS a (workspace, user_id, weekday, local_time, signed_up_on, zone,"
        " zone_source, signed_up_at, tzdata, number)"
        " SELECT u.workspace, u.user_id, u.weekday, u.local_time, u.signed_up_on, u.zone,"
        " u.zone_source, u.signed_up_at, :tzdata, 1"
        " FROM unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]),"
        " CAST(:weekdays AS text[]), CAST(:times AS text[]), CAST(:dates AS date[]),"
        " CAST(:zones AS text[]), CAST(:sources AS text[]), CAST(:signed_up AS timestamptz[]))"
        " AS u(workspace, user_id, weekday, local_time, signed_up_on, zone, zone_source,"
        " signed_up_at) ON CONFLICT (workspace, user_id) DO UPDATE SET weekday = excluded.weekday,"
        " local_time = excluded.local_time, signed_up_on = excluded.signed_up_on,"
        " zone = excluded.zone, zone_source = excluded.zone_source,"
        " signed_up_at = excluded.signed_up_at, tzdata = excluded.tzdata, number = a.number + 1"
        " RETURNING workspace, user_id, number",
        {
            **person_ids(person for person, _ in ordered),
            "weekdays": [anchor.weekday.value for _, (anchor, _) in ordered],
            "times": [f"{anchor.local_time:%H:%M}" for _, (anchor, _) in ordered],
            "dates": [anchor.signed_up_on for _, (anchor, _) in ordered],
            "zones": [anchor.zone for _, (anchor, _) in ordered],
            "sources": [anchor.zone_source.value for _, (anchor, _) in ordered],
            "signed_up": [signed_up_at for _, (_, signed_up_at) in ordered],
            "tzdata": tzdata,
        },
    )
    return {PersonId(row.workspace, row.user_id): row.number for row in found}


def _entered(row: Any) -> Entered:
    return Entered(
        program=row.program,
        about=row.about,
        version=row.version,
        entered_at=row.entered_at,
        names_on=row.names_on,
        facts=msgspec.json.decode(row.facts),
        account=row.account,
        state=row.state,
        reason=row.reason,
    )
