"""Who looks: the read key of a request, from its header, its sealed cookie, or the default."""

import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from cryptography.fernet import Fernet, InvalidToken
from fastapi import Depends, Request, Response

from services.console.settings import ConsoleSettings
from shared.auth import key_of
from shared.errors import DomainError

COOKIE = "mainstay_session"
MOST_KEY_LETTERS = 256


class SignInNeeded(DomainError):
    """No key came with the request and none is set for visitors."""

    code: ClassVar[str] = "missing_key"
    status: ClassVar[int] = 401


class ForeignForm(DomainError):
    """A form that another site sent: nobody asked for it here."""

    code: ClassVar[str] = "foreign_form"
    status: ClassVar[int] = 403


class Sessions:
    """Seals a key into a cookie and opens it again: no table, and any replica can read it."""

    def __init__(self, settings: ConsoleSettings) -> None:
        secret = settings.session_secret
        drawn = secret.get_secret_value() if secret else secrets.token_urlsafe(32)
        self._fernet = Fernet(urlsafe_b64encode(sha256(drawn.encode()).digest()))
        self._seconds = int(settings.session_hours * 3600)
        self._secure = settings.secure_cookies

    def begin(self, response: Response, key: str) -> None:
        """Let the browser keep the key, sealed."""
        response.set_cookie(
            COOKIE,
            self._fernet.encrypt(key.encode()).decode(),
            max_age=self._seconds,
            httponly=True,
            samesite="lax",
            secure=self._secure,
        )

    def end(self, response: Response) -> None:
        """Let the browser forget the key."""
        response.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=self._secure)

    def key(self, request: Request) -> str | None:
        """The key in the request's cookie; None without one, and for one too old or not ours."""
        sealed = request.cookies.get(COOKIE)
        if sealed is None:
            return None
        try:
            return self._fernet.decrypt(sealed.encode(), ttl=self._seconds).decode()
        except (InvalidToken, UnicodeError):
            return None


def _visitor_key(request: Request) -> str:
    """The key to read with: the header's, else the session's, else the default one."""
    settings: ConsoleSettings = request.app.state.settings
    sessions: Sessions = request.app.state.sessions
    found = key_of(request.headers.get("authorization")) or sessions.key(request)
    if found is not None:
        return found
    if settings.default_key is not None:
        return settings.default_key.get_secret_value()
    raise SignInNeeded("sign in with a read key, or send `Authorization: Bearer <key>`")


VisitorKey = Annotated[str, Depends(_visitor_key)]


def _own_form(request: Request) -> None:
    """Raises ForeignForm for a form that the browser says comes from elsewhere."""
    origin = request.headers.get("origin")
    if origin not in (None, "null") and urlsplit(origin).netloc != request.headers.get("host"):
        raise ForeignForm("this form was sent from another site")
    if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise ForeignForm("this form was sent from another site")


OwnForm = Depends(_own_form)


def local_path(wanted: str) -> str:
    """`wanted` where it is a path of this site, else the first page."""
    plain = wanted.startswith("/") and not wanted.startswith("//")
    safe = "\\" not in wanted and wanted.isprintable()
    return wanted if plain and safe else "/"
