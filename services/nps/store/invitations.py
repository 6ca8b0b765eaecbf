"""Invitations: one person asked in one wave, or without one; who was reminded, what failed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import text

from services.nps.store.waves import WaveState
from shared.db import Tx, rows


class Invitation(NamedTuple):
    """That a person is asked. `wave` is empty where it belongs to none."""

    workspace: str
    invitation: str
    wave: str
    user: str
    account: str | None
    requested_at: datetime
    closes_at: datetime
    invited_at: datetime | None = None
    """Since when it is in the person's hands: the quarantine counts from here."""
    remind_at: datetime | None = None
    reminders: int = 0


class Asked(NamedTuple):
    """An invitation with what its page has to know of its wave."""

    invitation: Invitation
    kind: str
    is_closed: bool
    """By hand, whatever the time."""
    closes_at: datetime
    """When the answer counts no more: the earlier end of the invitation's and the wave's."""
    anonymous: bool
    question: dict[str, str]
    locale: str | None
    """The person's, else the workspace's."""


COLUMNS = (
    'workspace, invitation, wave, "user", account, requested_at, closes_at, invited_at, remind_at,'
    " reminders"
)


async def append_invitations(tx: Tx, invitations: Sequence[Invitation]) -> list[Invitation]:
    """Add invitations of one workspace; those that are new: a person is asked once in a wave."""
    if not invitations:
        return []
    added = await rows(
        tx,
        'INSERT INTO invitation (workspace, invitation, wave, "user", account, requested_at,'
        " closes_at, invited_at, remind_at)"
        " SELECT u.* FROM unnest(CAST(:workspaces AS text[]), CAST(:invitations AS text[]),"
        " CAST(:waves AS text[]), CAST(:users AS text[]), CAST(:accounts AS text[]),"
        " CAST(:requested AS timestamptz[]), CAST(:closes AS timestamptz[]),"
        " CAST(:invited AS timestamptz[]), CAST(:remind AS timestamptz[])) AS u"
        " ON CONFLICT DO NOTHING RETURNING invitation",
        {
            "workspaces": [each.workspace for each in invitations],
            "invitations": [each.invitation for each in invitations],
            "waves": [each.wave for each in invitations],
            "users": [each.user for each in invitations],
            "accounts": [each.account for each in invitations],
            "requested": [each.requested_at for each in invitations],
            "closes": [each.closes_at for each in invitations],
            "invited": [each.invited_at for each in invitations],
            "remind": [each.remind_at for each in invitations],
        },
    )
    new = {row.invitation for row in added}
    return [each for each in invitations if each.invitation in new]


async def get_of_user(tx: Tx, workspace: str, wave: str, user: str) -> Invitation | None:
    """The invitation of a person in a wave."""
    found = await rows(
        tx,
        f"SELECT {COLUMNS} FROM invitation WHERE workspace = :workspace AND wave = :wave"
        " AND wave <> '' AND \"user\" = :user",
        {"workspace": workspace, "wave": wave, "user": user},
    )
    return Invitation(*found[0]) if found else None


async def get_asked(tx: Tx, workspace: str, invitation: str) -> Asked | None:
    """An invitation with its wave; None where there is none."""
    return await _asked(tx, workspace, invitation, lock="")


async def load_asked(tx: Tx, workspace: str, invitation: str) -> Asked | None:
    """The same, the invitation locked: of answers that come at once, one after the other counts."""
    return await _asked(tx, workspace, invitation, lock=" FOR UPDATE OF i")


async def _asked(tx: Tx, workspace: str, invitation: str, *, lock: str) -> Asked | None:
    columns = ", ".join(f"i.{name.strip()}" for name in COLUMNS.split(","))
    found = await rows(
        tx,
        f"SELECT {columns}, coalesce(w.kind, 'nps') AS kind,"
        " coalesce(w.state = :closed, false) AS is_closed, w.closes_at AS wave_closes_at,"
        " coalesce(w.anonymous, false) AS anonymous, coalesce(w.question, '{}') AS question,"
        " coalesce(p.locale, s.locale) AS locale"
        " FROM invitation i LEFT JOIN wave w ON w.workspace = i.workspace AND w.wave = i.wave"
        ' LEFT JOIN person p ON p.workspace = i.workspace AND p."user" = i."user"'
        " LEFT JOIN workspace s ON s.id = i.workspace"
        f" WHERE i.workspace = :workspace AND i.invitation = :invitation{lock}",
        {
            "workspace": workspace,
            "invitation": invitation,
            "closed": WaveState.CLOSED.value,
        },
    )
    return _asked_of(found[0]) if found else None


def _asked_of(row: Any) -> Asked:
    return Asked(
        invitation=Invitation(*row[: len(Invitation._fields)]),
        kind=row.kind,
        is_closed=row.is_closed,
        closes_at=min(row.closes_at, row.wave_closes_at or row.closes_at),
        anonymous=row.anonymous,
        question=row.question,
        locale=row.locale,
    )


