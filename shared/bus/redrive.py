"""Applies a dead letter after all, once its cause is mended. Dead letters stay, as the audit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from shared.bus import tables
from shared.bus.handlers import Lane, apply_folds
from shared.bus.record import decoder, outgoing
from shared.bus.seen import SeenIds
from shared.db import Tx
from shared.errors import DomainError
from shared.events.base import Received


class DeadLetterUnknown(DomainError):
    """No such dead letter here, or it is another workspace's."""

    code: ClassVar[str] = "dead_letter_unknown"
    status: ClassVar[int] = 404


class AlreadyRedriven(DomainError):
    """It was applied before; applying it again would change nothing."""

    code: ClassVar[str] = "already_redriven"


class StillBroken(DomainError):
    """The record is no event of ours for the code that runs now either."""

    code: ClassVar[str] = "still_broken"
    status: ClassVar[int] = 422


@dataclass(frozen=True)
class _Stored:
    """A dead letter's record, as the decoder wants it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


async def redrive(
    tx: Tx, service: str, lanes: Sequence[Lane], letter_id: str, *, workspace: str | None, by: str
) -> None:
    """Apply dead letter `letter_id` in this transaction, with the id claimed as on the first way.

    `workspace` None is an operator, who may redrive any. Raises DeadLetterUnknown, AlreadyRedriven,
    StillBroken, or whatever the fold still raises.
    """
    letter = await tables.load_dead_letter(tx, letter_id) if _is_uuid(letter_id) else None
    if letter is None or workspace not in (None, letter.workspace):
        raise DeadLetterUnknown(f"no dead letter {letter_id!r}")
    if letter.redriven_at is not None:
        raise AlreadyRedriven(f"dead letter {letter_id} was redriven at {letter.redriven_at}")
    lane = next(lane for lane in lanes if lane.name == letter.lane)
    decoded = decoder(lane.types)(_stored(letter))
    if not isinstance(decoded, Received):
        raise StillBroken(f"dead letter {letter_id}: {getattr(decoded, 'message', 'unknown type')}")
    await tables.ensure_inbox_days(tx, {decoded.appended_at.date()})
    seen = SeenIds(most_bytes=0)  # of this transaction only
    fresh = await tables.claim_ids(tx, [decoded], keep=lane.keeps_ids, seen=seen)
    caused = await apply_folds(lane.folds, tx, fresh)
    await tables.append_outbox(tx, [outgoing(event, source=f"/{service}") for event in caused])
    await tables.save_redriven(tx, letter_id, by=by)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _stored(letter: Any) -> _Stored:
    """The record as it stood; where the broker's time is not kept, when it was given up."""
    return _Stored(
        topic=letter.topic,
        partition=letter.partition,
        offset=letter.offset,
        timestamp=int(letter.dead_at.timestamp() * 1000),
        key=letter.key,
        value=letter.value,
    )
