"""A real Chromium in front of the running console; when none can be had, that is said loudly.

The system's own Chromium is taken, else the one that Playwright installed, else Playwright's
download, else the package of a Debian on which we are root. Nothing here outlives its module:
Playwright keeps an event loop running, which asynchronous tests could not share.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from tests.support.mainstay import Mainstay, Tenant, track
from tests.support.processes import ServiceProcess

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
INSTALL_SECONDS = 240
PAGE_MS = 20_000
NOT_RUN = pytest.StashKey[str]()


@pytest.fixture(scope="module")
def chromium(pytestconfig: pytest.Config) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = find_chromium(playwright)
        if browser is None:
            pytestconfig.stash[NOT_RUN] = "no Chromium was found and none could be installed"
            pytest.skip("no Chromium: BROWSER TESTS WERE NOT RUN")
        yield browser
        browser.close()


def find_chromium(playwright: Playwright) -> Browser | None:
    """The first Chromium that starts, installed if need be; None when none can be had."""
    for program in filter(None, map(shutil.which, PROGRAMS)):
        if browser := _launch(playwright, program):
            return browser
    if browser := _launch(playwright, None):
        return browser
    _run([sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"])
    if browser := _launch(playwright, None):
        return browser
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _run(["apt-get", "update", "-q"])
        _run(["apt-get", "install", "-qy", "--no-install-recommends", "chromium"])
        return _launch(playwright, shutil.which("chromium"))
    return None


def _launch(playwright: Playwright, program: str | None) -> Browser | None:
    try:
        return playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
    except PlaywrightError:
        return None


def _run(command: list[str]) -> None:
    """Try it; whether it helped shows when Chromium is started."""
    try:
        subprocess.run(command, timeout=INSTALL_SECONDS, check=False, capture_output=True)
    except (OSError, subprocess.TimeoutExpired):
        return


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if reason := config.stash.get(NOT_RUN, None):
        terminalreporter.section("BROWSER TESTS WERE NOT RUN", sep="!", red=True, bold=True)
        terminalreporter.write_line(reason)


@pytest.fixture(scope="module")
def tenant(mainstay: Mainstay) -> Tenant:
    """A workspace with 60 accounts, so that the list has two pages; the more days the better."""
    tenant = mainstay.new_tenant()
    now = datetime.now(UTC)
    events = [
        track(f"m-{number}-{day}", account=f"account-{number:02}", at=now - timedelta(days=3 * day))
        for number in range(60)
        for day in range(number + 1)
        if day <= 20
    ]
    group = {
        "type": "group",
        "messageId": "g-0",
        "groupId": "account-00",
        "userId": "u-1",
        "traits": {"name": "Sable Furniture", "owner": "ada@example.com", "segment": "SMB"},
    }
    assert mainstay.send(tenant, [group, *events]).json()["rejected"] == []
    for event in (group, *events[-60:]):
        mainstay.await_applied(tenant, str(event["messageId"]))
    return tenant


@pytest.fixture
def page(chromium: Browser, console: ServiceProcess) -> Iterator[Page]:
    """A page of a fresh visitor on a desktop."""
    with chromium.new_context(
        base_url=console.url, viewport={"width": 1280, "height": 900}
    ) as context:
        context.set_default_timeout(PAGE_MS)
        yield context.new_page()


@pytest.fixture
def phone(chromium: Browser, console: ServiceProcess) -> Iterator[Page]:
    """A page of a fresh visitor on a phone."""
    with chromium.new_context(
        base_url=console.url,
        viewport={"width": 390, "height": 844},
        is_mobile=True,
        has_touch=True,
    ) as context:
        context.set_default_timeout(PAGE_MS)
        yield context.new_page()
