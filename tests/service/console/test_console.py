"""The console over HTTP: who gets in, what is shown, and what stands when health does not."""

from urllib.parse import quote

import httpx
import pytest

from deploy.local.waiting import wait_until
from tests.service.console.conftest import ODD_ACCOUNT
from tests.support.mainstay import Mainstay, Tenant
from tests.support.processes import ServiceProcess


def test_visitor_without_key_is_led_to_the_sign_in_page_and_back(
    browser: httpx.Client, tenant: Tenant
):
    led = browser.get("/accounts?band=red&text=%22")
    page = browser.get(led.headers["location"])
    back = browser.post(
        "/sign-in", data={"key": tenant.read, "next": "/accounts?band=red&text=%22"}
    )

    assert led.status_code == 303
    assert "/accounts?band=red&amp;text=%22" in page.text
    assert (back.status_code, back.headers["location"]) == (303, "/accounts?band=red&text=%22")


def test_tool_without_key_gets_a_problem_and_no_page(console: ServiceProcess):
    answer = httpx.get(f"{console.url}/accounts", headers={"accept": "application/json"})

    assert answer.status_code == 401
    assert answer.json()["code"] == "missing_key"


@pytest.mark.parametrize("form", ["bearer", "basic"])
def test_tool_may_send_the_key_in_a_header(browser: httpx.Client, tenant: Tenant, form: str):
    if form == "bearer":
        answer = browser.get("/accounts", headers={"authorization": f"Bearer {tenant.read}"})
    else:
        answer = browser.get("/accounts", auth=(tenant.read, ""))

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("key", "status", "words"),
    [
        ("", 422, "Paste a read key"),
        ("nonsense", 401, "not known"),
        ("schlüssel", 401, "not known"),
    ],
)
def test_key_that_is_no_good_is_refused_in_words(
    browser: httpx.Client, key: str, status: int, words: str
):
    answer = browser.post("/sign-in", data={"key": key})

    assert answer.status_code == status
    assert words in answer.text
    assert "set-cookie" not in answer.headers


def test_write_key_is_told_apart_from_an_unknown_one(browser: httpx.Client, tenant: Tenant):
    answer = browser.post("/sign-in", data={"key": tenant.write})

    assert answer.status_code == 403
    assert "may not read" in answer.text


def test_form_of_another_site_signs_nobody_in(browser: httpx.Client, tenant: Tenant):
    answer = browser.post(
        "/sign-in", data={"key": tenant.read}, headers={"origin": "https://evil.example"}
    )

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_signing_out_ends_the_session(visitor: httpx.Client):
    before = visitor.get("/accounts").status_code
    visitor.post("/sign-out")

    assert before == 200
    assert visitor.get("/accounts").status_code == 303


def test_accounts_stand_lowest_score_first_with_their_first_reason(visitor: httpx.Client):
    page = visitor.get("/accounts").text

    assert page.index(">quiet<") < page.index(">steady<")
    assert "active weeks of the last 13" in page


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [("band=green", "steady", "quiet"), ("text=QUI", "quiet", "steady")],
)
def test_filters_narrow_the_list(visitor: httpx.Client, query: str, shown: str, hidden: str):
    page = visitor.get(f"/accounts?{query}").text

    assert f">{shown}<" in page
    assert f">{hidden}<" not in page


def test_filter_that_matches_nothing_says_so(visitor: httpx.Client):
    assert "No account matches" in visitor.get("/accounts?text=zzz").text


def test_band_that_is_none_is_told_in_a_page(visitor: httpx.Client):
    answer = visitor.get("/accounts?band=purple")

    assert answer.status_code == 422
    assert "That cannot be read" in answer.text


def test_account_shows_score_reasons_and_26_weeks(visitor: httpx.Client):
    page = visitor.get("/accounts/steady").text

    assert "Points add up to the score." in page
    assert "active days of the last 30" in page
    assert page.count('class="level-') >= 176
    assert "u-1" in page


def test_awkward_names_are_shown_and_run_nothing(visitor: httpx.Client):
    listed = visitor.get("/accounts?text=hne").text
    address = f"/accounts/{quote(ODD_ACCOUNT)}"
    shown = visitor.get(f"/accounts/{quote(ODD_ACCOUNT, safe='')}").text

    assert f'href="{address}"' in listed
    for page in (listed, shown, visitor.get(address).text):
        assert "<script>" not in page
        assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; Söhne" in page


@pytest.mark.usefixtures("tenant")
def test_other_workspaces_accounts_are_not_there(browser: httpx.Client, mainstay: Mainstay):
    stranger = mainstay.new_tenant()
    browser.post("/sign-in", data={"key": stranger.read})

    assert ">steady<" not in browser.get("/accounts").text
    assert browser.get("/accounts/steady").status_code == 404


def test_unknown_page_and_unknown_account_are_told_in_pages(visitor: httpx.Client):
    for path in ("/nothing", "/accounts/none"):
        answer = visitor.get(path)

        assert answer.status_code == 404
        assert "There is nothing here" in answer.text


@pytest.mark.parametrize("path", ["/accounts", "/sign-in", "/nothing", "/static/console.css"])
def test_every_answer_bears_the_security_headers(visitor: httpx.Client, path: str):
    headers = visitor.get(path).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe-inline" not in headers["content-security-policy"]
    assert headers["referrer-policy"] == "same-origin"


def test_pages_load_nothing_from_elsewhere_and_hold_no_inline_style_or_script(
    visitor: httpx.Client,
):
    for path in ("/accounts", "/accounts/steady", "/sign-in"):
        page = visitor.get(path).text

        assert "http://" not in page
        assert "https://" not in page
        assert "<script" not in page
        assert "style=" not in page


def test_key_stands_in_no_address_no_page_and_no_log(
    visitor: httpx.Client, console: ServiceProcess, tenant: Tenant
):
    page = visitor.get("/accounts").text

    assert tenant.read not in page
    assert tenant.read not in console.log.read_text()


def test_default_key_lets_visitors_in(mainstay: Mainstay, tenant: Tenant):
    settings = {"HEALTH_URL": mainstay.health.url, "CONSOLE_DEFAULT_KEY": tenant.read}

    with ServiceProcess("console", settings) as open_console:
        answer = httpx.get(f"{open_console.url}/accounts", headers={"accept": "text/html"})

    assert answer.status_code == 200
    assert ">steady<" in answer.text


def test_health_down_is_a_page_that_says_so_and_the_console_is_not_ready(
    visitor: httpx.Client, mainstay: Mainstay
):
    try:
        mainstay.health.terminate()
        down = visitor.get("/accounts")
        unready = wait_until(lambda: visitor.get("/ready").status_code == 503, timeout_seconds=15)
        dependencies = visitor.get("/ready").json()["dependencies"]
    finally:
        mainstay.health.start()
        mainstay.health.wait_ready()

    assert down.status_code == 503
    assert "The health service does not answer" in down.text
    assert down.headers["retry-after"]
    assert unready
    assert "does not answer" in dependencies["health"]
    assert wait_until(lambda: visitor.get("/ready").status_code == 200, timeout_seconds=15)
    assert visitor.get("/accounts").status_code == 200


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/docs", "/openapi.json"])
def test_console_is_operated_like_every_service(console: ServiceProcess, path: str):
    assert httpx.get(f"{console.url}{path}").status_code == 200
