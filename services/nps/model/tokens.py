"""Links to surveys: signed, bound to a workspace and one invitation, and good for a time."""

from datetime import UTC, datetime
from typing import NamedTuple

from itsdangerous import BadData, URLSafeSerializer

PURPOSE = "survey"  # a link for something else is none for a survey
MOST_CHARACTERS = 1000


class Link(NamedTuple):
    """What a link stands for."""

    workspace: str
    invitation: str
    expires_at: datetime


def link_token(link: Link, *, secret: str) -> str:
    """The token of a link; whole seconds."""
    told = [link.workspace, link.invitation, int(link.expires_at.timestamp())]
    return str(_serializer(secret).dumps(told))


def claimed_workspace(token: str) -> str | None:
    """The workspace that a token says it is of, which is not believed yet."""
    if len(token) > MOST_CHARACTERS:
        return None
    ok, told = _serializer("").loads_unsafe(token)
    del ok
    return told[0] if isinstance(told, list) and told and isinstance(told[0], str) else None


def link_of(token: str, *, secret: str, now: datetime) -> Link | None:
    """What a token stands for; None where it is forged, of another purpose, or has expired."""
    try:
        workspace, invitation, seconds = _serializer(secret).loads(token)
    except (BadData, ValueError, TypeError):
        return None
    expires_at = datetime.fromtimestamp(seconds, UTC)
    return Link(workspace, invitation, expires_at) if now < expires_at else None


def _serializer(secret: str) -> URLSafeSerializer:
    return URLSafeSerializer(secret, salt=PURPOSE)
