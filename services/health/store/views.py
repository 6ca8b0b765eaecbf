"""What the API shows: one account with its use and its people, and all accounts in chunks."""

from datetime import date, datetime
from typing import NamedTuple

import msgspec

from services.health.model.score import Habit, habit_of, holds_at, scale_of
from services.health.model.use import Place
from services.health.store.usage import list_days
from shared.db import Tx, rows
from shared.events.told import Profile

_decode_told = msgspec.json.Decoder(Profile).decode

HABIT_OF_H = ", ".join(f"h.{name}" for name in Habit._fields)


class Known(NamedTuple):
    """An account that is known here."""

    place: Place
    profile: Profile
    commercial: Profile


class Filters(NamedTuple):
    """Which accounts to list; None where it does not matter. `text`: part of id or name."""

    stage: str | None = None
    segment: str | None = None
    owner: str | None = None
    text: str | None = None


EVERY_ACCOUNT = Filters()


class Standing(NamedTuple):
    """An account with its habit as of an instant; None where it had no use before."""

    account: str
    name: str | None
    plan: str | None
    stage: str | None
    segment: str | None
    owner: str | None
    habit: Habit | None


class Member(NamedTuple):
    """A member: when events named them, what was said of them, and their recent events."""

    user: str
    first_on: date
    last_on: date
    role: str | None
    signed_up_at: str | None
    identified_at: datetime | None
    events: int


class Most(NamedTuple):
    """The busiest of a kind (users, features), and how many and how busy all of them are."""

    name: str
    events: int
    names: int
    all_events: int


async def get_account(tx: Tx, workspace: str, account: str) -> Known | None:
    """The account of this workspace; None where it is not known."""
    found = await rows(
        tx,
        "SELECT number, profile::text AS profile, commercial::text AS commercial FROM account"
        " WHERE workspace = :workspace AND account = :account",
        {"workspace": workspace, "account": account},
    )
    if not found:
        return None
    (row,) = found
    return Known(
        Place(workspace, row.number), _decode_told(row.profile), _decode_told(row.commercial)
    )


async def list_standings(
    tx: Tx,
    workspace: str,
    *,
    at: datetime,
    silence_days: int,
    after: str = "",
    filters: Filters = EVERY_ACCOUNT,
    limit: int,
) -> list[Standing]:
    """The next accounts by id behind `after`, with their habits as of `at`; no synthetic ones.

    The kept habit serves where it holds at `at`; the others are folded from their days.
    """
    found = await rows(
        tx,
        "SELECT a.number, a.account, a.name, a.profile #>> '{plan,0}' AS plan, a.stage, a.segment,"
        f" a.owner, h.account AS kept, {HABIT_OF_H} FROM account a"
        " LEFT JOIN habit h ON h.workspace = a.workspace AND h.account = a.number"
        " WHERE a.workspace = :workspace AND a.account > :after AND NOT a.synthetic"
        " AND (CAST(:stage AS text) IS NULL OR a.stage = :stage)"
        " AND (CAST(:segment AS text) IS NULL OR a.segment = :segment)"
        " AND (CAST(:owner AS text) IS NULL OR a.owner = :owner)"
        " AND (CAST(:text AS text) IS NULL OR strpos(lower(a.account), lower(:text)) > 0"
        "   OR strpos(lower(a.name), lower(:text)) > 0)"
        " ORDER BY a.account LIMIT :limit",
        {"workspace": workspace, "after": after, "limit": limit, **filters._asdict()},
    )
    scale = scale_of(silence_days)
    kept = {row[0]: Habit(*row[8:]) for row in found if row.kept is not None}
    undone = [number for number, habit in kept.items() if not holds_at(habit, at, scale)]
    days = await list_days(tx, [Place(workspace, number) for number in undone], before=at)
    folded = {number: habit_of(days[Place(workspace, number)], scale) for number in undone}
    habits: dict[int, Habit | None] = {**kept, **folded}
    return [
        Standing(
            row.account,
            row.name,
            row.plan,
            row.stage,
            row.segment,
            row.owner,
            habits.get(row.number),
        )
        for row in found
    ]


async def list_features(tx: Tx, place: Place, *, after: date, last: date, limit: int) -> list[Most]:
    """The features used most on the days after `after` up to `last`."""
    return await _list_most(tx, "feature_day", "feature", place, after, last, limit)


async def list_active_users(
    tx: Tx, place: Place, *, after: date, last: date, limit: int
) -> list[Most]:
    """The users with the most events on the days after `after` up to `last`."""
    return await _list_most(tx, "user_day", '"user"', place, after, last, limit)


async def _list_most(
    tx: Tx, table: str, name: str, place: Place, after: date, last: date, limit: int
) -> list[Most]:
    found = await rows(
        tx,
        f"SELECT {name} AS name, sum(events)::bigint AS events, count(*) OVER () AS names,"
        f" (sum(sum(events)) OVER ())::bigint AS all_events FROM {table}"
        " WHERE workspace = :workspace AND account = :account AND day > :after AND day <= :last"
        f" GROUP BY {name} ORDER BY 2 DESC, 1 LIMIT :limit",
        {
            "workspace": place.workspace,
            "account": place.number,
            "after": after,
            "last": last,
            "limit": limit,
        },
    )
    return [Most(*row) for row in found]


async def list_members(
    tx: Tx, place: Place, *, after: date, last: date, limit: int
) -> list[Member]:
    """Members seen by the end of `last`, the newest first, with their events after `after`."""
    found = await rows(
        tx,
        "SELECT m.\"user\", m.first_on, m.last_on, p.profile #>> '{role,0}' AS role,"
        " p.profile #>> '{signed_up_at,0}' AS signed_up_at, p.identified_at,"
        " coalesce((SELECT sum(d.events) FROM user_day d WHERE d.workspace = m.workspace"
        "   AND d.account = m.account AND d.day > :after AND d.day <= :last"
        '   AND d."user" = m."user"), 0)::bigint AS events'
        " FROM (SELECT * FROM member WHERE workspace = :workspace AND account = :account"
        '   AND first_on <= :last ORDER BY last_on DESC, "user" LIMIT :limit) AS m'
        ' LEFT JOIN person p ON p.workspace = m.workspace AND p."user" = m."user"'
        ' ORDER BY m.last_on DESC, m."user"',
        {
            "workspace": place.workspace,
            "account": place.number,
            "after": after,
            "last": last,
            "limit": limit,
        },
    )
    return [Member(*row) for row in found]


async def get_members_total(tx: Tx, place: Place, *, last: date) -> int:
    """How many members were seen by the end of day `last`."""
    found = await rows(
        tx,
        "SELECT count(*) AS members FROM member"
        " WHERE workspace = :workspace AND account = :account AND first_on <= :last",
        {"workspace": place.workspace, "account": place.number, "last": last},
    )
    return int(found[0].members)
