"""What people may be written to about: the newest word on each topic."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from shared.db import Tx, rows


async def withdraw(tx: Tx, workspace: str, user: str, topic: str, *, now: datetime) -> bool:
    """Note that a person wants no more of a topic, or of `all`; whether that is news."""
    changed = await rows(
        tx,
        "INSERT INTO consent AS c (workspace, user_id, topic, granted, at)"
        " VALUES (:workspace, :user, :topic, false, :now)"
        " ON CONFLICT (workspace, user_id, topic) DO UPDATE SET granted = false,"
        " at = greatest(c.at, excluded.at) WHERE c.granted RETURNING 1",
        {"workspace": workspace, "user": user, "topic": topic, "now": now},
    )
    return bool(changed)


class ConsentKey(NamedTuple):
    """A person and a topic of messages, or `all`."""

    workspace: str
    user: str
    topic: str


class Word(NamedTuple):
    """Whether the person may be written to, and since when that is said."""

    at: datetime
    granted: bool


async def save_words(tx: Tx, words: Mapping[ConsentKey, Word]) -> set[ConsentKey]:
    """Keep what was said of consents where nothing later was; those whose meaning that changes.

    What nobody spoke of may be written about.
    """
    if not words:
        return set()
    ordered = sorted(words.items())
    found = await rows(
        tx,
        "WITH u AS (SELECT * FROM unnest(CAST(:workspaces AS text[]), CAST(:users AS text[]),"
        " CAST(:topics AS text[]), CAST(:granted AS boolean[]), CAST(:at AS timestamptz[]))"
        " AS u(workspace, user_id, topic, granted, at)),"
        " before AS (SELECT c.workspace, c.user_id, c.topic, c.granted FROM consent c JOIN u"
        " ON c.workspace = u.workspace AND c.user_id = u.user_id AND c.topic = u.topic),"
        " saved AS (INSERT INTO consent AS c (workspace, user_id, topic, granted, at)"
        " SELECT workspace, user_id, topic, granted, at FROM u"
        " ON CONFLICT (workspace, user_id, topic) DO UPDATE SET granted = excluded.granted,"
        " at = excluded.at WHERE (excluded.at, c.granted) > (c.at, excluded.granted)"
        " RETURNING c.workspace, c.user_id, c.topic, c.granted)"
        " SELECT s.workspace, s.user_id, s.topic FROM saved s LEFT JOIN before b"
        " ON b.workspace = s.workspace AND b.user_id = s.user_id AND b.topic = s.topic"
        " WHERE s.granted <> coalesce(b.granted, true)",
        {
            "workspaces": [key.workspace for key, _ in ordered],
            "users": [key.user for key, _ in ordered],
            "topics": [key.topic for key, _ in ordered],
            "granted": [word.granted for _, word in ordered],
            "at": [word.at for _, word in ordered],
        },
    )
    return {ConsentKey(row.workspace, row.user_id, row.topic) for row in found}
