"""The in-app channel: what lies in a person's inbox. A message lies there once."""

from sqlalchemy import text

from services.cadence.model.message import Message
from shared.db import Tx


async def append_item(
    tx: Tx, message: Message, *, title: str, body_html: str, body_text: str
) -> None:
    """Lay a message in its person's inbox; one that lies there already stays as it is."""
    await tx.execute(
        text(
            "INSERT INTO inbox_item (workspace, identity, user_id, at, title, body_html, body_text)"
            " VALUES (:workspace, :identity, :user, now(), :title, :html, :text)"
            " ON CONFLICT DO NOTHING"
        ),
        {
            "workspace": message.workspace,
            "identity": message.identity,
            "user": message.user,
            "title": title,
            "html": body_html,
            "text": body_text,
        },
    )
