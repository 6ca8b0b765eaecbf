"""HTTP for every service: problem+json for all errors, the transaction, paging, and counting."""

import base64
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from http import HTTPStatus
from time import perf_counter
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import msgspec
import structlog
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_swagger import patch_fastapi
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import telemetry
from shared.clock import parse_instant
from shared.db import Database, Tx
from shared.errors import DomainError, PermanentError, TransientError

log = structlog.get_logger()

MAX_BODY_BYTES = 1024 * 1024
Check = Callable[[], str | None]
"""A dependency's state: None while it can be relied on, else the reason in one sentence."""


FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
PLAIN_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# Years that zones have rules for and calendars do not end in.
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


class Problem(BaseModel):
    """Every error answer (RFC 9457). `code` is stable, `message` is for people."""

    type: str = Field(default="about:blank", description="Always about:blank: `code` tells.")
    title: str = Field(description="The status in words.", examples=["Not Found"])
    status: int = Field(description="The HTTP status.", examples=[404])
    code: str = Field(description="Stable reason.", examples=["account_unknown"])
    message: str = Field(description="What is wrong, with the offending value.")
    errors: list[dict[str, Any]] | None = Field(
        default=None, description="One entry per offending field of the request, where known."
    )


class NotFound(DomainError):
    """No such thing in this workspace; another workspace's things look the same."""

    code: ClassVar[str] = "not_found"
    status: ClassVar[int] = 404


class InvalidRequest(DomainError):
    """A parameter or field that cannot be read."""

    code: ClassVar[str] = "invalid_request"
    status: ClassVar[int] = 422


T = TypeVar("T")
P = TypeVar("P")


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T] = Field(description="The page, in the list's order.")
    next_cursor: str | None = Field(
        description="Send it as `cursor` for the next page; null at the end."
    )


Limit = Annotated[int, Query(ge=1, le=500, description="Most items on the page.")]
Cursor = Annotated[
    str | None, Query(max_length=512, description="`next_cursor` of the page before.")
]


def _calendar_instant(instant: datetime) -> datetime:
    if not EARLIEST <= instant < LATEST:
        raise ValueError(f"{instant.isoformat()} lies outside 1900 to 2199")
    return instant.astimezone(UTC)


CalendarInstant = Annotated[AwareDatetime, AfterValidator(_calendar_instant)]
"""An instant of a body that is counted with in civil days, in UTC."""


def instant_of(name: str, given: str) -> datetime:
    """The instant that parameter `name` gives: RFC 3339, or a date alone, its first one in UTC.

    Raises InvalidRequest for anything else.
    """
    try:
        if PLAIN_DATE.fullmatch(given):
            day = date.fromisoformat(given)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        return parse_instant(given)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(
            f"{name}: {given!r} is neither an RFC 3339 instant nor a date;"
            " write 2026-03-01T00:00:00Z or 2026-03-01, and a + as %2B"
        ) from error


def encode_cursor(place: str) -> str:
    """An opaque cursor for a place in a list."""
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """The place that a cursor stands for. Raises InvalidRequest for a text that is no cursor."""
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError as error:  # also of characters that are not ASCII
        raise InvalidRequest(f"cursor {cursor!r} is none of ours") from error


def encode_place(place: object) -> str:
    """An opaque cursor for a place of several fields."""
    return encode_cursor(msgspec.json.encode(place).decode())


def decode_place(cursor: str, kind: type[P]) -> P:
    """The place of that kind that a cursor stands for. Raises InvalidRequest."""
    try:
        return msgspec.json.decode(decode_cursor(cursor), type=kind)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"cursor {cursor!r} is none of ours") from error


