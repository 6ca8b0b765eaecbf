"""Billing facts on their way in: each is checked as the ledger will check it, then stamped.

A repeat is a fact of its own here: telling it from a conflict is the ledger's work (P22), so every
acceptance has an id of its own.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from services.ingest.model import body, limits, wire
from services.ingest.model.refusals import EventTooLarge
from services.ingest.model.segment import Reception
from services.ingest.model.wire import Stamped
from shared.events.base import partition_key
from shared.events.billing import NATIVE, AnyFact, account_of
from shared.events.facts import BadFact, fact_of
from shared.events.ingest import BillingFactRecorded, Provider
from shared.events.refusals import SchemaViolation

FACTS = 500  # in a request
RECORDED_AT = "recorded_at"
FACT_BYTES = 256 * 1024  # a price with hundreds of tiers; a record holds 1 MiB

Fields = Mapping[str, Raw]


_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


def read(source: bytes) -> Fields:
    """The members of a sent fact. Raises EventTooLarge, SchemaViolation."""
    if len(source) > FACT_BYTES:
        raise EventTooLarge(f"{len(source)} bytes in a fact, {FACT_BYTES} at most")
    try:
        source.decode()
        return _decode_fields(source)
    except UnicodeDecodeError as error:
        raise SchemaViolation(f"not UTF-8: {error.reason} at byte {error.start}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise SchemaViolation(body.fault(source, error) or f"no JSON object: {error}") from error


def claimed_id(fields: Fields) -> str | None:
    """The id that a fact says it has; None where that is none."""
    try:
        return _decode_text(fields.get("id", b"null"))
    except msgspec.DecodeError:
        return None


def stamp(
    fields: Fields,
    reception: Reception,
    *,
    acceptance: str,
    may_backdate: bool,
    message_id: str | None = None,
    provider: Provider | None = None,
) -> Stamped:
    """The fact as it goes to Kafka, under the id of this acceptance.

    `may_backdate`: whether the `recorded_at` that it says counts; else it is passed over, and when
    it was learned is when the broker had it. `message_id` is what its receipt is asked by, else
    the acceptance. Raises BadFact, SchemaViolation.
    """
    said = {name: value for name, value in fields.items() if may_backdate or name != RECORDED_AT}
    source = _encode(said)
    fact = fact_of(source, received_at=reception.received_at)
    limits.check(source, name="fact")
    account = _account(fact)
    kept = {"source": Raw(_encode(NATIVE))} | said
    kept.pop(RECORDED_AT, None)
    event = BillingFactRecorded(
        fact=Raw(_encode(kept)), recorded_at=fact.recorded_at, provider=provider
    )
    event_id = f"{reception.source} {fact.id} {acceptance}"
    key = partition_key(reception.workspace, account)
    attributes = wire.Attributes(
        event_id,
        event.type,
        key,
        fact.effective_at or reception.received_at,
        subject=account,
        messageid=message_id or acceptance,
        data=event,
    )
    payload = wire.spliced(reception.prefix, attributes)
    return Stamped(event_id, message_id or acceptance, event.topic, key, payload)


def _account(fact: AnyFact) -> str | None:
    account = account_of(fact)
    if account is not None and len(account) > limits.ID_CHARACTERS:
        raise BadFact("schema_violation", f"account: longer than {limits.ID_CHARACTERS} characters")
    return account
