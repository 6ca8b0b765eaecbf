"""A workspace's own templates, else the ones that are shipped."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text

from services.cadence.model.templates import Source
from services.cadence.templates import SHIPPED
from shared.db import Tx, rows

FALLBACK = "en"
Wanted = tuple[str, str, str]
"""Workspace, template, locale."""


async def list_sources(tx: Tx, wanted: Sequence[Wanted]) -> Mapping[Wanted, Source]:
    """The template of each, in the language asked for, else in English. Unknown ones are absent.

    The newest version of the workspace's own counts before the one that is shipped.
    """
    named = sorted({(workspace, template) for workspace, template, _ in wanted})
    found = await rows(
        tx,
        "SELECT DISTINCT ON (t.workspace, t.template, t.locale) t.workspace, t.template, t.locale,"
        " t.version, t.subject, t.body FROM template t"
        " JOIN unnest(CAST(:workspaces AS text[]), CAST(:templates AS text[]))"
        " AS u(workspace, template) ON t.workspace = u.workspace AND t.template = u.template"
        " ORDER BY t.workspace, t.template, t.locale, t.version DESC",
        {
            "workspaces": [workspace for workspace, _ in named],
            "templates": [template for _, template in named],
        },
    )
    own = {
        (row.workspace, row.template, row.locale): Source(
            template=row.template,
            locale=row.locale,
            subject=row.subject,
            body=row.body,
            version=row.version,
        )
        for row in found
    }
    return {key: source for key in set(wanted) if (source := _chosen(key, own)) is not None}


def _chosen(key: Wanted, own: Mapping[Wanted, Source]) -> Source | None:
    workspace, template, locale = key
    for language in (locale.lower(), locale.lower().partition("-")[0], FALLBACK):
        source = own.get((workspace, template, language)) or SHIPPED.get((template, language))
        if source is not None:
            return source
    return None


class Written(NamedTuple):
    """A template in one language, as it counts. `own`: the workspace's, and not as shipped."""

    template: str
    locale: str
    version: int
    own: bool


async def list_written(tx: Tx, workspace: str) -> list[Written]:
    """Every template that a workspace has, its own before those that are shipped."""
    found = await rows(
        tx,
        "SELECT template, locale, max(version) AS version FROM template"
        " WHERE workspace = :workspace GROUP BY template, locale",
        {"workspace": workspace},
    )
    shipped = {key: Written(*key, 1, own=False) for key in SHIPPED}
    own = {
        (row.template, row.locale): Written(row.template, row.locale, row.version, own=True)
        for row in found
    }
    return sorted({**shipped, **own}.values())


async def append_template(tx: Tx, workspace: str, source: Source, *, at: datetime) -> Source:
    """Keep a new version of a template; the ones before stay. The template with its version."""
    await tx.execute(
        text("SELECT pg_advisory_xact_lock(hashtext('template ' || :workspace))"),
        {"workspace": workspace},
    )
    (kept,) = await rows(
        tx,
        "INSERT INTO template (workspace, template, locale, version, subject, body, at)"
        " SELECT :workspace, :template, :locale, coalesce(max(version), 1) + 1, :subject, :body,"
        " CAST(:at AS timestamptz) FROM template WHERE workspace = :workspace"
        " AND template = :template AND locale = :locale RETURNING version",
        {
            "workspace": workspace,
            "template": source.template,
            "locale": source.locale,
            "subject": source.subject,
            "body": source.body,
            "at": at,
        },
    )
    return Source(
        template=source.template,
        locale=source.locale,
        subject=source.subject,
        body=source.body,
        version=kept.version,
    )
