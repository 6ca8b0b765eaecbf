"""A workspace's own programs, version by version, and what came of their messages."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import text

from services.cadence.model.programs import Program
from services.cadence.model.results import Tally
from shared.db import Tx, rows


class Cell(NamedTuple):
    """A part of a program's messages: a step, a wording of it, the week (its Monday, UTC)."""

    step: str
    variant: str | None
    week: date


async def next_version(tx: Tx, workspace: str, program: str) -> int:
    """The number of a program's next version: 2 where nothing but the shipped one is there.

    Whoever asks for it holds the workspace's programs until the commit.
    """
    await tx.execute(
        text("SELECT pg_advisory_xact_lock(hashtext('program ' || :workspace))"),
        {"workspace": workspace},
    )
    (latest,) = await rows(
        tx,
        "SELECT coalesce(max(version), 1) AS version FROM program"
        " WHERE workspace = :workspace AND program = :program",
        {"workspace": workspace, "program": program},
    )
    version: int = latest.version + 1
    return version


async def append_version(
    tx: Tx, workspace: str, program: Program, *, live: bool, at: datetime, by: str
) -> None:
    """Keep a version of a program; the one before stays as it was."""
    await tx.execute(
        text(
            "INSERT INTO program (workspace, program, version, definition, live, at, by)"
            " VALUES (:workspace, :program, :version, CAST(:definition AS jsonb), :live, :at, :by)"
        ),
        {
            "workspace": workspace,
            "program": program.id,
            "version": program.version,
            "definition": msgspec.json.encode(program).decode(),
            "live": live,
            "at": at,
            "by": by,
        },
    )


async def list_locales(tx: Tx, workspace: str) -> Mapping[str, set[str]]:
    """The languages in which a workspace wrote each of its own templates."""
    found = await rows(
        tx,
        "SELECT DISTINCT template, locale FROM template WHERE workspace = :workspace",
        {"workspace": workspace},
    )
    locales: dict[str, set[str]] = {}
    for row in found:
        locales.setdefault(row.template, set()).add(row.locale)
    return locales


async def list_tallies(tx: Tx, workspace: str, program: str) -> Mapping[Cell, Tally]:
    """What came of a program's messages that went out, by step, wording and week."""
    found = await rows(
        tx,
        "SELECT m.step, m.variant, CAST(date_trunc('week', m.due_at) AS date) AS week,"
        " count(*) AS sent,"
        " count(*) FILTER (WHERE m.state = 'accepted' AND m.bounced_at IS NULL) AS delivered,"
        " count(*) FILTER (WHERE h.opened_human) AS opens_human,"
        " count(*) FILTER (WHERE h.opened) AS opens_all,"
        " count(*) FILTER (WHERE h.clicked) AS clicks,"
        " count(*) FILTER (WHERE m.unsubscribed_at IS NOT NULL) AS unsubscribes"
        " FROM message m LEFT JOIN LATERAL (SELECT"
        "  bool_or(h.kind = 'open' AND h.class = 'human') AS opened_human,"
        "  bool_or(h.kind = 'open') AS opened,"
        "  bool_or(h.kind = 'click' AND h.class = 'human') AS clicked"
        "  FROM hit h WHERE h.workspace = m.workspace AND h.identity = m.identity) AS h ON true"
        " WHERE m.workspace = :workspace AND m.program = :program"
        " AND m.handed_over_at IS NOT NULL"
        " GROUP BY m.step, m.variant, week ORDER BY m.step, m.variant, week",
        {"workspace": workspace, "program": program},
    )
    return {
        Cell(row.step, row.variant, row.week): Tally(
            sent=row.sent,
            delivered=row.delivered,
            opens_human=row.opens_human,
            opens_all=row.opens_all,
            clicks=row.clicks,
            unsubscribes=row.unsubscribes,
        )
        for row in found
    }
