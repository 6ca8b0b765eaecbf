"""Route of invitations: a link for another channel than the wave's mail."""

from datetime import datetime, timedelta
from uuid import uuid4

from fastapi import APIRouter, Request, status
from pydantic import AwareDatetime, BaseModel, Field

from services.nps.store import invitations, waves
from services.nps.store.invitations import Invitation
from services.nps.store.inviting import invitation_id, invited, links_of
from services.nps.store.outgoing import append_caused
from services.nps.store.people import append_accounts
from services.nps.store.waves import Wave, WaveForm, WaveState
from shared.auth import Managing
from shared.db import Tx
from shared.http import Transaction

router = APIRouter(prefix="/invitations")

NAME = r"^[^\x00-\x1f]{1,200}$"


class InvitationQuestion(BaseModel):
    """Whom to ask."""

    user: str = Field(pattern=NAME, description="The person's id.", examples=["u-42"])
    account: str | None = Field(default=None, pattern=NAME, description="The person's account.")
    wave: str | None = Field(
        default=None, pattern=NAME, description="Its id or label; null: of no wave."
    )
    closes_at: AwareDatetime | None = Field(
        default=None, description="Answers from here on do not count; null: the wave's end."
    )


class InvitationBody(BaseModel):
    """A link to hand to that person alone."""

    token: str = Field(description="Stands for the person and the survey; keep it private.")
    url: str = Field(description="The survey page; add ?score= to preselect one.")
    closes_at: datetime = Field(description="Answers from here on do not count.")


@router.post("", status_code=status.HTTP_201_CREATED, summary="A link to ask one person")
async def make_invitation(
    request: Request, caller: Managing, tx: Transaction, asked: InvitationQuestion
) -> InvitationBody:
    """A link. Whoever is invited to the wave already, from whatever account, gets the same one."""
    now: datetime = request.app.state.clock()
    settings = request.app.state.settings
    wave = await _wave(tx, caller.workspace, asked.wave, now)
    closes_at = asked.closes_at or (wave and wave.closes_at)
    closes_at = closes_at or now + timedelta(days=settings.link_days)
    invitation = await _kept(tx, _invitation(caller.workspace, asked, closes_at, now))
    if asked.account is not None:
        await append_accounts(tx, caller.workspace, [asked.account])
    links = await links_of(
        tx,
        caller.workspace,
        public_url=settings.public_url,
        kept_days=settings.link_days,
    )
    token = links.token(invitation)
    return InvitationBody(token=token, url=links.url(token), closes_at=invitation.closes_at)


async def _wave(tx: Tx, workspace: str, name: str | None, now: datetime) -> Wave | None:
    """The wave of that name, made where it is only a label so far."""
    if name is None:
        return None
    labelled = Wave(
        workspace=workspace,
        wave=name,
        form=WaveForm.IMPORTED,
        state=WaveState.OPEN,
        ordered_at=now,
    )
    await waves.append_wave(tx, labelled)
    return await waves.get_wave(tx, workspace, name)


def _invitation(
    workspace: str, asked: InvitationQuestion, closes_at: datetime, now: datetime
) -> Invitation:
    wave = asked.wave or ""
    return Invitation(
        workspace=workspace,
        invitation=invitation_id(workspace, wave, asked.user) if wave else str(uuid4()),
        wave=wave,
        user=asked.user,
        account=asked.account,
        requested_at=now,
        closes_at=closes_at,
        invited_at=now,  # whoever asked for the link has it in hands
    )


async def _kept(tx: Tx, wanted: Invitation) -> Invitation:
    if await invitations.append_invitations(tx, [wanted]):
        await append_caused(tx, [invited(wanted, wanted.invitation)])
        return wanted
    known = await invitations.get_of_user(tx, wanted.workspace, wanted.wave, wanted.user)
    assert known is not None, "an invitation is refused only where there is one"
    return known
