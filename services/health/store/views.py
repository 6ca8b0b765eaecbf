"""What the API shows: one account with its use and its people, and all accounts in chunks."""

from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec

from services.health.model.account import Profile
from services.health.model.score import Habit, habit_of, holds_at, scale_of
from services.health.model.use import Place
from services.health.store.usage import list_days
from shared.db import Tx, rows

HABIT_OF_H = ", ".join(f"h.{name}" for name in Habit._fields)


class Known(NamedTuple):
    """An account that is known here."""

    place: Place
    profile: Profile


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
    stage: str | None
    segment: str | None
    owner: str | None
    habit: Habit | None


class Member(NamedTuple):
    """A member: the days on which events named them, and what was said of them."""

    user: str
    first_on: date
    last_on: date
    role: str | None
    signed_up_at: str | None
    identified_at: datetime | None


class Count(NamedTuple):
    """Events under a name."""

    name: str
    events: int


async def get_account(tx: Tx, workspace: str, account: str) -> Known | None:
    """The account of this workspace; None where it is not known."""
    found = await rows(
        tx,
        "SELECT number, profile::text AS profile FROM account"
        " WHERE workspace = :workspace AND account = :account",
        {"workspace": workspace, "account": account},
    )
    if not found:
        return None
    profile: Profile = msgspec.json.decode(found[0].profile, type=Profile)
    return Known(Place(workspace, found[0].number), profile)


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
        "SELECT a.number, a.account, a.name, a.stage, a.segment, a.owner, h.account AS kept,"
        f" {HABIT_OF_H} FROM account a"
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
    kept = {row[0]: Habit(*row[7:]) for row in found if row.kept is not None}
    undone = [number for number, habit in kept.items() if not holds_at(habit, at, scale)]
    days = await list_days(tx, [Place(workspace, number) for number in undone], before=at)
    folded = {number: habit_of(days[Place(workspace, number)], scale) for number in undone}
    habits: dict[int, Habit | None] = {**kept, **folded}
    return [
        Standing(row.account, row.name, row.stage, row.segment, row.owner, habits.get(row.number))
        for row in found
    ]


async def list_features(tx: Tx, place: Place, *, after: date, last: date) -> list[Count]:
    """Events of each feature used on the days after `after` up to `last`, the most used first."""
    return await _counts(
        tx,
        "SELECT feature AS name, sum(events)::bigint AS events FROM feature_day"
        " WHERE workspace = :workspace AND account = :account AND day > :after AND day <= :last"
        " GROUP BY feature ORDER BY 2 DESC, 1",
        place,
        after=after,
        last=last,
    )


async def list_user_events(tx: Tx, place: Place, *, after: date, last: date) -> list[Count]:
    """Events of each user active on the days after `after` up to `last`, the busiest first."""
    return await _counts(
        tx,
        'SELECT "user" AS name, sum(events)::bigint AS events FROM user_day'
        " WHERE workspace = :workspace AND account = :account AND day > :after AND day <= :last"
        ' GROUP BY "user" ORDER BY 2 DESC, 1',
        place,
        after=after,
        last=last,
    )


async def _counts(tx: Tx, sql: str, place: Place, **arguments: Any) -> list[Count]:
    found = await rows(
        tx, sql, {"workspace": place.workspace, "account": place.number, **arguments}
    )
    return [Count(row.name, row.events) for row in found]


async def list_members(tx: Tx, place: Place, *, by: date, limit: int) -> list[Member]:
    """Members seen by the end of day `by`, those seen last first."""
    found = await rows(
        tx,
        "SELECT m.\"user\", m.first_on, m.last_on, p.profile #>> '{role,0}' AS role,"
        " p.profile #>> '{signed_up_at,0}' AS signed_up_at, p.identified_at FROM member m"
        ' LEFT JOIN person p ON p.workspace = m.workspace AND p."user" = m."user"'
        " WHERE m.workspace = :workspace AND m.account = :account AND m.first_on <= :by"
        ' ORDER BY m.last_on DESC, m."user" LIMIT :limit',
        {"workspace": place.workspace, "account": place.number, "by": by, "limit": limit},
    )
    return [Member(*row) for row in found]


async def get_members_total(tx: Tx, place: Place, *, by: date) -> int:
    """How many members were seen by the end of day `by`."""
    found = await rows(
        tx,
        "SELECT count(*) AS members FROM member"
        " WHERE workspace = :workspace AND account = :account AND first_on <= :by",
        {"workspace": place.workspace, "account": place.number, "by": by},
    )
    return int(found[0].members)
