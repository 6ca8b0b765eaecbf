"""What providers report of letters: bounces, complaints, deliveries."""

from datetime import timedelta
from typing import Literal

import msgspec
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from services.cadence.channels.returns import take_report
from services.cadence.model.bounces import Report, ReportKind, read_report
from services.cadence.store import messages
from shared.auth import Managing
from shared.http import Transaction

router = APIRouter()

Kind = Literal["hard_bounce", "soft_bounce", "delayed", "delivered", "complaint"]


class ProviderReport(BaseModel):
    """A report as a provider's webhook says it."""

    kind: Kind = Field(description="What happened.", examples=["hard_bounce"])
    message_id: str = Field(
        max_length=320, description="The letter's Message-ID.", examples=["<occ.x@acme.test>"]
    )
    status: str | None = Field(
        default=None, max_length=20, description="RFC 3463.", examples=["5.1.1"]
    )
    event: str = Field(
        max_length=200, description="The provider's own id: a repeat changes nothing."
    )


class ReportTaken(BaseModel):
    """What became of a report."""

    kind: str = Field(description="As it was understood.")
    matched: bool = Field(description="Whether it names a letter of this workspace.")


@router.post("/bounces", summary="Take a provider's report")
async def take_provider_report(
    request: Request, caller: Managing, tx: Transaction, said: ProviderReport
) -> ReportTaken:
    """Note it, and stop writing to an address where that is of no use."""
    report = Report(ReportKind(said.kind), said.message_id, said.status)
    raw = msgspec.json.encode([caller.workspace, said.event, said.message_id, said.kind])
    return await _taken(request, caller.workspace, tx, raw, report, "provider")


@router.post("/bounces/raw", summary="Take a report as mail")
async def take_mailed_report(request: Request, caller: Managing, tx: Transaction) -> ReportTaken:
    """The whole message that came back as the body: RFC 3464, RFC 5965, or a machine's reply.
    Garbled ones are noted too.
    """
    raw = await request.body()
    return await _taken(request, caller.workspace, tx, raw, read_report(raw), "mail")


async def _taken(
    request: Request, workspace: str, tx: Transaction, raw: bytes, report: Report, via: str
) -> ReportTaken:
    matched = await take_report(
        tx,
        raw,
        report,
        workspace=workspace,
        via=via,
        soft_pause=timedelta(days=request.app.state.settings.soft_bounce_days),
        now=await messages.get_now(tx),
    )
    return ReportTaken(kind=report.kind.value, matched=matched)
