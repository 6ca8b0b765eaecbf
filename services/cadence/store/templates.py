"""A workspace's own templates, else the ones that are shipped."""

from collections.abc import Mapping, Sequence

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
