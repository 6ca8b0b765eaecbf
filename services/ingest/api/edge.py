"""The hot path: the routes that take events, answered before FastAPI comes into play.

At one event a request nearly all the cost of FastAPI is the framework; so these few paths are a
plain ASGI callable. FastAPI declares the same paths (`routes.py`) and answers them by the same
function, so that they are documented and work without the short cut too.

In order: authenticate, bound, inflate, parse, validate, stamp, produce, await the acks, 200.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from time import perf_counter
from typing import NamedTuple
from urllib.parse import parse_qs
from uuid import uuid4

import msgspec
import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from services.ingest.api.delivery import Delivery
from services.ingest.api.recent import Ack
from services.ingest.model import body as bodies
from services.ingest.model import keys as key_form
from services.ingest.model import limits
from services.ingest.model.body import Batch
from services.ingest.model.context import Contexts, batch_context, require_small
from services.ingest.model.intake import Intake, take
from services.ingest.model.refusals import (
    LoneEventTooLarge,
    NotDurable,
    PayloadTooLarge,
    RequestRefused,
)
from services.ingest.model.segment import Reception
from services.ingest.settings import IngestSettings
from services.ingest.store import receipts
from shared import auth, telemetry
from shared.clock import Clock
from shared.db import Database
from shared.errors import DomainError, TransientError

log = structlog.get_logger()

SLICE_EVENTS = 500  # between two slices other requests get their turn
BODY_SECONDS = 30.0  # a body that comes slower is given up
SENDERS = 10_000
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


class Reply(NamedTuple):
    """An answer."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True)
class Sender:
    """A key that may write, and the settings of its workspace that an event needs."""

    caller: auth.Caller
    event_mapping: Mapping[str, str]


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


_encode = msgspec.json.Encoder().encode


class Disconnected(Exception):
    """The client is gone: nobody to answer."""


