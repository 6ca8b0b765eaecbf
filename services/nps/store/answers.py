"""Answers: one an invitation, and how many there are of each score, kept as they come."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import text

from shared.db import Tx, rows

LIVE_CALL = "live_call"  # answers that people gave to a person's face (N13)
MOST_LATE = 10  # tries after the close that are kept of one invitation


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a person has answered to an invitation, as it stands."""

    invitation: str
    wave: str
    kind: str
    user: str
    account: str | None
    score: int
    answer_class: str | None
    """Of nps alone."""
    mode: str
    comment: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    """Answers to the follow-up questions, by their names."""
    features: tuple[str, ...] = ()
    """Features that the person did not know of."""
    first_at: datetime
    at: datetime
    version: int = 1


COLUMNS = (
    'invitation, wave, kind, "user", account, score, class, mode, comment, details, features,'
    " first_at, at, version"
)
_encode = msgspec.json.Encoder(order="deterministic").encode


def answer_of(row: Any) -> Answer:
    """The answer of a row with all columns."""
    return Answer(
        invitation=row.invitation,
        wave=row.wave,
        kind=row.kind,
        user=row.user,
        account=row.account,
        score=row.score,
        answer_class=row._mapping["class"],  # noqa: SLF001 - `class` is a word of Python
        mode=row.mode,
        comment=row.comment,
        details=row.details,
        features=tuple(row.features),
        first_at=row.first_at,
        at=row.at,
        version=row.version,
    )


async def get_answer(tx: Tx, workspace: str, invitation: str) -> Answer | None:
    """The answer to an invitation; None while there is none."""
    found = await load_answers(tx, workspace, [invitation])
    return found.get(invitation)


async def load_answers(tx: Tx, workspace: str, invitations: Sequence[str]) -> dict[str, Answer]:
    """The answers that there are to these invitations, locked in their order."""
    found = await rows(
        tx,
        f"SELECT {COLUMNS} FROM answer WHERE workspace = :workspace"
        " AND invitation = ANY(CAST(:invitations AS text[])) ORDER BY invitation FOR UPDATE",
        {"workspace": workspace, "invitations": list(invitations)},
    )
    return {row.invitation: answer_of(row) for row in found}


async def save_answers(
    tx: Tx, workspace: str, answers: Sequence[Answer], *, before: Mapping[str, Answer]
) -> None:
    """Keep answers in place of those that were there `before`, and the counts with them."""
    if not answers:
        return
    listed = sorted(answers, key=lambda answer: answer.invitation)
    await tx.execute(
        text(
            'INSERT INTO answer (workspace, invitation, wave, kind, "user", account, score,'
            " class, mode, comment, details, features, first_at, at, version)"
            " SELECT :workspace, u.invitation, u.wave, u.kind, u.name, u.account, u.score,"
            " u.class, u.mode, u.comment, CAST(u.details AS jsonb),"
            " ARRAY(SELECT json_array_elements_text(CAST(u.features AS json))), u.first_at, u.at,"
            " u.version FROM unnest(CAST(:invitations AS text[]), CAST(:waves AS text[]),"
            " CAST(:kinds AS text[]), CAST(:users AS text[]), CAST(:accounts AS text[]),"
            " CAST(:scores AS smallint[]), CAST(:classes AS text[]), CAST(:modes AS text[]),"
            " CAST(:comments AS text[]), CAST(:details AS text[]), CAST(:features AS text[]),"
            " CAST(:first_at AS timestamptz[]), CAST(:at AS timestamptz[]),"
            " CAST(:versions AS integer[])) AS u(invitation, wave, kind, name, account, score,"
            " class, mode, comment, details, features, first_at, at, version)"
            " ON CONFLICT (workspace, invitation) DO UPDATE SET score = excluded.score,"
            " class = excluded.class, mode = excluded.mode, comment = excluded.comment,"
            " details = excluded.details, features = excluded.features,"
            " first_at = excluded.first_at, at = excluded.at, version = excluded.version"
        ),
        {
            "workspace": workspace,
            "invitations": [each.invitation for each in listed],
            "waves": [each.wave for each in listed],
            "kinds": [each.kind for each in listed],
            "users": [each.user for each in listed],
            "accounts": [each.account for each in listed],
            "scores": [each.score for each in listed],
            "classes": [each.answer_class for each in listed],
            "modes": [each.mode for each in listed],
            "comments": [each.comment for each in listed],
            "details": [_encode(each.details).decode() for each in listed],
            "features": [_encode(each.features).decode() for each in listed],
            "first_at": [each.first_at for each in listed],
            "at": [each.at for each in listed],
            "versions": [each.version for each in listed],
        },
    )
    await _move_counts(tx, workspace, listed, before)


