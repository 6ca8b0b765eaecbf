"""Stands before the routes: security headers on every answer, error answers as pages."""

import json
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.console.pages import page
from services.console.session import COOKIE

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
# The page of the API runs a script that stands in it, from this site, and shows no workspace.
API_DOCS = "/docs"
API_DOCS_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
)

TITLES = {
    403: "Your key may not see this",
    404: "There is nothing here",
    422: "That cannot be read",
    503: "Not available right now",
}
UNAVAILABLE = {
    "health_unavailable": "The health service does not answer. Scores and accounts are shown as"
    " soon as it is back; nothing is lost meanwhile."
}


class Front:
    """Problem+json becomes a page for a browser, and stays as it is for a tool."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, receive, send)
        await self._app(scope, receive, answer.send)


class _Answer:
    """One answer on its way out; a problem is held back until it is whole."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._status: int | None = None
        self._problem = b""
        self._for_browser = "text/html" in Headers(scope=scope).get("accept", "")

    async def send(self, message: Message) -> None:
        """Pass on what the app answers, guarded."""
        if message["type"] == "http.response.start":
            kind = Headers(raw=message["headers"]).get("content-type", "")
            if self._for_browser and kind.startswith("application/problem+json"):
                self._status = message["status"]
            else:
                self._guard(message)
                await self._send(message)
        elif self._status is None:
            await self._send(message)
        else:
            self._problem += message.get("body", b"")
            if not message.get("more_body", False):
                response = self._page(self._status)
                await response(self._scope, self._receive, self._guarded)

    async def _guarded(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._guard(message)
        await self._send(message)

    def _guard(self, message: Message) -> None:
        headers = MutableHeaders(raw=message["headers"])
        headers.update(SECURITY_HEADERS)
        is_api_docs = self._scope["path"] == API_DOCS
        policy = API_DOCS_POLICY if is_api_docs else CONTENT_SECURITY_POLICY
        headers["content-security-policy"] = policy
        message["headers"] = headers.raw

    def _page(self, status: int) -> Response:
        if status == HTTPStatus.UNAUTHORIZED:
            return self._to_sign_in()
        problem: dict[str, Any] = json.loads(self._problem)
        phrase = HTTPStatus(status).phrase
        return page(
            "error.html",
            status=status,
            headers={"retry-after": "2"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None,
            heading=TITLES.get(status, phrase),
            message=UNAVAILABLE.get(problem["code"], problem["message"]),
            code=problem["code"],
            again=self._here() if status >= HTTPStatus.INTERNAL_SERVER_ERROR else None,
        )

    def _to_sign_in(self) -> Response:
        """To the sign-in page and back; a session whose key is no longer good is ended."""
        response = RedirectResponse(
            f"/sign-in?next={quote(self._here(), safe='')}", HTTPStatus.SEE_OTHER
        )
        response.delete_cookie(COOKIE, httponly=True, samesite="lax")
        return response

    def _here(self) -> str:
        """The page's own address; a form's answer has none to come back to."""
        if self._scope["method"] not in ("GET", "HEAD"):
            return "/"
        query = self._scope["query_string"].decode("latin-1")
        path = quote(self._scope["path"])
        return f"{path}?{query}" if query else path
