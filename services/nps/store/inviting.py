"""How a person comes to be asked: an invitation, its link, and the request to send it."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid5

from services.nps.model.tokens import Link, link_token
from services.nps.store.invitations import Invitation, append_invitations
from services.nps.store.link_keys import get_or_keep_secret
from services.nps.store.waves import Decided, Wave
from shared.db import Tx
from shared.events.base import ID_NAMESPACE, Caused, partition_key
from shared.events.nps import InvitationRequested, Invited

SECRET_BYTES = 32


class Links:
    """Makes the links of one workspace. `kept_days`: how long after the end one is still known."""

    def __init__(self, workspace: str, secret: str, *, public_url: str, kept_days: int) -> None:
        self._workspace = workspace
        self._secret = secret
        self._public_url = public_url.rstrip("/")
        self._kept = timedelta(days=kept_days)

    def token(self, invitation: Invitation) -> str:
        """The token of an invitation's link."""
        link = Link(self._workspace, invitation.invitation, invitation.closes_at + self._kept)
        return link_token(link, secret=self._secret)

    def url(self, token: str) -> str:
        """Where a person opens it."""
        return f"{self._public_url}/s/{token}"


async def links_of(tx: Tx, workspace: str, *, public_url: str, kept_days: int) -> Links:
    """The links of a workspace, signed with its own secret."""
    drawn = secrets.token_urlsafe(SECRET_BYTES)
    secret = await get_or_keep_secret(tx, workspace, drawn=drawn)
    return Links(workspace, secret, public_url=public_url, kept_days=kept_days)


def invitation_id(workspace: str, wave: str, user: str) -> str:
    """The invitation of a person in a wave: the same however often it is made."""
    return str(uuid5(ID_NAMESPACE, f"invitation {workspace} {wave} {user}"))


async def invite(
    tx: Tx, wave: Wave, people: Sequence[Decided], links: Links, *, now: datetime
) -> list[Caused]:
    """Invite people of a wave; what asks cadence to write to those who were not invited yet."""
    assert wave.closes_at is not None
    wanted = [
        Invitation(
            workspace=wave.workspace,
            invitation=invitation_id(wave.workspace, wave.wave, person.user),
            wave=wave.wave,
            user=person.user,
            account=person.account,
            requested_at=now,
            closes_at=wave.closes_at,
        )
        for person in people
    ]
    return [
        requested(each, wave.kind, links, kind="invitation", now=now)
        for each in await append_invitations(tx, wanted)
    ]


def requested(
    invitation: Invitation, survey: str, links: Links, *, kind: str, now: datetime
) -> Caused:
    """That cadence is to send an invitation or a reminder; each is asked for once."""
    return Caused(
        event=InvitationRequested(
            invitation=invitation.invitation,
            user=invitation.user,
            wave=invitation.wave,
            kind=kind,
            url=links.url(links.token(invitation)),
            template=f"{survey}_{kind}",
            closes_at=invitation.closes_at,
        ),
        workspace=invitation.workspace,
        subject=invitation.account,
        record_key=partition_key(invitation.workspace, invitation.account, invitation.user),
        cause_id=invitation.invitation,
        key=f"{kind} {invitation.reminders}",
        time=now,
    )


def invited(invitation: Invitation, cause_id: str) -> Caused:
    """That a person has an invitation in hands."""
    assert invitation.invited_at is not None
    return Caused(
        event=Invited(
            invitation=invitation.invitation,
            user=invitation.user,
            wave=invitation.wave,
            at=invitation.invited_at,
        ),
        workspace=invitation.workspace,
        subject=invitation.account,
        record_key=partition_key(invitation.workspace, invitation.account, invitation.user),
        cause_id=cause_id,
        key=invitation.invitation,
        time=invitation.invited_at,
    )
