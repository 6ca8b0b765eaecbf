"""What is read of answers: kept counts for summaries, classes in order for transitions, lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from services.nps.store.answers import LIVE_CALL
from shared.db import Tx, rows

MOST_ACCOUNTS = 100_000  # of a roll-up, which is not paged


async def get_scores(
    tx: Tx, workspace: str, *, kind: str, wave: str | None, modes: Sequence[str] | None = None
) -> dict[int, int]:
    """How many counted answers have each score: of a wave, or of all (None).

    Without `modes`, live calls are left out: people spare whoever asks them (N13).
    """
    found = await rows(
        tx,
        "SELECT score, sum(answers)::bigint AS answers FROM score_count"
        " WHERE workspace = :workspace AND kind = :kind"
        " AND (CAST(:wave AS text) IS NULL OR wave = :wave)"
        " AND CASE WHEN CAST(:modes AS text[]) IS NULL THEN mode <> :live"
        "   ELSE mode = ANY(CAST(:modes AS text[])) END"
        " GROUP BY score HAVING sum(answers) > 0 ORDER BY score",
        {
            "workspace": workspace,
            "kind": kind,
            "wave": wave,
            "modes": None if modes is None else list(modes),
            "live": LIVE_CALL,
        },
    )
    return {row.score: row.answers for row in found}


class Reach(NamedTuple):
    """How far a wave came: people asked, in whose hands it is, and how many have answered."""

    asked: int
    invited: int
    answered: int


async def get_reach(tx: Tx, workspace: str, wave: str) -> Reach:
    """Of the invitations of a wave, whatever the channel; live calls are answers too."""
    (row,) = await rows(
        tx,
        "SELECT count(*) AS asked, count(i.invited_at) AS invited, count(a.invitation) AS answered"
        " FROM invitation i LEFT JOIN answer a USING (workspace, invitation)"
        " WHERE i.workspace = :workspace AND i.wave = :wave",
        {"workspace": workspace, "wave": wave},
    )
    return Reach(row.asked, row.invited, row.answered)


class Step(NamedTuple):
    """How many people went from a class to another between two waves that they answered.

    `to_class` None: they did not answer again. `adjacent`: no answered wave lies between.
    """

    from_class: str
    to_class: str | None
    adjacent: bool
    people: int


async def list_steps(tx: Tx, workspace: str) -> list[Step]:
    """The steps of everybody who answered, but for answers of the last wave, which has no next.

    Of several answers of a person in a wave the last counts; anonymous waves are left out, as are
    live calls and answers without a wave.
    """
    found = await rows(
        tx,
        "WITH counted AS (SELECT DISTINCT s.wave FROM score_count s"
        "   WHERE s.workspace = :workspace AND s.kind = 'nps' AND s.mode <> :live"
        "   AND s.answers > 0),"
        " waves AS (SELECT w.wave, row_number() OVER (ORDER BY w.ordered_at, w.wave) AS n"
        "   FROM wave w JOIN counted USING (wave)"
        "   WHERE w.workspace = :workspace AND NOT w.anonymous),"
        ' said AS (SELECT DISTINCT ON (a."user", w.n) a."user", w.n, a.class'
        "   FROM answer a JOIN waves w USING (wave)"
        "   WHERE a.workspace = :workspace AND a.class IS NOT NULL AND a.mode <> :live"
        '   ORDER BY a."user", w.n, a.at DESC, a.invitation DESC),'
        " steps AS (SELECT class AS from_class, n, lead(class) OVER later AS to_class,"
        "   coalesce(lead(n) OVER later = n + 1, false) AS adjacent"
        '   FROM said WINDOW later AS (PARTITION BY "user" ORDER BY n))'
        " SELECT from_class, to_class, adjacent, count(*) AS people FROM steps"
        " WHERE n < (SELECT max(n) FROM waves) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        {"workspace": workspace, "live": LIVE_CALL},
    )
    return [Step(*row) for row in found]


class AccountAnswers(NamedTuple):
    """An account with its answers by class, and what it is worth; mrr None: never told."""

    account: str
    promoter: int
    passive: int
    detractor: int
    mrr: Decimal | None


async def list_account_answers(tx: Tx, workspace: str, *, wave: str | None) -> list[AccountAnswers]:
    """Every account known here, silent ones too, by id; walk-through ones are left out.

    Over all waves (None) without the anonymous ones: a difference would show their small cells.
    """
    found = await rows(
        tx,
        "WITH counted AS (SELECT c.account, sum(c.promoter)::bigint AS promoter,"
        "   sum(c.passive)::bigint AS passive, sum(c.detractor)::bigint AS detractor"
        "   FROM account_count c LEFT JOIN wave w USING (workspace, wave)"
        "   WHERE c.workspace = :workspace AND CASE WHEN CAST(:wave AS text) IS NULL"
        "     THEN NOT coalesce(w.anonymous, false) ELSE c.wave = :wave END GROUP BY c.account)"
        " SELECT a.account, coalesce(c.promoter, 0) AS promoter, coalesce(c.passive, 0) AS passive,"
        " coalesce(c.detractor, 0) AS detractor, a.mrr FROM account a LEFT JOIN counted c"
        " USING (account) WHERE a.workspace = :workspace AND NOT coalesce(a.synthetic, false)"
        " ORDER BY a.account LIMIT :limit",
        {"workspace": workspace, "wave": wave, "limit": MOST_ACCOUNTS},
    )
    return [AccountAnswers(*row) for row in found]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which answers to list; None: whatever."""

    user: str | None = None
    account: str | None = None
    wave: str | None = None
    kind: str | None = None
    theme: str | None = None


