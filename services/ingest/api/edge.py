"""The hot path: the routes that take events, answered before FastAPI comes into play.

At one event a request nearly all the cost of FastAPI is the framework; so these few paths are a
plain ASGI callable. FastAPI declares the same paths (`routes.py`) and answers them by the same
function, so that they are documented and work without the short cut too.
"""

from http import HTTPStatus
from time import perf_counter

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from services.ingest.api import billing, calls, webhooks
from services.ingest.api.billing import Billing
from services.ingest.api.calls import IGNORED, Calls
from services.ingest.api.delivery import Delivery
from services.ingest.api.replies import JSON, Reply, problem, send_reply
from services.ingest.api.requests import Disconnected, Requests
from services.ingest.api.webhooks import Webhooks
from services.ingest.model.refusals import NotDurable
from services.ingest.settings import IngestSettings
from services.ingest.store import receipts
from shared import telemetry
from shared.clock import Clock
from shared.db import Database
from shared.errors import DomainError, TransientError

log = structlog.get_logger()

PREFLIGHT = (
    (b"access-control-allow-methods", b"POST, OPTIONS"),
    (b"access-control-allow-headers", b"authorization, content-type, x-write-key"),
    (b"access-control-max-age", b"86400"),
)


def route_name(path: str) -> str | None:
    """The route that takes this path, as metrics name it; None for a path of others."""
    called = calls.ROUTES.get(path)
    if called is not None:
        return called.name
    if path in billing.PATHS:
        return billing.ROUTE
    sender = webhooks.sender_of(path)
    return sender.route if sender is not None else None


class Edge:
    """Answers the routes that take events."""

    def __init__(
        self, settings: IngestSettings, database: Database, delivery: Delivery, clock: Clock
    ) -> None:
        self.delivery = delivery
        self._settings = settings
        self._database = database
        requests = Requests(settings, database, delivery, clock)
        self._calls = Calls(requests, delivery, clock)
        self._billing = Billing(requests, delivery, clock)
        self._webhooks = Webhooks(requests, settings, database, delivery, clock)

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
            return await self._take(scope, receive)
        except DomainError as error:
            return problem(error.status, error.code, error.message)
        except TransientError as error:
            return self._try_again(error)
        except Disconnected:
            raise
        except Exception:
            # The last resort, as FastAPI's own handler is for the other routes. It names the route,
            # not the path: a key may stand in that.
            log.exception("request_failed", route=route_name(scope["path"]))
            return problem(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "internal_error",
                "this is our fault; it is logged",
            )

    async def _take(self, scope: Scope, receive: Receive) -> Reply:
        path = scope["path"]
        called = calls.ROUTES.get(path)
        if called is IGNORED:
            return Reply(HTTPStatus.OK, b'{"success":true}', JSON)
        if called is not None:
            return await self._calls.take(called, scope, receive)
        sender = webhooks.sender_of(path)
        if sender is not None:
            return await self._webhooks.take(sender, scope, receive)
        return await self._billing.take(scope, receive)

    def _try_again(self, error: TransientError) -> Reply:
        log.warning("dependency_unavailable", code=error.code, error=error.message)
        message = (
            error.message
            if isinstance(error, NotDurable)
            else "a dependency does not answer now; try again"
        )
        after = str(self._settings.retry_after_seconds).encode()
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, error.code, message, (b"retry-after", after))


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
            or scope["method"] not in ("POST", "OPTIONS")
            or (route := route_name(scope["path"])) is None
        ):
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        try:
            reply = await self._edge.answer(scope, receive)
        except Disconnected:
            return
        await send_reply(reply, scope, send)
        telemetry.HTTP_REQUESTS.labels("ingest", route, int(reply.status)).inc()
        telemetry.HTTP_SECONDS.labels("ingest", route).observe(perf_counter() - started)
