"""What is agreed with accounts: contracts, concessions, first payments, and the seats in use."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from services.metrics.model.concessions import Concession, ConcessionKind, waived_fee
from services.metrics.store import contracts, offers
from services.metrics.store.contracts import ContractTold, Granted, Payment, Told
from shared.bus.handlers import Batch
from shared.db import Tx
from shared.events.base import Caused, Received
from shared.events.ingest import (
    ConcessionGranted,
    ContractCancelled,
    ContractUpserted,
    DealClosed,
    PaymentSucceeded,
)
from shared.events.metrics import FirstPaymentSucceeded

REQUEST = "request"  # of the kinds of feedback the one that asks for something


def _by_workspace(batch: Batch) -> Iterable[tuple[str, list[tuple[str, Received[Any]]]]]:
    """The events that name an account, with it, workspace by workspace."""
    found: defaultdict[str, list[tuple[str, Received[Any]]]] = defaultdict(list)
    for received in batch:
        if received.envelope.subject is not None and not received.envelope.synthetic:
            found[received.envelope.workspace].append((received.envelope.subject, received))
    return sorted(found.items())


def _told(received: Received[Any]) -> Told:
    return Told(received.envelope.time, received.envelope.id)


async def contracts_told(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Keep contracts as they were told last; the clock says what becomes of them."""
    for workspace, events in _by_workspace(batch):
        told = [_contract_told(account, received) for account, received in events]
        await contracts.save_contracts(tx, workspace, told)
    return ()


def _contract_told(
    account: str, received: Received[ContractUpserted] | Received[ContractCancelled]
) -> ContractTold:
    match received.event:
        case ContractUpserted() as terms:
            return ContractTold(account, terms.contract, _told(received), terms=terms)
        case ContractCancelled() as cancelled:
            return ContractTold(
                account,
                cancelled.contract,
                _told(received),
                cancelled_on=cancelled.effective_on,
                reason=cancelled.reason,
            )


async def concessions_granted(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Keep what was given, a waived onboarding fee too (C5, N43)."""
    for workspace, events in _by_workspace(batch):
        granted = [
            Granted(received.envelope.id, concession)
            for account, received in events
            if (concession := _concession(account, received)) is not None
        ]
        await contracts.append_concessions(tx, workspace, granted)
    return ()


def _concession(account: str, received: Received[Any]) -> Concession | None:
    match received.event:
        case ConcessionGranted() as granted:
            return Concession(
                account=account,
                kind=ConcessionKind(granted.kind),
                value=Decimal(granted.value),
                currency=granted.currency,
                granted_at=received.envelope.time,
                in_return=granted.in_return,
                by=granted.by,
            )
        case DealClosed(onboarding_fee=fee) as deal if fee is not None:
            return waived_fee(
                account,
                charged=Decimal(fee.charged),
                waived=fee.waived,
                currency=fee.currency,
                granted_at=deal.purchased_at,
                reason=fee.reason,
            )
    return None


async def payments_succeeded(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Tell of the first payment of an account (N18), once."""
    caused: list[Caused] = []
    for workspace, events in _by_workspace(batch):
        payments = [_payment(account, received) for account, received in events]
        for payment in await contracts.save_first_payments(tx, workspace, payments):
            event = FirstPaymentSucceeded(
                at=payment.told.at, amount=payment.amount, currency=payment.currency
            )
            caused.append(
                Caused(
                    event=event,
                    workspace=workspace,
                    subject=payment.account,
                    cause_id=payment.told.event,
                    time=payment.told.at,
                )
            )
    return caused


def _payment(account: str, received: Received[PaymentSucceeded]) -> Payment:
    event = received.event
    return Payment(account, _told(received), Decimal(event.amount), event.currency)


async def features_wished(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Keep which features accounts ask for: one that an offer answers is an opportunity (N22)."""
    for workspace, events in _by_workspace(batch):
        wishes = {
            (account, received.event.feature)
            for account, received in events
            if received.event.kind == REQUEST and received.event.feature
        }
        await offers.append_desires(tx, workspace, wishes)
    return ()


async def members_named(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Whoever an event names together with an account has a seat of it."""
    for workspace, events in _by_workspace(batch):
        users = {(account, received.event.user) for account, received in events}
        await contracts.append_seats(tx, workspace, {pair for pair in users if pair[1]})
    return ()
