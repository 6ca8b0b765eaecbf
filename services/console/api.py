"""The pages, and what they are dressed in."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from services.console import pages
from services.console.client import HealthClient
from services.console.pages import page
from services.console.session import (
    MOST_KEY_LETTERS,
    OwnForm,
    Sessions,
    VisitorKey,
    local_path,
)
from services.console.strip import strip_of
from shared.auth import InvalidKey, KeyDisabled, ScopeMissing

router = APIRouter(tags=["pages"], default_response_class=HTMLResponse)

BANDS = ("red", "amber", "green", "unknown")
PAGE_ACCOUNTS = 50
KEPT = {"cache-control": "public, max-age=31536000, immutable"}

Filter = Annotated[str, Query(max_length=256)]


@router.get("/", summary="To the accounts")
async def first_page() -> RedirectResponse:
    """The list of accounts is the first page."""
    return RedirectResponse("/accounts", HTTPStatus.SEE_OTHER)


@router.get("/accounts", summary="Accounts, the lowest score first")
async def accounts_page(
    request: Request,
    key: VisitorKey,
    band: Filter = "",
    segment: Filter = "",
    owner: Filter = "",
    text: Filter = "",
    cursor: Annotated[str, Query(max_length=1024)] = "",
) -> HTMLResponse:
    """One page of accounts with band, score, first reason, last use and owner."""
    filters = _given(band=band, segment=segment, owner=owner, text=text.strip())
    found = await _health(request).list_accounts(
        key, {**filters, "limit": str(PAGE_ACCOUNTS), **_given(cursor=cursor)}
    )
    return page(
        "accounts.html",
        signed_in=_signed_in(request),
        now=request.app.state.clock(),
        accounts=found.items,
        bands=BANDS,
        filters={"band": band, "segment": segment, "owner": owner, "text": text},
        filtered=bool(filters),
        segments=_known(item.segment for item in found.items),
        owners=_known(item.owner for item in found.items),
        plans=_known(item.plan for item in found.items),
        first_page=_address(filters) if cursor else None,
        next_page=_address({**filters, "cursor": found.next_cursor}) if found.next_cursor else None,
    )


@router.get("/accounts/{account:path}", summary="One account")
async def account_page(request: Request, key: VisitorKey, account: str) -> HTMLResponse:
    """An account: profile, score with its reasons, 26 weeks of daily use, people."""
    found = await _health(request).get_account(key, account)
    return page(
        "account.html",
        signed_in=_signed_in(request),
        now=request.app.state.clock(),
        account=found,
        profile=found.profile,
        score=found.score,
        usage=found.usage,
        strip=strip_of(found.usage.strip),
    )


# --- signing in and out ----------------------------------------------------------------------


@router.get("/sign-in", summary="Sign in")
async def sign_in_page(
    next_path: Annotated[str, Query(alias="next", max_length=2048)] = "/",
) -> HTMLResponse:
    """Asks for a read key."""
    return _sign_in(next_path)


@router.post("/sign-in", summary="Begin a session", dependencies=[OwnForm])
async def sign_in(
    request: Request,
    key: Annotated[str, Form(max_length=MOST_KEY_LETTERS, description="A read key.")] = "",
    next_path: Annotated[str, Form(alias="next", max_length=2048)] = "/",
) -> Response:
    """Keeps the key in a sealed cookie, once health has said that it may read."""
    if not key.strip():
        return _sign_in(next_path, fault="Paste a read key first.", status=422)
    try:
        await _health(request).list_accounts(key.strip(), {"limit": "1"})
    except ScopeMissing:
        fault = "This key may not read. Paste a key whose scope is read or manage."
        return _sign_in(next_path, fault=fault, status=HTTPStatus.FORBIDDEN)
    except (InvalidKey, KeyDisabled):
        fault = "This key is not known, was withdrawn, or has expired."
        return _sign_in(next_path, fault=fault, status=HTTPStatus.UNAUTHORIZED)
    response = RedirectResponse(local_path(next_path), HTTPStatus.SEE_OTHER)
    _sessions(request).begin(response, key.strip())
    return response


@router.post("/sign-out", summary="End the session", dependencies=[OwnForm])
async def sign_out(request: Request) -> Response:
    """Lets the browser forget the key."""
    response = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
    _sessions(request).end(response)
    return response


def _sign_in(
    next_path: str, *, fault: str | None = None, status: int = HTTPStatus.OK
) -> HTMLResponse:
    return page(
        "sign_in.html",
        status=status,
        next_path=local_path(next_path),
        fault=fault,
    )


# --- what pages are dressed in -----------------------------------------------------------------


@router.get("/static/console.css", include_in_schema=False)
async def stylesheet() -> Response:
    """The one stylesheet. Its address changes with its content."""
    return Response(pages.STYLESHEET, media_type="text/css", headers=KEPT)


@router.get("/static/icon.svg", include_in_schema=False)
async def icon() -> Response:
    """The icon of the browser's tab."""
    return Response(pages.ICON, media_type="image/svg+xml", headers=KEPT)


# --- parts -------------------------------------------------------------------------------------


def _health(request: Request) -> HealthClient:
    client: HealthClient = request.app.state.health
    return client


def _sessions(request: Request) -> Sessions:
    sessions: Sessions = request.app.state.sessions
    return sessions


def _signed_in(request: Request) -> bool:
    """Whether the visitor has a session; without one they may still see by the default key."""
    return _sessions(request).key(request) is not None


def _given(**parameters: str) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if value}


def _address(parameters: Mapping[str, str]) -> str:
    return f"/accounts?{urlencode(parameters)}" if parameters else "/accounts"


def _known(values: Iterable[str | None]) -> list[str]:
    return sorted({value for value in values if value})