def no_formula(text: str) -> str:
    """A text of a CSV that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


async def _tx(request: Request) -> AsyncIterator[Tx]:
    database: Database = request.app.state.database
    async with database.transaction() as tx:
        yield tx


# scope="function": else FastAPI answers first and commits afterwards, and a failed commit is a 200.
Transaction = Annotated[Tx, Depends(_tx, scope="function")]


def build_app(
    *,
    title: str,
    description: str,
    checks: Mapping[str, Check],
    remarks: Mapping[str, Check] = MappingProxyType({}),
    **options: Any,
) -> FastAPI:
    """A FastAPI app with the routes and the error form that every service has.

    `remarks` are told by /ready like `checks`, but do not make it red.
    """
    app = FastAPI(
        title=title,
        description=description,
        version="1",
        max_body_size=MAX_BODY_BYTES,
        responses={"4XX": {"model": Problem}, "503": {"model": Problem}},
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        **options,
    )
    # FastAPI's own /docs loads its script from a CDN: blank where the network is closed.
    patch_fastapi(
        app,
        redirect_from_root_to_docs=False,
        # Without `persistAuthorization`: a key must not stay in the browser's storage.
        swagger_ui_parameters={"filter": True, "tryItOutEnabled": True},
    )
    app.add_exception_handler(DomainError, _domain_error)
    app.add_exception_handler(PermanentError, _permanent_error)
    app.add_exception_handler(TransientError, _transient_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(Exception, _unexpected_error)
    _add_probes(app, checks, remarks)
    return app


def _add_probes(app: FastAPI, checks: Mapping[str, Check], remarks: Mapping[str, Check]) -> None:
    @app.get("/health", tags=["operation"], summary="The process is alive")
    async def health() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/ready", tags=["operation"], summary="The service can do its work")
    async def ready(response: Response) -> dict[str, Any]:
        failing = {name: reason for name, check in checks.items() if (reason := check())}
        if failing:
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        told = {name: check() or "ok" for name, check in remarks.items()}
        told |= {name: failing.get(name, told.get(name, "ok")) for name in checks}
        return {"ready": not failing, "dependencies": told}

    @app.get("/metrics", tags=["operation"], summary="Prometheus metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


# --- errors ------------------------------------------------------------------------------------


def problem(
    status: int,
    code: str,
    message: str,
    *,
    errors: Sequence[dict[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A problem+json answer."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        code=code,
        message=message,
        errors=list(errors) if errors else None,
    )
    return JSONResponse(
        body.model_dump(exclude_none=True),
        status_code=status,
        media_type="application/problem+json",
        headers=dict(headers or {}),
    )


async def _domain_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, DomainError)
    headers = {"WWW-Authenticate": 'Bearer, Basic realm="mainstay"'} if error.status == 401 else {}  # noqa: PLR2004
    return problem(error.status, error.code, error.message, headers=headers)


async def _permanent_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, PermanentError)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, error.code, error.message)


async def _transient_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, TransientError)
    log.warning("dependency_unavailable", code=error.code, error=error.message)
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        error.code,
        "a dependency does not answer now; try again",
        headers={"Retry-After": str(error.retry_after_seconds)},
    )


async def _http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed", 413: "payload_too_large"}
    code = codes.get(error.status_code, "invalid_request")
    return problem(error.status_code, code, str(error.detail), headers=error.headers)


async def _validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"field": ".".join(str(part) for part in found["loc"]), "message": found["msg"]}
        for found in error.errors()
    ]
    first = errors[0]
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        InvalidRequest.code,
        f"{first['field']}: {first['message']}",
        errors=errors,
    )


async def _unexpected_error(request: Request, error: Exception) -> Response:
    log.error("request_failed", route=request.url.path, exc_info=error)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "this is our fault; it is logged"
    )


# --- counting ----------------------------------------------------------------------------------


class Counted:
    """Counts and times requests. Pure ASGI: BaseHTTPMiddleware costs a task per request."""

    def __init__(self, app: ASGIApp, *, service: str) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        started = perf_counter()

        async def counted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, counted_send)
        finally:
            # The route's template, not the path: ids must not become label values.
            route = getattr(scope.get("route"), "path", "unmatched")
            telemetry.HTTP_REQUESTS.labels(self._service, route, status).inc()
            telemetry.HTTP_SECONDS.labels(self._service, route).observe(perf_counter() - started)