class Edge:
    """Answers the routes that take events."""

    def __init__(
        self, settings: IngestSettings, database: Database, delivery: Delivery, clock: Clock
    ) -> None:
        self.delivery = delivery
        self._settings = settings
        self._database = database
        self._keys = auth.Keys(database, cache_seconds=settings.key_cache_seconds)
        self._clock = clock
        self._senders: dict[str, Sender] = {}
        self._contexts = Contexts()
        self._body_bytes = 0

    async def start(self) -> None:
        """Remember the newest events, and begin to connect to Kafka; does not wait for it."""
        self.delivery.start()
        try:
            async with self._database.transaction() as tx:
                newest = await receipts.list_newest_ids(tx, self._settings.recent_ids)
        except TransientError as error:
            log.warning("begins_without_recent_ids", error=error.message)
        else:
            self.delivery.recent.warm(newest)

    async def stop(self) -> None:
        """Send what is open."""
        await self.delivery.stop()

    async def answer(self, scope: Scope, receive: Receive) -> Reply:
        """The reply to one request. Raises Disconnected; every other fault is an answer."""
        try:
            if scope["method"] == "OPTIONS":
                return Reply(HTTPStatus.NO_CONTENT, b"", PREFLIGHT)
            route = ROUTES[scope["path"]]
            if route is IGNORED:
                return Reply(HTTPStatus.OK, b'{"success":true}', JSON)
            return await self._take(route, scope, receive)
        except DomainError as error:
            return _problem(error.status, error.code, error.message)
        except TransientError as error:
            return self._try_again(error)
        except Disconnected:
            raise
        except Exception:
            # The last resort, as FastAPI's own handler is for the other routes.
            log.exception("request_failed", route=scope["path"])
            return _problem(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "internal_error",
                "this is our fault; it is logged",
            )

    def _try_again(self, error: TransientError) -> Reply:
        log.warning("dependency_unavailable", code=error.code, error=error.message)
        message = (
            error.message
            if isinstance(error, NotDurable)
            else "a dependency does not answer now; try again"
        )
        after = str(self._settings.retry_after_seconds).encode()
        return _problem(
            HTTPStatus.SERVICE_UNAVAILABLE, error.code, message, (b"retry-after", after)
        )

    async def _take(self, route: Route, scope: Scope, receive: Receive) -> Reply:
        headers = dict(scope["headers"])
        key = _header_key(headers)
        sender = await self._sender(key) if key else None
        received_at = self._clock()
        held = _Held(self)
        try:
            body = await self._body(headers, receive, route.limit_bytes, held)
            batch = _parsed(route, headers, body)
            if sender is None:
                sender = await self._sender(_inner_key(batch, scope))
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
            touched, repeated = self.delivery.hand_over(intake, reception, sender.caller.key_id)
            acks |= touched
            repeats += repeated
            whole.extend(intake)
        await self.delivery.stand(acks)
        _count(reception.source, whole, repeats)
        return Reply(HTTPStatus.OK, _taken(whole, repeats, batch.lines), JSON)

    async def _sender(self, key: str) -> Sender:
        """Who may write with `key`, from memory where possible. Raises InvalidKey, ScopeMissing."""
        if not key_form.is_well_formed(key):
            raise auth.InvalidKey("this is no key of ours: its form or its checksum is wrong")
        now = self._clock()
        caller = self._keys.remembered(key, now) or await self._keys.caller(key, now)
        if not caller.may(auth.Scope.WRITE):
            raise auth.ScopeMissing(
                f"this needs a key with scope write, not {sorted(caller.scopes)}"
            )
        sender = self._senders.get(key)
        if sender is None or sender.caller is not caller:
            async with self._database.transaction() as tx:
                workspace = await auth.get_workspace(tx, caller.workspace)
            if len(self._senders) >= SENDERS:
                self._senders.clear()
            sender = Sender(caller, workspace.event_mapping if workspace else {})
            self._senders[key] = sender
        return sender

    # --- bodies ---

    async def _body(
        self, headers: Mapping[bytes, bytes], receive: Receive, limit_bytes: int, held: "_Held"
    ) -> bytes:
        """The body, inflated, within `limit_bytes` before and after. Raises RequestRefused."""
        said = headers.get(b"content-length", b"")
        if said.isdigit() and int(said) > limit_bytes:
            raise PayloadTooLarge(f"{int(said)} bytes in a body, {limit_bytes} at most")
        message = await receive()
        body: bytes = message.get("body", b"")
        held.hold(len(body))
        if message.get("more_body"):
            body = await self._rest(body, receive, limit_bytes, held)
        elif message["type"] == "http.disconnect":
            raise Disconnected
        _require_within(body, limit_bytes)
        encoding = headers.get(b"content-encoding", b"").decode("latin-1")
        inflated = bodies.inflated(body, encoding, limit_bytes=limit_bytes)
        if inflated is not body:
            held.hold(len(inflated))
        telemetry.INGEST_BODY_BYTES.labels("wire").inc(len(body))
        telemetry.INGEST_BODY_BYTES.labels("inflated").inc(len(inflated))
        return inflated

    async def _rest(self, first: bytes, receive: Receive, limit_bytes: int, held: "_Held") -> bytes:
        chunks, size = [first], len(first)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Disconnected
                    chunk: bytes = message.get("body", b"")
                    size += len(chunk)
                    held.hold(len(chunk))
                    if size > limit_bytes:
                        raise PayloadTooLarge(f"more than {limit_bytes} bytes in a body")
                    chunks.append(chunk)
                    more = message.get("more_body", False)
        except TimeoutError as error:
            raise SlowBody(f"the body was not there after {BODY_SECONDS:.0f} s") from error
        return b"".join(chunks)

    def hold(self, size: int) -> None:
        """Count bytes of bodies. Raises NotDurable when more is in flight than may be."""
        self._body_bytes += size
        if self._body_bytes + self.delivery.inflight_bytes > self._settings.inflight_bytes:
            raise NotDurable("too much is in flight now; send again in a moment")

    def release(self, size: int) -> None:
        """The bytes are no longer held."""
        self._body_bytes -= size