class HandedOver(NamedTuple):
    """That cadence has put an invitation, or a reminder of it, on its way."""

    invitation: str
    at: datetime
    event: str


async def save_handed_over(
    tx: Tx, workspace: str, told: Sequence[HandedOver]
) -> list[tuple[Invitation, HandedOver]]:
    """Note when invitations were handed over first; those of which that was not known yet."""
    first: dict[str, HandedOver] = {}
    for each in told:
        known = first.setdefault(each.invitation, each)
        first[each.invitation] = min(known, each, key=lambda handed: (handed.at, handed.event))
    if not first:
        return []
    columns = ", ".join(f"i.{name.strip()}" for name in COLUMNS.split(","))
    found = await rows(
        tx,
        "UPDATE invitation i SET invited_at = u.at, failed = NULL, remind_at = CASE"
        "   WHEN w.reminders > 0 THEN u.at + make_interval(days => w.reminder_after_days) END"
        " FROM unnest(CAST(:invitations AS text[]), CAST(:at AS timestamptz[]))"
        "   AS u(invitation, at) LEFT JOIN wave w ON w.workspace = :workspace AND w.wave ="
        "   (SELECT v.wave FROM invitation v WHERE v.workspace = :workspace"
        "     AND v.invitation = u.invitation)"
        " WHERE i.workspace = :workspace AND i.invitation = u.invitation"
        f" AND i.invited_at IS NULL RETURNING {columns}",
        {
            "workspace": workspace,
            "invitations": sorted(first),
            "at": [first[name].at for name in sorted(first)],
        },
    )
    invitations = sorted(Invitation(*row) for row in found)
    return [(each, first[each.invitation]) for each in invitations]


async def save_failed(tx: Tx, workspace: str, failed: Sequence[tuple[str, str]]) -> None:
    """Note why invitations did not go out; one that is in the person's hands stays so."""
    reasons = dict(failed)
    if reasons:
        await tx.execute(
            text(
                "UPDATE invitation i SET failed = u.reason"
                " FROM unnest(CAST(:invitations AS text[]), CAST(:reasons AS text[]))"
                " AS u(invitation, reason) WHERE i.workspace = :workspace"
                " AND i.invitation = u.invitation AND i.invited_at IS NULL"
            ),
            {
                "workspace": workspace,
                "invitations": sorted(reasons),
                "reasons": [reasons[name] for name in sorted(reasons)],
            },
        )


class Reminder(NamedTuple):
    """A reminder to send: the invitation, counted as reminded, and the kind of its wave."""

    invitation: Invitation
    kind: str


async def take_to_remind(tx: Tx, now: datetime, *, limit: int) -> list[Reminder]:
    """Reminders that are due, counted; an invitation that needs none more is let go."""
    columns = ", ".join(f"i.{name.strip()}" for name in COLUMNS.split(","))
    due = await rows(
        tx,
        f"SELECT {columns}, w.kind, w.reminders AS most, w.reminder_after_days AS days,"
        " w.state = 'open' AND least(i.closes_at, w.closes_at) > :now"
        "   AND i.reminders < w.reminders AND NOT EXISTS (SELECT FROM answer a"
        "     WHERE a.workspace = i.workspace AND a.invitation = i.invitation) AS wanted"
        " FROM invitation i JOIN wave w ON w.workspace = i.workspace AND w.wave = i.wave"
        " WHERE i.remind_at <= :now ORDER BY i.remind_at, i.workspace, i.invitation LIMIT :limit"
        " FOR UPDATE OF i SKIP LOCKED",
        {"now": now, "limit": limit},
    )
    reminded = [_reminded(row, now) for row in due]
    await tx.execute(
        text(
            "UPDATE invitation i SET reminders = u.reminders, remind_at = u.remind_at"
            " FROM unnest(CAST(:workspaces AS text[]), CAST(:invitations AS text[]),"
            " CAST(:reminders AS integer[]), CAST(:remind AS timestamptz[]))"
            " AS u(workspace, invitation, reminders, remind_at)"
            " WHERE i.workspace = u.workspace AND i.invitation = u.invitation"
        ),
        {
            "workspaces": [each.workspace for each in reminded],
            "invitations": [each.invitation for each in reminded],
            "reminders": [each.reminders for each in reminded],
            "remind": [each.remind_at for each in reminded],
        },
    )
    return [Reminder(each, row.kind) for row, each in zip(due, reminded, strict=True) if row.wanted]


def _reminded(row: Any, now: datetime) -> Invitation:
    """The invitation after this look: reminded once more, and when again."""
    before = Invitation(*row[: len(Invitation._fields)])
    if not row.wanted:
        return before._replace(remind_at=None)
    count = before.reminders + 1
    again = now + timedelta(days=row.days) if count < row.most else None
    return before._replace(reminders=count, remind_at=again)
