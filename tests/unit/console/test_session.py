"""Who a request is from, and where a sign-in leads."""

import pytest
from fastapi import Request, Response

from services.console.session import COOKIE, Sessions, local_path
from services.console.settings import ConsoleSettings


def sessions(secret: str | None = "s" * 32, hours: float = 12.0) -> Sessions:
    return Sessions(
        ConsoleSettings.model_validate({"session_secret": secret, "session_hours": hours})
    )


def sealed_by(of: Sessions, key: str) -> str:
    response = Response()
    of.begin(response, key)
    cookie: str = response.headers["set-cookie"]
    return cookie.partition(";")[0].partition("=")[2].strip('"')


def request_with(cookie: str) -> Request:
    return Request({"type": "http", "headers": [(b"cookie", f"{COOKIE}={cookie}".encode())]})


def test_key_comes_back_from_the_cookie_and_cannot_be_read_in_it():
    cookie = sealed_by(sessions(), "ms_read_abc")

    assert "ms_read_abc" not in cookie
    assert sessions().key(request_with(cookie)) == "ms_read_abc"


def test_cookie_is_kept_from_scripts_and_other_sites():
    response = Response()
    sessions().begin(response, "k")

    attributes = response.headers["set-cookie"].lower()

    assert "httponly" in attributes
    assert "samesite=lax" in attributes


@pytest.mark.parametrize("change", ["", "x", "gAAAAA", "\u00e9"])
def test_cookie_that_is_none_of_ours_tells_no_key(change: str):
    assert sessions().key(request_with(change)) is None


def test_cookie_sealed_with_another_secret_tells_no_key():
    cookie = sealed_by(sessions("a" * 32), "k")

    assert sessions("b" * 32).key(request_with(cookie)) is None


def test_changed_cookie_tells_no_key():
    cookie = sealed_by(sessions(), "k")

    assert sessions().key(request_with(cookie[:-4] + "AAAA")) is None


@pytest.mark.parametrize(
    ("wanted", "led_to"),
    [
        ("/accounts?band=red", "/accounts?band=red"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/a\nSet-Cookie: x", "/"),
        ("", "/"),
    ],
)
def test_sign_in_leads_to_pages_of_this_site_alone(wanted: str, led_to: str):
    assert local_path(wanted) == led_to


def test_setting_that_is_empty_counts_as_not_set():
    settings = ConsoleSettings.model_validate({"default_key": "", "session_secret": ""})

    assert settings.default_key is None
    assert settings.session_secret is None
