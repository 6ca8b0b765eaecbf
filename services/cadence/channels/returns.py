"""People who leave a list, and addresses that are not written to any more."""

from datetime import datetime, timedelta

from services.cadence.model.announcing import said_of, told_of_person
from services.cadence.model.bounces import Report, ReportKind
from services.cadence.model.message import Message
from services.cadence.model.suppression import Suppression, SuppressionReason, of_report
from services.cadence.model.tokens import Unsubscription
from services.cadence.store import consents, letters, messages, suppressions
from shared.bus.record import outgoing
from shared.bus.tables import append_outbox
from shared.db import Tx
from shared.events.cadence import ConsentChanged, DeliveryRejected

VIA = {
    SuppressionReason.UNSUBSCRIBE: "unsubscribe",
    SuppressionReason.COMPLAINT: "complaint",
    SuppressionReason.HARD_BOUNCE: "bounce",
}


async def leave_list(tx: Tx, said: Unsubscription, *, now: datetime) -> bool:
    """Take a person off a topic, and the address that was written to; whether it was news."""
    suppression = Suppression(scope=said.topic, reason=SuppressionReason.UNSUBSCRIBE, at=now)
    address = await suppressions.note_unsubscribed(tx, (said.workspace, said.identity), now=now)
    if address is not None:
        await suppressions.add_suppression(tx, (said.workspace, address), suppression)
    changed = await consents.withdraw(tx, said.workspace, said.user, said.topic, now=now)
    if changed:
        found = await messages.list_messages(tx, [(said.workspace, said.identity)])
        message = found.get((said.workspace, said.identity))
        account = message.account if message is not None else None
        await _tell(tx, said, account, suppression, now)
    return changed


async def take_report(
    tx: Tx,
    raw: bytes,
    report: Report,
    *,
    workspace: str,
    via: str,
    soft_pause: timedelta,
    now: datetime,
) -> bool:
    """Note what came back to `workspace`, and stop writing where that is of no use; whether it
    named a letter of that workspace.

    A report that names another workspace's letter is noted and does nothing: anybody can write one.
    """
    of = await letters.find_letter(tx, report.message_id) if report.message_id else None
    is_ours = of is not None and of[0] == workspace
    is_first = await suppressions.append_report(
        tx, raw, report, via=via, of=of if is_ours else None, now=now
    )
    if of is None or not is_ours or not is_first:
        return is_ours
    address = await suppressions.note_on_message(tx, of, report, now=now)
    message = (await messages.list_messages(tx, [of]))[of]
    if report.kind in (ReportKind.HARD_BOUNCE, ReportKind.SOFT_BOUNCE):
        await _tell_of_bounce(tx, message, report, now)
    suppression = of_report(report.kind, at=now, soft_pause=soft_pause)
    if suppression is None or address is None:
        return True
    await suppressions.add_suppression(tx, (workspace, address), suppression)
    if report.kind in (ReportKind.HARD_BOUNCE, ReportKind.COMPLAINT):
        await _withdraw(tx, message, suppression, now)
    return True


async def _tell_of_bounce(tx: Tx, message: Message, report: Report, now: datetime) -> None:
    """Tell that what a provider had taken did not arrive after all."""
    event = DeliveryRejected(
        **said_of(message),
        at=now,
        due_at=message.due_at,
        reason=f"bounced: {report.status or report.kind.value}",
        invitation=message.facts.get("invitation"),
    )
    caused = told_of_person(
        event,
        workspace=message.workspace,
        account=message.account,
        user=message.user,
        cause_id=f"{message.workspace} {message.identity}",
        key="bounce",
        at=now,
    )
    await append_outbox(tx, [outgoing(caused, source="/cadence")])


async def _withdraw(tx: Tx, message: Message, suppression: Suppression, now: datetime) -> None:
    said = Unsubscription(message.workspace, message.identity, message.user, suppression.scope)
    if suppression.reason is SuppressionReason.COMPLAINT:
        await consents.withdraw(tx, message.workspace, message.user, suppression.scope, now=now)
    await _tell(tx, said, message.account, suppression, now)


async def _tell(
    tx: Tx, said: Unsubscription, account: str | None, suppression: Suppression, now: datetime
) -> None:
    event = ConsentChanged(
        user=said.user,
        about=suppression.scope,
        granted=False,
        via=VIA[suppression.reason],
        at=now,
    )
    caused = told_of_person(
        event,
        workspace=said.workspace,
        account=account,
        user=said.user,
        cause_id=f"{said.workspace} {said.identity}",
        key=f"{suppression.reason} {suppression.scope}",
        at=now,
    )
    await append_outbox(tx, [outgoing(caused, source="/cadence")])
