"""Made billing facts, the same in every run: as they stand in Kafka."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from shared.events.base import Envelope, partition_key
from shared.events.ingest import BillingFactRecorded

WORKSPACE = "bench"
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
EVERY = timedelta(days=14)  # between two states of an account
FACTS_PER_ACCOUNT = 50

_encode = msgspec.json.Encoder().encode


def facts(count: int, *, seed: int) -> Iterator[BillingFactRecorded]:
    """`count` states of subscriptions in the order of time, so many an account."""
    chance = random.Random(seed)
    accounts = max(1, count // FACTS_PER_ACCOUNT)
    for number in range(count):
        round_, account = divmod(number, accounts)
        at = FIRST + EVERY * round_ + timedelta(seconds=account)
        yield state(f"acc{account:06}", at, f"f{number}", seats=chance.randint(1, 80))


def state(account: str, at: datetime, name: str, *, seats: int) -> BillingFactRecorded:
    """A subscription with so many seats from `at` on."""
    return BillingFactRecorded(
        fact=msgspec.Raw(
            _encode(
                {
                    "id": name,
                    "source": "native",
                    "type": "subscription_state",
                    "effective_at": at,
                    "account": account,
                    "subscription": f"sub-{account}",
                    "status": "active",
                    "currency": "EUR",
                    "items": [
                        {
                            "price": "seat",
                            "interval": "month",
                            "quantity": seats,
                            "unit_amount": "1250",
                        }
                    ],
                }
            )
        )
    )


def as_published(event: BillingFactRecorded, number: int) -> tuple[str, bytes]:
    """Key and value of the record that ingest would write."""
    account = msgspec.json.decode(event.fact)["account"]
    key = partition_key(WORKSPACE, account)
    envelope = Envelope(
        specversion="1.0",
        id=f"default f{number} 00000000-0000-4000-8000-{number:012}",
        source="default",
        type=event.type,
        time=datetime.now(UTC),
        workspace=WORKSPACE,
        partitionkey=key,
        data=msgspec.Raw(_encode(event)),
        subject=account,
    )
    return key, _encode(envelope)
