"""The console as people use it, in a real Chromium."""

import re

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.support.mainstay import Tenant
from tests.support.processes import ServiceProcess

pytestmark = pytest.mark.usefixtures("chromium", "tenant")  # without a browser, nothing is started

# Relative luminance contrast (WCAG 2) of every visible text against what is really behind it.
LOW_CONTRAST = """
() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = channels(getComputedStyle(at).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest("svg")) continue;
    const style = getComputedStyle(element);
    const [a, b] = [luminance(channels(style.color)), luminance(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push(`${element.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return low;
}
"""


def sign_in(page: Page, tenant: Tenant) -> None:
    page.goto("/accounts")
    page.get_by_label("Read key").fill(tenant.read)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Accounts", level=1)).to_be_visible()


def test_person_signs_in_finds_the_lowest_account_and_reads_why(page: Page, tenant: Tenant):
    sign_in(page, tenant)

    first = page.get_by_role("row").nth(1)
    expect(first).to_contain_text("Sable Furniture")
    expect(first).to_contain_text(re.compile("of the last 13", re.IGNORECASE))
    first.get_by_role("link").click()

    expect(page.get_by_role("heading", name="Sable Furniture", level=1)).to_be_visible()
    expect(page.get_by_role("region", name="Health")).to_contain_text("of 100")
    expect(page.get_by_role("region", name="Health").get_by_role("listitem").first).to_contain_text(
        "Active weeks"
    )
    assert tenant.read not in page.url


def test_strip_is_a_picture_with_words_and_a_table(page: Page, tenant: Tenant):
    sign_in(page, tenant)
    page.goto("/accounts/account-20")

    strip = page.get_by_role("img", name=re.compile("Daily use since .* active days of"))
    expect(strip).to_be_visible()
    assert strip.locator("rect").count() >= 176
    expect(strip.locator("rect").last.locator("title")).to_have_text(
        re.compile(r"\w{3} \d+ \w{3} \d{4}: 1 event")
    )
    sides = strip.locator("rect").evaluate_all(
        "found => [...new Set(found.map((mark) => mark.getAttribute('width')))].length"
    )
    assert sides >= 2, "days with and without use differ in size, not in colour alone"

    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("table", name=re.compile("Use by week"))).to_be_visible()


def test_filters_are_kept_in_the_address_and_can_be_cleared(page: Page, tenant: Tenant):
    sign_in(page, tenant)

    page.get_by_label("Name or id").fill("sable")
    page.get_by_label("Segment").fill("SMB")
    page.get_by_role("button", name="Show").click()

    expect(page.locator("tbody tr")).to_have_count(1)
    assert "text=sable" in page.url
    expect(page.get_by_label("Name or id")).to_have_value("sable")
    page.get_by_role("link", name="Clear").click()
    expect(page.locator("tbody tr")).to_have_count(50)


def test_pages_of_the_list_show_every_account_once(page: Page, tenant: Tenant):
    sign_in(page, tenant)

    first = page.locator("tbody th").all_inner_texts()
    page.get_by_role("link", name="Next page").click()
    expect(page.locator("tbody tr")).to_have_count(10)
    second = page.locator("tbody th").all_inner_texts()

    assert len(set(first) | set(second)) == 60
    expect(page.get_by_role("link", name="Next page")).to_have_count(0)


def test_keyboard_alone_signs_in_and_opens_an_account(page: Page, tenant: Tenant):
    page.goto("/accounts")
    expect(page.get_by_role("textbox", name="Read key")).to_be_focused()
    page.keyboard.type(tenant.read)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Accounts", level=1)).to_be_visible()

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.get_by_role("link", name="Sable Furniture").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Sable Furniture", level=1)).to_be_visible()


def test_console_works_without_javascript(
    chromium: Browser, console: ServiceProcess, tenant: Tenant
):
    with chromium.new_context(base_url=console.url, java_script_enabled=False) as context:
        page = context.new_page()
        sign_in(page, tenant)
        page.get_by_label("Band").select_option("red")
        page.get_by_role("button", name="Show").click()

        expect(page.get_by_role("link", name="Sable Furniture")).to_be_visible()


@pytest.mark.parametrize("path", ["/accounts", "/accounts/account-00", "/sign-in", "/accounts/no"])
def test_phone_shows_everything_without_scrolling_sideways(phone: Page, tenant: Tenant, path: str):
    sign_in(phone, tenant)
    phone.goto(path)

    assert phone.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/accounts", "/accounts/account-20", "/sign-in"])
def test_text_can_be_read_in_both_schemes(page: Page, tenant: Tenant, scheme: str, path: str):
    sign_in(page, tenant)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(path)

    assert page.evaluate(LOW_CONTRAST) == []


def test_no_page_breaks_the_content_security_policy(page: Page, tenant: Tenant):
    complaints: list[str] = []

    def complain(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            complaints.append(message.text)

    page.on("console", complain)
    sign_in(page, tenant)
    for path in ("/accounts", "/accounts/account-20", "/sign-in", "/accounts/no"):
        page.goto(path)

    assert complaints == []


def test_page_of_the_api_is_shown_without_any_other_site(page: Page, console: ServiceProcess):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto("/docs")

    expect(page.get_by_text("One account").first).to_be_visible()
    assert [url for url in asked if not url.startswith((console.url, "data:"))] == []


def test_every_page_has_one_heading_one_main_and_named_tables(page: Page, tenant: Tenant):
    sign_in(page, tenant)
    for path in ("/accounts", "/accounts/account-20", "/sign-in", "/accounts/no"):
        page.goto(path)

        assert page.locator("h1").count() == 1
        assert page.get_by_role("main").count() == 1
        assert page.locator("html").get_attribute("lang") == "en"
        for table in page.locator("table").all():
            assert table.locator("caption").count() == 1
        for field in page.locator("input:not([hidden]):not([type=hidden]), select").all():
            assert page.locator(f"label[for={field.get_attribute('id')}]").count() == 1
