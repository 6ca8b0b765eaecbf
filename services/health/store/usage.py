"""Rollups of use, the truth, and habits, their cache. Whoever writes holds the accounts' locks."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import text

from services.health.model.score import DEFAULT_SILENCE_DAYS, ActiveDay, Habit
from services.health.model.use import AccountDay, Place, Use
from shared.db import Tx, rows
from shared.events.told import AccountId

HABIT_COLUMNS = ", ".join(Habit._fields)


async def hold_settings(tx: Tx, workspaces: Collection[str]) -> None:
    """Let the settings of these workspaces stand until the transaction ends.

    Or else H could change between the look at it and the commit of a habit that it was kept under.
    """
    await _lock_settings(tx, "pg_advisory_xact_lock_shared", workspaces)


async def lock_settings(tx: Tx, workspaces: Collection[str]) -> None:
    """Wait until nobody holds the settings of these workspaces, and let nobody else look."""
    await _lock_settings(tx, "pg_advisory_xact_lock", workspaces)


async def _lock_settings(tx: Tx, lock: str, workspaces: Collection[str]) -> None:
    await tx.execute(
        text(
            f"SELECT {lock}(hashtext(current_schema() || '.settings'), hashtext(id))"
            " FROM (SELECT id FROM unnest(CAST(:ids AS text[])) AS id ORDER BY id) AS ordered"
        ),
        {"ids": sorted(workspaces)},
    )


async def get_silence_days(tx: Tx, workspaces: Collection[str]) -> dict[str, int]:
    """H of each workspace, in days; the default while its settings are not known here."""
    found = await rows(
        tx,
        "SELECT id, silence_days FROM workspace WHERE id = ANY(CAST(:ids AS text[]))",
        {"ids": sorted(workspaces)},
    )
    known = {row.id: int(row.silence_days) for row in found}
    return {workspace: known.get(workspace, DEFAULT_SILENCE_DAYS) for workspace in workspaces}


# --- rollups -------------------------------------------------------------------------------------


async def add_use(tx: Tx, use: Use, places: Mapping[AccountId, Place]) -> None:
    """Add the rollups of a batch to those that stand."""
    await _add_account_days(tx, use, places)
    await _add_counts(tx, 'user_day (workspace, account, day, "user"', use.by_user, places)
    await _add_counts(tx, "feature_day (workspace, account, day, feature", use.by_feature, places)


async def _add_account_days(tx: Tx, use: Use, places: Mapping[AccountId, Place]) -> None:
    listed = [(places[account], day) for account, days in use.days.items() for day in days]
    await tx.execute(
        text(
            "INSERT INTO account_day AS d"
            " (workspace, account, day, events, first_at, last_at, first_event)"
            " SELECT * FROM unnest(CAST(:workspaces AS text[]), CAST(:numbers AS bigint[]),"
            " CAST(:days AS date[]), CAST(:events AS bigint[]), CAST(:first AS timestamptz[]),"
            " CAST(:last AS timestamptz[]), CAST(:ids AS text[]))"
            " ON CONFLICT (workspace, account, day) DO UPDATE SET"
            " events = d.events + excluded.events,"
            " first_at = least(d.first_at, excluded.first_at),"
            " last_at = greatest(d.last_at, excluded.last_at),"
            " first_event = CASE WHEN (excluded.first_at, excluded.first_event)"
            " < (d.first_at, d.first_event) THEN excluded.first_event ELSE d.first_event END"
        ),
        {
            "workspaces": [place.workspace for place, _ in listed],
            "numbers": [place.number for place, _ in listed],
            "days": [day.day for _, day in listed],
            "events": [day.events for _, day in listed],
            "first": [day.first_at for _, day in listed],
            "last": [day.last_at for _, day in listed],
            "ids": [day.first_event for _, day in listed],
        },
    )


async def _add_counts(
    tx: Tx,
    target: str,
    counts: Mapping[AccountDay, Mapping[str, int]],
    places: Mapping[AccountId, Place],
) -> None:
    """Add event counts per name and day to `target`, whose key is all its columns but events."""
    listed = [
        (places[AccountId(key.workspace, key.account)], key.day, name, events)
        for key, by_name in counts.items()
        for name, events in sorted(by_name.items())
    ]
    if not listed:
        return
    table, _, key = target.partition(" (")
    await tx.execute(
        text(
            f"INSERT INTO {table} AS t ({key}, events)"
            " SELECT * FROM unnest(CAST(:workspaces AS text[]), CAST(:numbers AS bigint[]),"
            " CAST(:days AS date[]), CAST(:names AS text[]), CAST(:events AS bigint[]))"
            f" ON CONFLICT ({key}) DO UPDATE SET events = t.events + excluded.events"
        ),
        {
            "workspaces": [place.workspace for place, _, _, _ in listed],
            "numbers": [place.number for place, _, _, _ in listed],
            "days": [day for _, day, _, _ in listed],
            "names": [name for _, _, name, _ in listed],
            "events": [events for _, _, _, events in listed],
        },
    )


async def list_first(
    tx: Tx, late: Mapping[Place, Sequence[date]]
) -> dict[Place, dict[date, datetime]]:
    """The first instants that stand for those of the `late` days that are known."""
    asked = [(place, day) for place, days in late.items() for day in days]
    if not asked:
        return {}
    found = await rows(
        tx,
        "SELECT d.workspace, d.account, d.day, d.first_at FROM account_day d JOIN"
        " unnest(CAST(:workspaces AS text[]), CAST(:numbers AS bigint[]), CAST(:days AS date[]))"
        " AS u(workspace, account, day)"
        " ON d.workspace = u.workspace AND d.account = u.account AND d.day = u.day",
        {**_places(place for place, _ in asked), "days": [day for _, day in asked]},
    )
    known: dict[Place, dict[date, datetime]] = {}
    for row in found:
        known.setdefault(Place(row.workspace, row.account), {})[row.day] = row.first_at
    return known


async def list_days(
    tx: Tx, places: Collection[Place], *, before: datetime | None = None
) -> dict[Place, list[ActiveDay]]:
    """The active days of each place in day order, those that began before an instant if given."""
    found = await rows(
        tx,
        "SELECT d.workspace, d.account, d.day, d.first_at, d.last_at, d.events, d.first_event"
        " FROM account_day d JOIN"
        " unnest(CAST(:workspaces AS text[]), CAST(:numbers AS bigint[])) AS u(workspace, account)"
        " ON d.workspace = u.workspace AND d.account = u.account"
        " WHERE CAST(:before AS timestamptz) IS NULL OR d.first_at < :before"
        " ORDER BY d.workspace, d.account, d.day",
        {**_places(places), "before": before},
    )
    listed: dict[Place, list[ActiveDay]] = {place: [] for place in places}
    for workspace, number, day, first_at, last_at, events, first_event in found:
        listed[Place(workspace, number)].append(
            ActiveDay(day, first_at, last_at, events, first_event)
        )
    return listed


# --- habits --------------------------------------------------------------------------------------


async def load_habits(tx: Tx, places: Collection[Place]) -> dict[Place, Habit]:
    """The kept habit of each place that has one; `accounts.identify` holds the locks."""
    found = await rows(
        tx,
        f"SELECT h.workspace, h.account, {', '.join(f'h.{name}' for name in Habit._fields)}"
        " FROM habit h JOIN"
        " unnest(CAST(:workspaces AS text[]), CAST(:numbers AS bigint[])) AS u(workspace, account)"
        " ON h.workspace = u.workspace AND h.account = u.account",
        _places(places),
    )
    return {Place(row[0], row[1]): Habit(*row[2:]) for row in found}


async def save_habits(tx: Tx, habits: Mapping[Place, Habit]) -> None:
    """Keep the habits as they now are."""
    if not habits:
        return
    columns = list(zip(*habits.values(), strict=True))
    arguments = {name: list(column) for name, column in zip(Habit._fields, columns, strict=True)}
    replaced = ", ".join(f"{name} = excluded.{name}" for name in Habit._fields)
    await tx.execute(
        text(
            f"INSERT INTO habit (workspace, account, {HABIT_COLUMNS})"
            " SELECT * FROM unnest(CAST(:workspaces AS text[]), CAST(:numbers AS bigint[]),"
            " CAST(:silence_days AS integer[]), CAST(:day AS date[]),"
            " CAST(:day_at AS timestamptz[]), CAST(:days AS double precision[]),"
            " CAST(:week AS integer[]), CAST(:week_at AS timestamptz[]),"
            " CAST(:weeks AS double precision[]), CAST(:first_at AS timestamptz[]),"
            " CAST(:last_at AS timestamptz[]), CAST(:usual_gap AS double precision[]),"
            " CAST(:recent_days AS bigint[]), CAST(:recent_weeks AS bigint[]),"
            " CAST(:early_weeks AS integer[]))"
            f" ON CONFLICT (workspace, account) DO UPDATE SET {replaced}"
        ),
        {**_places(habits), **arguments},
    )


async def list_kept_otherwise(
    tx: Tx, workspace: str, *, silence_days: int, limit: int
) -> list[AccountId]:
    """Accounts whose habit was kept under another H than `silence_days`, `limit` at most."""
    found = await rows(
        tx,
        "SELECT a.workspace, a.account FROM habit h"
        " JOIN account a ON a.workspace = h.workspace AND a.number = h.account"
        " WHERE h.workspace = :workspace AND h.silence_days <> :silence_days"
        " ORDER BY a.account LIMIT :limit",
        {"workspace": workspace, "silence_days": silence_days, "limit": limit},
    )
    return [AccountId(row.workspace, row.account) for row in found]


def _places(places: Iterable[Place]) -> dict[str, list[str] | list[int]]:
    listed = list(places)
    return {
        "workspaces": [place.workspace for place in listed],
        "numbers": [place.number for place in listed],
    }
