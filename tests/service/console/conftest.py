"""Accounts to look at, and what a tool asks the console."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.support.mainstay import Mainstay, Tenant, track
from tests.support.processes import ServiceProcess

ODD_ACCOUNT = "a/b <i>?&c#d"


@pytest.fixture(scope="module")
def tenant(mainstay: Mainstay) -> Tenant:
    """A workspace with a steady account, a quiet one, and one with an awkward name."""
    tenant = mainstay.new_tenant()
    now = datetime.now(UTC)
    steady = [
        track(f"s-{day}", account="steady", at=now - timedelta(days=day, hours=1))
        for day in range(60)
    ]
    quiet = [track("q-1", account="quiet", at=now - timedelta(days=170))]
    odd = {
        "type": "group",
        "messageId": "g-odd",
        "groupId": ODD_ACCOUNT,
        "userId": "u-<b>",
        "traits": {"name": "<script>alert('x')</script> & Söhne", "owner": "ada@example.com"},
    }
    answer = mainstay.send(tenant, [*steady, *quiet, odd])
    assert answer.json()["rejected"] == []
    for message_id in ("s-59", "q-1", "g-odd"):
        mainstay.await_applied(tenant, message_id)
    return tenant


@pytest.fixture
def browser(console: ServiceProcess) -> Iterator[httpx.Client]:
    """Asks as a browser does, and follows nothing by itself."""
    with httpx.Client(
        base_url=console.url, headers={"accept": "text/html,*/*"}, trust_env=False, timeout=20
    ) as client:
        yield client


@pytest.fixture
def visitor(browser: httpx.Client, tenant: Tenant) -> httpx.Client:
    """A browser that has signed in."""
    answer = browser.post("/sign-in", data={"key": tenant.read})
    assert answer.status_code == httpx.codes.SEE_OTHER, answer.text
    return browser
