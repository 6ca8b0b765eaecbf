"""The routes of Segment's family: from a request to stamped events, and what became of each.

In order: authenticate, bound, inflate, parse, validate, stamp, produce, await the acks, 200.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple
from uuid import uuid4

import msgspec
from starlette.types import Receive, Scope

from services.ingest.api.delivery import Delivery
from services.ingest.api.recent import Ack
from services.ingest.api.replies import JSON, Reply, encode
from services.ingest.api.requests import (
    Held,
    Requests,
    Sender,
    before_colon,
    header_key,
    query_key,
)
from services.ingest.model import body as bodies
from services.ingest.model import limits
from services.ingest.model.body import Batch
from services.ingest.model.context import Contexts, batch_context, require_small
from services.ingest.model.intake import Intake, take
from services.ingest.model.refusals import LoneEventTooLarge
from services.ingest.model.segment import Reception
from shared import auth, telemetry
from shared.clock import Clock

SLICE_EVENTS = 500  # between two slices other requests get their turn
NDJSON = ("application/x-ndjson", "application/jsonl")


class Route(NamedTuple):
    """What a path takes."""

    name: str
    call: str | None = None
    """The type of the one event that is the body; None where the body is a batch."""
    limit_bytes: int = limits.BODY_BYTES
    most_events: int | None = limits.BATCH_EVENTS
    is_history: bool = False


_BATCH = Route("/v1/batch")
_IMPORT = Route(
    "/v1/import", limit_bytes=limits.IMPORT_BODY_BYTES, most_events=None, is_history=True
)
_CALLS = {
    short: Route(f"/v1/{call}", call)
    for call in ("track", "identify", "group", "page", "screen", "alias")
    for short in (call, call[0])
}
IGNORED = Route("/v1/m")  # what browser SDKs measure about themselves
ROUTES: Mapping[str, Route] = {
    f"{path}{slash}": route
    for path, route in {
        "/v1/batch": _BATCH,
        "/v1/b": _BATCH,
        "/v1/import": _IMPORT,
        "/v1/m": IGNORED,
        **{f"/v1/{name}": route for name, route in _CALLS.items()},
    }.items()
    for slash in ("", "/")
}


class _Rejection(msgspec.Struct, omit_defaults=True, rename="camel"):
    index: int
    message_id: str
    code: str
    message: str
    line: int | None = None


class _Assigned(msgspec.Struct, rename="camel"):
    index: int
    message_id: str


class _Warning(msgspec.Struct, rename="camel"):
    index: int
    message_id: str
    code: str


class _Taken(msgspec.Struct):
    success: bool
    accepted: int
    duplicates: int
    rejected: list[_Rejection]
    assigned: list[_Assigned]
    warnings: list[_Warning]


class Calls:
    """Takes the events of one request."""

    def __init__(self, requests: Requests, delivery: Delivery, clock: Clock) -> None:
        self._requests = requests
        self._delivery = delivery
        self._clock = clock
        self._contexts = Contexts()

    async def take(self, route: Route, scope: Scope, receive: Receive) -> Reply:
        """The reply to one request. Raises MainstayError for what is refused as a whole."""
        headers = dict(scope["headers"])
        key = header_key(headers)
        sender = await self._requests.sender(key) if key else None
        received_at = self._clock()
        held = Held(self._requests)
        try:
            body = await self._requests.body(
                headers, receive, limit_bytes=route.limit_bytes, held=held
            )
            batch = _parsed(route, headers, body)
            if sender is None:
                sender = await self._requests.sender(_inner_key(batch, scope))
            require_small(batch.context, events=len(batch.sources), limit_bytes=route.limit_bytes)
            reception = _reception(route, batch, sender, headers, received_at, self._contexts)
            return await self._delivered(route, batch, reception, sender)
        finally:
            held.release()

    async def _delivered(
        self, route: Route, batch: Batch, reception: Reception, sender: Sender
    ) -> Reply:
        """Stamp and produce slice after slice, then await all acks at once."""
        whole = Intake([], [], [])
        acks: set[Ack] = set()
        repeats = 0
        for first in range(0, len(batch.sources), SLICE_EVENTS):
            if first:
                await asyncio.sleep(0)
            sources = batch.sources[first : first + SLICE_EVENTS]
            intake = take(sources, reception, new_id=_new_id, first=first, call=route.call)
            if route.call and intake.refused and intake.refused[0].code == "event_too_large":
                raise LoneEventTooLarge(intake.refused[0].message)
            touched, repeated = self._delivery.hand_over(intake, reception, sender.caller.key_id)
            acks |= touched
            repeats += repeated
            whole.extend(intake)
        await self._delivery.stand(acks)
        _count(reception.source, whole, repeats)
        return Reply(HTTPStatus.OK, _taken(whole, repeats, batch.lines), JSON)


def _parsed(route: Route, headers: Mapping[bytes, bytes], body: bytes) -> Batch:
    if route.call is not None:
        return bodies.alone(body)
    content_type = headers.get(b"content-type", b"").decode("latin-1").strip().lower()
    if content_type.startswith(NDJSON):
        return bodies.lines(body, most_events=route.most_events)
    return bodies.batch(body, most_events=route.most_events)


def _reception(
    route: Route,
    batch: Batch,
    sender: Sender,
    headers: Mapping[bytes, bytes],
    received_at: datetime,
    contexts: Contexts,
) -> Reception:
    return Reception(
        workspace=sender.caller.workspace,
        source=sender.caller.source,
        received_at=received_at,
        sent_at=batch.sent_at,
        is_history=route.is_history,
        traceparent=headers.get(b"traceparent", b"").decode("latin-1"),
        contexts=contexts,
        batch_context=batch_context(batch.context),
        event_mapping=sender.event_mapping,
    )


def _inner_key(batch: Batch, scope: Scope) -> str:
    """The key in the body, else in the query. Raises MissingKey."""
    if type(batch.write_key) is str and (key := before_colon(batch.write_key)):
        return key
    if key := query_key(scope, "writeKey"):
        return key
    raise auth.MissingKey("send the write key: `Authorization: Basic <base64 of key:>`, or Bearer")


def _new_id() -> str:
    return str(uuid4())


def _taken(whole: Intake, repeats: int, lines: list[int] | None) -> bytes:
    return encode(
        _Taken(
            success=True,
            accepted=len(whole.stamped) - repeats,
            duplicates=repeats,
            rejected=[
                _Rejection(
                    refused.index,
                    refused.message_id,
                    refused.code,
                    refused.message,
                    lines[refused.index] if lines else None,
                )
                for refused in whole.refused
            ],
            assigned=[_Assigned(index, message_id) for index, message_id in whole.assigned],
            warnings=[
                _Warning(index, stamped.message_id, stamped.warning)
                for index, stamped in whole.stamped
                if stamped.warning is not None
            ],
        )
    )


def _count(source: str, whole: Intake, repeats: int) -> None:
    events = telemetry.INGEST_EVENTS
    telemetry.INGEST_ACKNOWLEDGED.inc(len(whole.stamped) - repeats + len(whole.refused))
    events.labels(source, "accepted").inc(len(whole.stamped) - repeats)
    if repeats:
        events.labels(source, "duplicate").inc(repeats)
    if whole.refused:
        events.labels(source, "rejected").inc(len(whole.refused))
        for refused in whole.refused:
            telemetry.INGEST_REJECTED.labels(refused.code).inc()
