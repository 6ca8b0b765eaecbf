"""Answers to surveys: those to "would you recommend us" are facts of the ledger (P24)."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from services.metrics.handlers.billing import book
from services.metrics.model.knowledge import Place
from services.metrics.store.facts import NewRecord
from shared.bus.handlers import Batch
from shared.db import Tx
from shared.events.base import Caused, Received
from shared.events.facts import fact_of
from shared.events.nps import Answered

SOURCE = "nps"
RECOMMENDS = "nps"  # the kind of survey that asks for 0 to 10

_encode = msgspec.json.Encoder().encode


async def answered(tx: Tx, batch: Batch) -> Sequence[Caused]:
    """Keep the answers of people of accounts as facts; one without account joins no cohort."""
    by_workspace: defaultdict[str, list[NewRecord]] = defaultdict(list)
    for received in batch:
        envelope = received.envelope
        counts = envelope.subject is not None and not envelope.synthetic
        if counts and received.event.kind == RECOMMENDS:
            by_workspace[envelope.workspace].append(_record(received))
    caused: list[Caused] = []
    for workspace, records in sorted(by_workspace.items()):
        caused += await book(tx, workspace, records)
    return caused


def _record(received: Received[Answered]) -> NewRecord:
    """The answer as a fact. Of several of one invitation the last counts, as given first: so all
    are of one instant, and their ids sort as they were given. Raises BadFact.
    """
    answer = received.event
    raw = _encode(
        {
            "id": f"{answer.invitation} {_sortable(answer.at)}",
            "source": SOURCE,
            "type": "nps_response",
            "effective_at": answer.first_at,
            "account": received.envelope.subject,
            "respondent": answer.user,
            "score": answer.score,
        }
    )
    return NewRecord(
        event=received.envelope.id,
        place=Place(received.partition, received.offset),
        appended_at=received.appended_at,
        recorded_at=received.appended_at,
        raw=raw,
        fact=fact_of(raw, received_at=received.appended_at),
        named=(),
        priced=None,
    )


def _sortable(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
