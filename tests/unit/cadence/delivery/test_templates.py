"""Templates: what they may say, how they end, and that no person's words change their form."""

import time

import pytest

from services.cadence.model.lint_mail import lint_mail
from services.cadence.model.templates import (
    Source,
    TemplateRefused,
    compile_template,
    with_links,
    with_marks,
)
from services.cadence.templates import SHIPPED

WORDS = {
    "person": {"name": "Kim"},
    "account": {"id": "acme"},
    "unsubscribe_url": "https://acme.test/u/x",
    "renews_on": "2026-04-01",
}
LISTS = {"renewal-notice"}


def page(body: str) -> str:
    """MJML with that text."""
    return (
        "<mjml><mj-body><mj-section><mj-column>"
        f"<mj-text>{body}</mj-text>"
        "</mj-column></mj-section></mj-body></mjml>"
    )


def source(body: str, subject: str = "Hello") -> Source:
    return Source(template="t", locale="en", subject=subject, body=page(body))


@pytest.mark.parametrize("key", SHIPPED)
def test_every_shipped_template_can_be_filled_in_and_has_nothing_wrong(key: tuple[str, str]):
    shipped = SHIPPED[key]

    filled = compile_template(shipped).fill(WORDS)

    assert "{{" not in filled.html + filled.text + filled.subject
    assert lint_mail(shipped, leaves_list=key[0] not in LISTS) == []


def test_every_shipped_template_is_there_in_both_languages():
    languages: dict[str, set[str]] = {}
    for template, locale in SHIPPED:
        languages.setdefault(template, set()).add(locale)

    assert all(known == {"ko", "en"} for known in languages.values())


@pytest.mark.parametrize(
    "bomb",
    [
        "{{ person.__class__ }}",
        "{{ person['__class__'] }}",
        "{{ (1..999999999) }}",
        "{{ (1..999999999) | first }}",
        "{% for a in (1..999999999) %}x{% endfor %}",
        "{% for a in (1..9) %}{% for b in (1..9) %}{% endfor %}{% endfor %}",
        "{% assign a = 'aaaaaaaa' %}",
        "{% capture a %}x{% endcapture %}",
        "{% include '/etc/passwd' %}",
        "{% render 'x' %}",
        "{{ 'a' | append: 'b' }}",
        "{{ 'a' | replace: '', 'aaaaaaaaaa' }}",
        "{{ 'now' | date: '%0999999999d' }}",
        "{{ nobody.said.that }}",
        "{% if",
        "{% for a in",
        "{% if true %}" * 30 + "{% endif %}" * 30,
        "<b>" * 500 + "</b>" * 500,
        "x" * 70_000,
    ],
)
def test_a_bomb_is_refused_at_once(bomb: str):
    began = time.monotonic()

    with pytest.raises(TemplateRefused):
        compile_template(source(bomb)).fill(WORDS)

    assert time.monotonic() - began < 2.0


def test_a_template_includes_no_file():
    body = '<mjml><mj-body><mj-include path="/etc/passwd" /></mj-body></mjml>'

    with pytest.raises(TemplateRefused):
        compile_template(Source(template="t", locale="en", subject="x", body=body))


def test_a_loop_over_a_long_list_ends():
    long = {**WORDS, "items": ["x" * 100] * 100_000}

    with pytest.raises(TemplateRefused):
        compile_template(source("{% for item in items %}{{ item }}{% endfor %}")).fill(long)


def test_a_person_called_as_markup_stays_text():
    name = "<img src=x onerror=alert(1)>{{ person }}</td></table><mj-text>"

    filled = compile_template(source("Hi {{ person.name }}", "For {{ person.name }}")).fill(
        {**WORDS, "person": {"name": name}}
    )

    assert "<img" not in filled.html
    assert "&lt;img" in filled.html
    assert name in filled.text
    assert name in filled.subject


def test_links_are_counted_and_their_targets_kept_apart():
    body = (
        '<a href="https://a.test/?x=1&amp;y={{ account.id }}">one</a>'
        ' <a href="{{ unsubscribe_url }}">out</a> <a href="mailto:us@a.test">mail</a>'
    )

    filled = compile_template(source(body)).fill(WORDS)
    addressed = with_links(filled, ["https://acme.test/t/c/1"])

    assert filled.targets == ["https://a.test/?x=1&y=acme"]
    assert 'href="https://acme.test/t/c/1"' in addressed.html
    assert "a.test/?x" not in addressed.html
    assert "one <https://acme.test/t/c/1>" in addressed.text
    assert "out <https://acme.test/u/x>" in addressed.text


@pytest.mark.parametrize(
    "target",
    ["javascript:alert(1)", "//evil.test", "https://a.test/\r\nx", "https:\\\\evil", "data:x", ""],
)
def test_a_link_that_a_fact_turns_into_something_else_is_refused(target: str):
    compiled = compile_template(source('<a href="{{ target }}">x</a>'))

    with pytest.raises(TemplateRefused):
        compiled.fill({**WORDS, "target": target})


def test_a_link_in_a_part_that_is_left_out_needs_no_target():
    compiled = compile_template(
        source('{% if plan_url %}<a href="{{ plan_url }}">x</a>{% endif %}')
    )

    assert compiled.fill(WORDS).targets == [None]
    assert compiled.fill({**WORDS, "plan_url": "https://a.test"}).targets == ["https://a.test"]


def test_comparisons_survive_the_way_through_mjml():
    compiled = compile_template(source("{% if days > 1 and days < 9 %}soon{% endif %}"))

    assert "soon" in compiled.fill({**WORDS, "days": 3}).text
    assert "soon" not in compiled.fill({**WORDS, "days": 9}).text


def test_pixel_and_hidden_link_stand_inside_the_page():
    marked = with_marks("<body>x</body>", pixel="https://a/p", trap="https://a/t")

    assert marked.endswith("</body>")
    assert 'src="https://a/p"' in marked
    assert 'href="https://a/t"' in marked


@pytest.mark.parametrize(
    ("locale", "words"),
    [("en", "1 April 2026"), ("ko", "2026년 4월 1일"), ("ko-KR", "2026년 4월 1일")],
)
def test_days_are_written_in_the_readers_language(locale: str, words: str):
    filled = compile_template(source(f'{{{{ renews_on | day: "{locale}" }}}}')).fill(WORDS)

    assert words in filled.text


@pytest.mark.parametrize(
    ("body", "subject", "rule"),
    [
        ('<a href="">x</a>', "Hello", "link_empty"),
        ('<a href="http://a.test">x</a>', "Hello", "link_not_https"),
        ('<a href="https://192.0.2.1/x">x</a>', "Hello", "link_hides_host"),
        ('<img src="https://a.test/x.png">', "Hello", "no_alt"),
        ("x", "FREE MONEY", "subject_shouts"),
        ("x", "Hello!!", "subject_lures"),
        ("x", "Hello", "no_unsubscribe"),
        ("{% if", "Hello", "does_not_compile"),
    ],
)
def test_lint_finds_what_is_wrong(body: str, subject: str, rule: str):
    found = {finding.rule for finding in lint_mail(source(body, subject), leaves_list=True)}

    assert rule in found
