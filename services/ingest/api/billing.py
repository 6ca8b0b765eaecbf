"""`POST /v1/billing`: facts for the revenue ledger, each answered for itself."""

from http import HTTPStatus
from uuid import uuid4

import msgspec
from starlette.types import Receive, Scope

from services.ingest.api.delivery import Delivery, Standing
from services.ingest.api.replies import JSON, Reply, encode
from services.ingest.api.requests import Held, Requests, Sender, header_key
from services.ingest.model import billing as rules
from services.ingest.model import body as bodies
from services.ingest.model import limits
from services.ingest.model.intake import Refused
from services.ingest.model.segment import Reception
from services.ingest.model.wire import Stamped
from shared import auth, telemetry
from shared.clock import Clock
from shared.events.facts import BadFact
from shared.events.refusals import EventRefused

ROUTE = "/v1/billing"
PATHS = frozenset({ROUTE, f"{ROUTE}/"})
DIALECT = "billing"


class _Result(msgspec.Struct, omit_defaults=True):
    id: str | None
    message_id: str
    status: str
    topic: str
    partition: int
    offset: int | msgspec.UnsetType | None = msgspec.UNSET
    code: str | None = None
    message: str | None = None


class Billing:
    """Takes the facts of one request."""

    def __init__(self, requests: Requests, delivery: Delivery, clock: Clock) -> None:
        self._requests = requests
        self._delivery = delivery
        self._clock = clock

    async def take(self, scope: Scope, receive: Receive) -> Reply:
        """The reply to one request. Raises MainstayError for what is refused as a whole."""
        headers = dict(scope["headers"])
        key = header_key(headers)
        if key is None:
            raise auth.MissingKey("send `Authorization: Bearer <key>`: a write key, or manage")
        sender = await self._requests.sender(key)
        reception = Reception(
            workspace=sender.caller.workspace,
            source=sender.caller.source,
            received_at=self._clock(),
            traceparent=headers.get(b"traceparent", b"").decode("latin-1"),
            dialect=DIALECT,
        )
        held = Held(self._requests)
        try:
            body = await self._requests.body(
                headers, receive, limit_bytes=limits.IMPORT_BODY_BYTES, held=held
            )
            sources = bodies.facts(body, most_facts=rules.FACTS).sources
            return await self._delivered(sources, reception, sender)
        finally:
            held.release()

    async def _delivered(self, sources: list[bytes], reception: Reception, sender: Sender) -> Reply:
        may_backdate = sender.caller.may(auth.Scope.MANAGE)
        taken = [
            _taken(index, source, reception, may_backdate=may_backdate)
            for index, source in enumerate(sources)
        ]
        standing = self._delivery.append_each(
            [outcome for _, outcome in taken], reception, sender.caller.key_id
        )
        await self._delivery.stand({one.acked for one in standing})
        results = [
            _result(fact_id, outcome, where)
            for (fact_id, outcome), where in zip(taken, standing, strict=True)
        ]
        _count(reception.source, [outcome for _, outcome in taken])
        return Reply(HTTPStatus.OK, encode({"results": results}), JSON)


def _taken(
    index: int, source: bytes, reception: Reception, *, may_backdate: bool
) -> tuple[str | None, Stamped | Refused]:
    """The id that the fact says it has, and the fact stamped or refused."""
    acceptance = str(uuid4())
    fact_id = None
    try:
        fields = rules.read(source)
        fact_id = rules.claimed_id(fields)
        return fact_id, rules.stamp(
            fields, reception, acceptance=acceptance, may_backdate=may_backdate
        )
    except (EventRefused, BadFact) as error:
        return fact_id, Refused(index, acceptance, error.code, error.message, source)


def _result(fact_id: str | None, outcome: Stamped | Refused, where: Standing) -> _Result:
    if isinstance(outcome, Refused):
        status, code, message = "rejected", outcome.code, outcome.message
    else:
        status, code, message = "spilled" if where.is_spilled else "accepted", None, None
    return _Result(
        id=fact_id,
        message_id=outcome.message_id,
        status=status,
        topic=where.topic,
        partition=where.partition,
        offset=where.offset,
        code=code,
        message=message,
    )


def _count(source: str, outcomes: list[Stamped | Refused]) -> None:
    telemetry.INGEST_ACKNOWLEDGED.inc(len(outcomes))
    for outcome in outcomes:
        if isinstance(outcome, Refused):
            telemetry.INGEST_EVENTS.labels(source, "rejected").inc()
            telemetry.INGEST_REJECTED.labels(outcome.code).inc()
        else:
            telemetry.INGEST_EVENTS.labels(source, "accepted").inc()