class Place(NamedTuple):
    """Where an answer stands in lists: when it was first given, then its invitation."""

    first_at: datetime
    invitation: str


class Response(NamedTuple):
    """An answer as it is shown; `user` and `account` None where the wave is anonymous."""

    invitation: str
    user: str | None
    account: str | None
    wave: str
    kind: str
    score: int
    answer_class: str | None
    comment: str | None
    mode: str
    details: dict[str, str]
    features: list[str]
    first_at: datetime
    at: datetime


async def list_responses(
    tx: Tx, workspace: str, wanted: Wanted, *, after: Place | None, limit: int
) -> list[Response]:
    """The answers that count, by when they were first given.

    Whoever asks for a person or an account sees none of an anonymous wave.
    """
    conditions = {
        'a."user" = :user AND NOT coalesce(w.anonymous, false)': ("user", wanted.user),
        "a.account = :account AND NOT coalesce(w.anonymous, false)": ("account", wanted.account),
        "a.wave = :wave": ("wave", wanted.wave),
        "a.kind = :kind": ("kind", wanted.kind),
        "EXISTS (SELECT FROM answer_theme t WHERE t.workspace = a.workspace"
        " AND t.invitation = a.invitation AND t.theme = :theme AND NOT t.refused)": (
            "theme",
            wanted.theme,
        ),
    }
    asked = {condition: pair for condition, pair in conditions.items() if pair[1] is not None}
    arguments = dict(asked.values()) | {"workspace": workspace, "limit": limit}
    if after is not None:
        asked["(a.first_at, a.invitation) > (:after_at, :after_invitation)"] = ("", None)
        arguments |= {"after_at": after.first_at, "after_invitation": after.invitation}
    found = await rows(
        tx,
        'SELECT a.invitation, CASE WHEN coalesce(w.anonymous, false) THEN NULL ELSE a."user" END,'
        " CASE WHEN coalesce(w.anonymous, false) THEN NULL ELSE a.account END, a.wave, a.kind,"
        " a.score, a.class, a.comment, a.mode, a.details, a.features, a.first_at, a.at"
        " FROM answer a LEFT JOIN wave w USING (workspace, wave)"
        f" WHERE {' AND '.join(['a.workspace = :workspace', *asked])}"
        " ORDER BY a.first_at, a.invitation LIMIT :limit",
        arguments,
    )
    return [Response(*row) for row in found]