class _Scored(NamedTuple):
    wave: str
    kind: str
    mode: str
    score: int


async def _move_counts(
    tx: Tx, workspace: str, answers: Iterable[Answer], before: Mapping[str, Answer]
) -> None:
    by_score: Counter[_Scored] = Counter()
    by_account: Counter[tuple[str, str, str]] = Counter()
    for answer in answers:
        former = before.get(answer.invitation)
        for each, times in ((former, -1), (answer, 1)):
            if each is None:
                continue
            by_score[_Scored(each.wave, each.kind, each.mode, each.score)] += times
            if each.account is not None and each.answer_class and each.mode != LIVE_CALL:
                by_account[each.wave, each.account, each.answer_class] += times
    await _add_scores(tx, workspace, {cell: n for cell, n in by_score.items() if n})
    await _add_accounts(tx, workspace, {cell: n for cell, n in by_account.items() if n})


async def _add_scores(tx: Tx, workspace: str, added: Mapping[_Scored, int]) -> None:
    if not added:
        return
    cells = sorted(added)  # in one order, so that two answers at once never deadlock
    await tx.execute(
        text(
            "INSERT INTO score_count AS c (workspace, wave, kind, mode, score, answers)"
            " SELECT :workspace, u.* FROM unnest(CAST(:waves AS text[]), CAST(:kinds AS text[]),"
            " CAST(:modes AS text[]), CAST(:scores AS smallint[]), CAST(:added AS bigint[])) AS u"
            " ON CONFLICT (workspace, wave, kind, mode, score)"
            " DO UPDATE SET answers = c.answers + excluded.answers"
        ),
        {
            "workspace": workspace,
            "waves": [cell.wave for cell in cells],
            "kinds": [cell.kind for cell in cells],
            "modes": [cell.mode for cell in cells],
            "scores": [cell.score for cell in cells],
            "added": [added[cell] for cell in cells],
        },
    )


async def _add_accounts(tx: Tx, workspace: str, added: Mapping[tuple[str, str, str], int]) -> None:
    cells = sorted({(wave, account) for wave, account, _ in added})
    if not cells:
        return
    await tx.execute(
        text(
            "INSERT INTO account_count AS c (workspace, wave, account, promoter, passive,"
            " detractor) SELECT :workspace, u.* FROM unnest(CAST(:waves AS text[]),"
            " CAST(:accounts AS text[]), CAST(:promoter AS bigint[]), CAST(:passive AS bigint[]),"
            " CAST(:detractor AS bigint[])) AS u"
            " ON CONFLICT (workspace, wave, account) DO UPDATE SET"
            " promoter = c.promoter + excluded.promoter, passive = c.passive + excluded.passive,"
            " detractor = c.detractor + excluded.detractor"
        ),
        {
            "workspace": workspace,
            "waves": [wave for wave, _ in cells],
            "accounts": [account for _, account in cells],
            **{
                name: [added.get((wave, account, name), 0) for wave, account in cells]
                for name in ("promoter", "passive", "detractor")
            },
        },
    )


async def append_late(
    tx: Tx,
    workspace: str,
    invitation: str,
    *,
    score: int,
    comment: str | None,
    mode: str,
    at: datetime,
) -> None:
    """Keep a try after the close; beyond ten of one invitation none is kept."""
    await tx.execute(
        text(
            "INSERT INTO late_answer (workspace, invitation, number, score, comment, mode, at)"
            " SELECT :workspace, :invitation, count(*) + 1, :score, :comment, :mode, :at"
            " FROM late_answer WHERE workspace = :workspace AND invitation = :invitation"
            " HAVING count(*) < :most"
        ),
        {
            "workspace": workspace,
            "invitation": invitation,
            "score": score,
            "comment": comment,
            "mode": mode,
            "at": at,
            "most": MOST_LATE,
        },
    )


async def get_class_before(tx: Tx, workspace: str, user: str, wave: str) -> str | None:
    """The class of a person's last answer in the waves before `wave`; None without one."""
    found = await rows(
        tx,
        "SELECT a.class FROM answer a JOIN wave w ON w.workspace = a.workspace AND w.wave = a.wave"
        " JOIN wave this ON this.workspace = a.workspace AND this.wave = :wave"
        ' WHERE a.workspace = :workspace AND a."user" = :user AND a.class IS NOT NULL'
        " AND (w.ordered_at, w.wave) < (this.ordered_at, this.wave) AND NOT w.anonymous"
        " ORDER BY w.ordered_at DESC, w.wave DESC, a.at DESC LIMIT 1",
        {"workspace": workspace, "user": user, "wave": wave},
    )
    return found[0][0] if found else None
