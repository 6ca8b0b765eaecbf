"""Waves: what they ask, and whom. Their populations are walked in the order of users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import text

from shared.db import Tx, rows

MOST_WAVES = 1000  # of a workspace, in lists that are not paged


class WaveForm(StrEnum):
    """How a wave comes to its people."""

    ONE_OFF = "one_off"  # a population fixed once
    CONTINUOUS = "continuous"  # people join while it is open, as they become eligible
    MOMENT = "moment"  # people are asked when something has happened to them
    IMPORTED = "imported"  # answers of another system, under its label


class WaveState(StrEnum):
    """Where a wave stands."""

    PLANNED = "planned"
    OPENING = "opening"  # decisions are being taken
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, kw_only=True)
class Wave:
    """A survey of some people at some time. Half-open: it closes at `closes_at`."""

    workspace: str
    wave: str
    kind: str = "nps"
    form: WaveForm = WaveForm.ONE_OFF
    state: WaveState = WaveState.PLANNED
    ordered_at: datetime | None = None
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    walked_to: str = ""
    walk_again_at: datetime | None = None
    population: dict[str, int] = field(default_factory=dict)
    """People by decision, as of the end of the last walk."""
    first_after_days: int = 45
    quarantine_days: int = 90
    sample_share: Decimal = Decimal(1)
    reminders: int = 0
    reminder_after_days: int = 7
    anonymous: bool = False
    moment: str | None = None
    question: dict[str, str] = field(default_factory=dict)
    """Own words by language; empty: the usual ones of its kind."""


class Candidate(NamedTuple):
    """What is known of a person when it is decided whether to ask them."""

    user: str
    account: str | None
    signed_up_at: datetime
    zone: str | None
    opted_out: bool
    gone_at: datetime | None
    """Since when every account that the person was in is gone, or the person from it."""
    last_asked_at: datetime | None
    is_left_out: bool = False
    """Asked already in this wave, or only in walk-through accounts."""


class Decided(NamedTuple):
    """A decision about a person, and why."""

    user: str
    account: str | None
    decision: str
    reason: str


COLUMNS = (
    "workspace, wave, kind, form, state, ordered_at, opens_at, closes_at, opened_at, closed_at,"
    " walked_to, walk_again_at, population, first_after_days, quarantine_days, sample_share,"
    " reminders, reminder_after_days, anonymous, moment, question"
)
# Of a person `n`: the account that was named last of those the person is still in, and since when
# all are gone.
MEMBERSHIPS = """SELECT
    (array_agg(o.account ORDER BY o.gone_at NULLS FIRST, o.told_at DESC, o.account))[1] AS account,
    (array_agg(o.time_zone ORDER BY o.gone_at NULLS FIRST, o.told_at DESC, o.account))[1] AS zone,
    bool_and(o.synthetic) AS synthetic,
    CASE WHEN bool_and(o.gone_at IS NOT NULL) THEN max(o.gone_at) END AS gone_at
    FROM (SELECT m.account, m.told_at, a.time_zone, coalesce(a.synthetic, false) AS synthetic,
        least(CASE WHEN m.removed_at >= m.told_at THEN m.removed_at END,
            CASE WHEN a.churned_at > coalesce(a.returned_at, '-infinity') THEN a.churned_at END)
            AS gone_at
        FROM membership m LEFT JOIN account a USING (workspace, account)
        WHERE m.workspace = :workspace AND m."user" = n."user") AS o"""
_encode = msgspec.json.Encoder(order="deterministic").encode


def wave_of(row: Any) -> Wave:
    """The wave of a row with all columns."""
    told = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for the row as a mapping
    told["form"], told["state"] = WaveForm(row.form), WaveState(row.state)
    return Wave(**told)


async def append_wave(tx: Tx, wave: Wave) -> bool:
    """Add a wave; whether there was none of that name."""
    added = await rows(
        tx,
        "INSERT INTO wave (workspace, wave, kind, form, state, ordered_at, opens_at, closes_at,"
        " first_after_days, quarantine_days, sample_share, reminders, reminder_after_days,"
        " anonymous, moment, question) VALUES (:workspace, :wave, :kind, :form, :state,"
        " :ordered_at, :opens_at, :closes_at, :first_after_days, :quarantine_days, :sample_share,"
        " :reminders, :reminder_after_days, :anonymous, :moment, CAST(:question AS jsonb))"
        " ON CONFLICT (workspace, wave) DO NOTHING RETURNING wave",
        {
            "workspace": wave.workspace,
            "wave": wave.wave,
            "kind": wave.kind,
            "form": wave.form.value,
            "state": wave.state.value,
            "ordered_at": wave.ordered_at or wave.opens_at,
            "opens_at": wave.opens_at,
            "closes_at": wave.closes_at,
            "first_after_days": wave.first_after_days,
            "quarantine_days": wave.quarantine_days,
            "sample_share": wave.sample_share,
            "reminders": wave.reminders,
            "reminder_after_days": wave.reminder_after_days,
            "anonymous": wave.anonymous,
            "moment": wave.moment,
            "question": _encode(wave.question).decode(),
        },
    )
    return bool(added)


async def save_labels(tx: Tx, workspace: str, labels: Mapping[str, datetime]) -> None:
    """Let waves of these labels be there, each ordered by its first answer, or an earlier one."""
    if labels:
        await tx.execute(
            text(
                "INSERT INTO wave AS w (workspace, wave, kind, form, state, ordered_at)"
                " SELECT :workspace, u.wave, 'nps', 'imported', 'open', u.at"
                " FROM unnest(CAST(:waves AS text[]), CAST(:at AS timestamptz[])) AS u(wave, at)"
                " ON CONFLICT (workspace, wave) DO UPDATE"
                " SET ordered_at = least(w.ordered_at, excluded.ordered_at)"
                " WHERE w.form = 'imported'"
            ),
            {
                "workspace": workspace,
                "waves": sorted(labels),
                "at": [labels[name] for name in sorted(labels)],
            },
        )


async def get_wave(tx: Tx, workspace: str, wave: str) -> Wave | None:
    """A wave as it is; None where there is none of that name."""
    found = await rows(
        tx,
        f"SELECT {COLUMNS} FROM wave WHERE workspace = :workspace AND wave = :wave",
        {"workspace": workspace, "wave": wave},
    )
    return wave_of(found[0]) if found else None


async def load_wave(tx: Tx, workspace: str, wave: str) -> Wave | None:
    """The same, locked until the transaction ends."""
    found = await rows(
        tx,
        f"SELECT {COLUMNS} FROM wave WHERE workspace = :workspace AND wave = :wave FOR UPDATE",
        {"workspace": workspace, "wave": wave},
    )
    return wave_of(found[0]) if found else None


async def list_waves(tx: Tx, workspace: str) -> list[Wave]:
    """The waves in their order: when they open, an imported one at its first answer."""
    found = await rows(
        tx,
        f"SELECT {COLUMNS} FROM wave WHERE workspace = :workspace"
        " ORDER BY ordered_at NULLS LAST, wave LIMIT :limit",
        {"workspace": workspace, "limit": MOST_WAVES},
    )
    return [wave_of(row) for row in found]


async def list_due(tx: Tx, state: WaveState, now: datetime, *, limit: int) -> list[Wave]:
    """Waves whose time for the next step has come, locked; those that others hold are left out."""
    due = {
        WaveState.PLANNED: "opens_at <= :now",
        WaveState.OPENING: "true",
        WaveState.OPEN: "closes_at <= :now",
    }[state]
    found = await rows(
        tx,
        f"SELECT {COLUMNS} FROM wave WHERE state = :state AND {due}"
        " ORDER BY workspace, wave LIMIT :limit FOR UPDATE SKIP LOCKED",
        {"state": state.value, "now": now, "limit": limit},
    )
    return [wave_of(row) for row in found]


async def list_to_walk_again(tx: Tx, now: datetime, *, limit: int) -> list[Wave]:
    """Open continuous waves that are to look for people who have become eligible, locked."""
    found = await rows(
        tx,
        f"SELECT {COLUMNS} FROM wave WHERE state = 'open' AND walk_again_at <= :now"
        " ORDER BY workspace, wave LIMIT :limit FOR UPDATE SKIP LOCKED",
        {"now": now, "limit": limit},
    )
    return [wave_of(row) for row in found]


async def save_state(
    tx: Tx, wave: Wave, state: WaveState, *, at: datetime, walk_again_at: datetime | None = None
) -> None:
    """Note that a wave has come to `state` at `at`."""
    stamp = {
        WaveState.OPEN: ", opened_at = coalesce(opened_at, :at)",
        WaveState.CLOSED: ", closed_at = :at",
    }.get(state, "")
    await tx.execute(
        text(
            f"UPDATE wave SET state = :state, walk_again_at = :again{stamp}"
            " WHERE workspace = :workspace AND wave = :wave"
        ),
        {
            "workspace": wave.workspace,
            "wave": wave.wave,
            "state": state.value,
            "again": walk_again_at,
            **({"at": at} if stamp else {}),
        },
    )


async def save_walked_to(tx: Tx, wave: Wave, user: str) -> None:
    """Note how far the decisions have come."""
    await tx.execute(
        text(
            "UPDATE wave SET walked_to = :walked_to WHERE workspace = :workspace AND wave = :wave"
        ),
        {"workspace": wave.workspace, "wave": wave.wave, "walked_to": user},
    )


async def save_population(tx: Tx, wave: Wave) -> dict[str, int]:
    """Count the people of a wave by decision, and keep that; one look at all of them."""
    found = await rows(
        tx,
        "SELECT decision, count(*) AS people FROM wave_member"
        " WHERE workspace = :workspace AND wave = :wave GROUP BY decision ORDER BY decision",
        {"workspace": wave.workspace, "wave": wave.wave},
    )
    population = {row.decision: int(row.people) for row in found}
    await tx.execute(
        text(
            "UPDATE wave SET population = CAST(:population AS jsonb)"
            " WHERE workspace = :workspace AND wave = :wave"
        ),
        {
            "workspace": wave.workspace,
            "wave": wave.wave,
            "population": _encode(population).decode(),
        },
    )
    return population


async def list_candidates(tx: Tx, wave: Wave, *, after: str, limit: int) -> list[Candidate]:
    """The next people by user, with what decides about each."""
    found = await rows(
        tx,
        'WITH next AS MATERIALIZED (SELECT p."user",'
        " coalesce(p.signed_up_said, p.identified_at) AS signed_up_at,"
        " coalesce(p.learned_zone, p.first_zone) AS zone"
        ' FROM person p WHERE p.workspace = :workspace AND p."user" > :after'
        ' ORDER BY p."user" LIMIT :limit)'
        ' SELECT n."user", n.signed_up_at, coalesce(n.zone, m.zone, w.time_zone) AS zone,'
        " m.account, m.gone_at, coalesce(m.synthetic, false) AS synthetic,"
        " EXISTS (SELECT FROM consent c WHERE c.workspace = :workspace"
        "   AND c.\"user\" = n.\"user\" AND c.about IN ('nps', 'all') AND NOT c.granted)"
        " AS opted_out,"
        " (SELECT max(coalesce(i.invited_at, i.requested_at)) FROM invitation i"
        '   WHERE i.workspace = :workspace AND i."user" = n."user" AND i.failed IS NULL)'
        " AS last_asked_at,"
        " EXISTS (SELECT FROM wave_member d WHERE d.workspace = :workspace AND d.wave = :wave"
        '   AND d."user" = n."user" AND d.decision = \'ask\') AS asked'
        " FROM next n LEFT JOIN workspace w ON w.id = :workspace"
        f" LEFT JOIN LATERAL ({MEMBERSHIPS}) AS m ON true"
        ' ORDER BY n."user"',
        {
            "workspace": wave.workspace,
            "wave": wave.wave,
            "after": after,
            "limit": limit,
        },
    )
    return [
        Candidate(
            user=row.user,
            account=row.account,
            signed_up_at=row.signed_up_at,
            zone=row.zone,
            opted_out=row.opted_out,
            gone_at=row.gone_at,
            last_asked_at=row.last_asked_at,
            is_left_out=row.asked or row.synthetic,
        )
        for row in found
    ]


async def save_decisions(
    tx: Tx, wave: Wave, decided: Sequence[Decided], *, decided_at: datetime
) -> None:
    """Keep decisions about people; a later one replaces what was not `ask`."""
    if not decided:
        return
    await tx.execute(
        text(
            'INSERT INTO wave_member AS m (workspace, wave, "user", account, decision, reason,'
            " decided_at) SELECT :workspace, :wave, u.*, :at FROM unnest(CAST(:users AS text[]),"
            " CAST(:accounts AS text[]), CAST(:decisions AS text[]), CAST(:reasons AS text[])) AS u"
            ' ON CONFLICT (workspace, wave, "user") DO UPDATE SET account = excluded.account,'
            " decision = excluded.decision, reason = excluded.reason,"
            " decided_at = excluded.decided_at WHERE m.decision <> 'ask'"
        ),
        {
            "workspace": wave.workspace,
            "wave": wave.wave,
            "at": decided_at,
            "users": [each.user for each in decided],
            "accounts": [each.account for each in decided],
            "decisions": [each.decision for each in decided],
            "reasons": [each.reason for each in decided],
        },
    )


class Member(NamedTuple):
    """A person of a wave, with what came of the decision."""

    user: str
    account: str | None
    decision: str
    reason: str
    decided_at: datetime
    invited_at: datetime | None
    failed: str | None
    reminders: int
    answered_at: datetime | None


async def list_members(
    tx: Tx, wave: Wave, *, decision: str | None, after: str, limit: int
) -> list[Member]:
    """The next people of a wave by user; of an anonymous one nobody sees who answered."""
    found = await rows(
        tx,
        'SELECT m."user", m.account, m.decision, m.reason, m.decided_at, i.invited_at, i.failed,'
        " coalesce(i.reminders, 0) AS reminders, a.at AS answered_at"
        " FROM wave_member m LEFT JOIN invitation i ON i.workspace = m.workspace"
        '   AND i.wave = m.wave AND i."user" = m."user" AND i.wave <> \'\''
        ""
        " LEFT JOIN answer a ON a.workspace = i.workspace AND a.invitation = i.invitation"
        "   AND NOT :anonymous"
        ' WHERE m.workspace = :workspace AND m.wave = :wave AND m."user" > :after'
        " AND (CAST(:decision AS text) IS NULL OR m.decision = :decision)"
        ' ORDER BY m."user" LIMIT :limit',
        {
            "workspace": wave.workspace,
            "wave": wave.wave,
            "anonymous": wave.anonymous,
            "decision": decision,
            "after": after,
            "limit": limit,
        },
    )
    return [Member(*row) for row in found]


async def take_to_ask(tx: Tx, now: datetime, *, limit: int) -> list[tuple[Wave, list[Decided]]]:
    """People who are to be asked and are not yet, taken: marked as requested, wave by wave."""
    open_waves = await rows(
        tx,
        f"SELECT {COLUMNS} FROM wave w WHERE state = 'open' AND closes_at > :now"
        " AND EXISTS (SELECT FROM wave_member m WHERE m.workspace = w.workspace"
        "   AND m.wave = w.wave AND m.decision = 'ask' AND NOT m.requested)"
        " ORDER BY workspace, wave LIMIT :limit",
        {"now": now, "limit": limit},
    )
    taken: list[tuple[Wave, list[Decided]]] = []
    left = limit
    for wave in map(wave_of, open_waves):
        if left <= 0:
            break
        people = await _take_of(tx, wave, limit=left)
        taken.append((wave, people))
        left -= len(people)
    return taken


async def _take_of(tx: Tx, wave: Wave, *, limit: int) -> list[Decided]:
    found = await rows(
        tx,
        'WITH next AS (SELECT "user" FROM wave_member WHERE workspace = :workspace'
        "   AND wave = :wave AND decision = 'ask' AND NOT requested"
        '   ORDER BY "user" LIMIT :limit FOR UPDATE SKIP LOCKED)'
        " UPDATE wave_member m SET requested = true FROM next n WHERE m.workspace = :workspace"
        ' AND m.wave = :wave AND m."user" = n."user"'
        ' RETURNING m."user", m.account, m.decision, m.reason',
        {"workspace": wave.workspace, "wave": wave.wave, "limit": limit},
    )
    return sorted(Decided(*row) for row in found)
