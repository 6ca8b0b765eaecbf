"""What is wrong with a template before anybody gets it: spam marks, links, what readers need."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

from services.cadence.model.templates import Source, TemplateRefused, compile_template

SHOUTED = re.compile(r"[A-Z]{4,}")
LURES = re.compile(
    r"100% free|act now|click here|winner|risk[- ]free|무료 증정|지금 바로 클릭|당첨|\(광고\).*!!",
    re.IGNORECASE,
)
SUBJECT_LENGTH = 78
MOST_HTML_BYTES = 100_000  # Gmail cuts a letter off at 102 kB
MOST_EXCLAMATIONS = 1


@dataclass(frozen=True)
class Finding:
    """Something wrong: `severity` error (cannot be sent) or warning (should not be)."""

    severity: str
    rule: str
    message: str


def lint_mail(source: Source, *, leaves_list: bool) -> list[Finding]:
    """All that is wrong with a template. `leaves_list`: it needs a way to unsubscribe."""
    try:
        compiled = compile_template(source)
    except TemplateRefused as refused:
        return [Finding("error", "does_not_compile", refused.message)]
    page = str(compiled.html)
    findings = [*_subject(source.subject), *_page(source.body)]
    if leaves_list and "unsubscribe_url" not in source.body:
        findings.append(
            Finding("error", "no_unsubscribe", "{{ unsubscribe_url }} stands nowhere in the body")
        )
    if len(page.encode()) > MOST_HTML_BYTES:
        findings.append(Finding("warning", "too_long", "Gmail cuts a letter off at 102 kB"))
    return findings


def _subject(subject: str) -> Iterator[Finding]:
    if len(subject) > SUBJECT_LENGTH:
        yield Finding("warning", "subject_long", f"longer than {SUBJECT_LENGTH} characters")
    if SHOUTED.search(re.sub(r"\{[{%].*?[%}]\}", "", subject)):
        yield Finding("warning", "subject_shouts", "words in capitals look like spam")
    if subject.count("!") > MOST_EXCLAMATIONS or LURES.search(subject):
        yield Finding("warning", "subject_lures", "the subject reads like spam")


def _page(body: str) -> Iterator[Finding]:
    reader = _Reader()
    reader.feed(body)
    yield from reader.findings
    if LURES.search(body):
        yield Finding("warning", "body_lures", "a phrase that filters take for spam")
    if not reader.words:
        yield Finding("error", "no_words", "pictures only: some people see none of it")


class _Reader(HTMLParser):
    """Looks at links and pictures as they stand in the source."""

    def __init__(self) -> None:
        super().__init__()
        self.findings: list[Finding] = []
        self.words = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in {"a", "mj-button"}:
            self._look_at_link((given.get("href") or "").strip())
        if tag in {"img", "mj-image"} and not given.get("alt"):
            self._find("warning", "no_alt", "a picture without alt text")

    def handle_data(self, data: str) -> None:
        self.words = self.words or bool(data.strip())

    def _look_at_link(self, href: str) -> None:
        if not href:
            self._find("error", "link_empty", "a link without address")
        elif href.lower().startswith("http://"):
            self._find("warning", "link_not_https", f"{href[:80]} is not https")
        elif not href.startswith(("https://", "{{", "mailto:")):
            self._find("error", "link_unusable", f"{href[:80]} is no web address")
        elif re.match(r"https://(\d{1,3}\.){3}\d|https://[^/]*@", href):
            self._find("warning", "link_hides_host", f"{href[:80]} hides where it leads")

    def _find(self, severity: str, rule: str, message: str) -> None:
        self.findings.append(Finding(severity, rule, message))