class SlowBody(RequestRefused):
    """The client took too long to send the body."""

    code = "body_timeout"
    status = 408


class _Held:
    """What one request holds of the budget."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._bytes = 0

    def hold(self, size: int) -> None:
        self._bytes += size
        self._edge.hold(size)

    def release(self) -> None:
        self._edge.release(self._bytes)


def _require_within(body: bytes, limit_bytes: int) -> None:
    if len(body) > limit_bytes:
        raise PayloadTooLarge(f"{len(body)} bytes in a body, {limit_bytes} at most")


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


# --- credentials ---------------------------------------------------------------------------------


def _header_key(headers: Mapping[bytes, bytes]) -> str | None:
    """The key of a header: Authorization, else X-Write-Key. Raises InvalidKey."""
    authorization = headers.get(b"authorization")
    if authorization is not None:
        key = auth.key_of(authorization.decode("latin-1"))
        if key:
            return key
    return _before_colon(headers.get(b"x-write-key", b"").decode("latin-1"))


def _inner_key(batch: Batch, scope: Scope) -> str:
    """The key in the body, else in the query. Raises MissingKey."""
    if type(batch.write_key) is str and (key := _before_colon(batch.write_key)):
        return key
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("writeKey")
    if asked and (key := _before_colon(asked[0])):
        return key
    raise auth.MissingKey("send the write key: `Authorization: Basic <base64 of key:>`, or Bearer")


def _before_colon(credential: str) -> str | None:
    """Some SDKs send `key:secret` or a masked `key:***` where a key is meant."""
    return credential.partition(":")[0].strip() or None


# --- replies -------------------------------------------------------------------------------------

JSON = ((b"content-type", b"application/json"),)
PROBLEM = (b"content-type", b"application/problem+json")
PREFLIGHT = (
    (b"access-control-allow-methods", b"POST, OPTIONS"),
    (b"access-control-allow-headers", b"authorization, content-type, x-write-key"),
    (b"access-control-max-age", b"86400"),
)


def _new_id() -> str:
    return str(uuid4())


def _taken(whole: Intake, repeats: int, lines: list[int] | None) -> bytes:
    return _encode(
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


def _problem(status: int, code: str, message: str, *headers: tuple[bytes, bytes]) -> Reply:
    """problem+json with `success: false`, which Segment's clients know."""
    body = _encode(
        {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": int(status),
            "code": code,
            "message": message,
            "success": False,
        }
    )
    if status == HTTPStatus.UNAUTHORIZED:
        headers = (*headers, (b"www-authenticate", b'Bearer, Basic realm="mainstay"'))
    return Reply(status, body, (PROBLEM, *headers))


# --- ASGI ----------------------------------------------------------------------------------------


class Front:
    """Answers the paths of the edge, and leaves all others to the app behind it."""

    def __init__(self, app: ASGIApp, edge: Edge) -> None:
        self._app = app
        self._edge = edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if (
            scope["type"] != "http"
            or scope["path"] not in ROUTES
            or scope["method"] not in ("POST", "OPTIONS")
        ):
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        try:
            reply = await self._edge.answer(scope, receive)
        except Disconnected:
            return
        await send_reply(reply, scope, send)
        route = ROUTES[scope["path"]].name
        telemetry.HTTP_REQUESTS.labels("ingest", route, int(reply.status)).inc()
        telemetry.HTTP_SECONDS.labels("ingest", route).observe(perf_counter() - started)


async def send_reply(reply: Reply, scope: Scope, send: Send) -> None:
    """Send `reply`; to a browser with the origin that asked."""
    headers = [*reply.headers, (b"content-length", str(len(reply.body)).encode())]
    origin = next((value for name, value in scope["headers"] if name == b"origin"), None)
    if origin is not None:
        headers += [(b"access-control-allow-origin", origin), (b"vary", b"origin")]
    if reply.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": "http.response.start", "status": int(reply.status), "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
