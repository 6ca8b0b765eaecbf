"""Templates: MJML with Liquid in it, compiled once, filled in for each person.

A template is turned into HTML *before* any person's words are in it, so that nothing a person is
called can change its form. What is filled in is Liquid cut down to what a letter needs: the tags
and filters named here, no ranges, bounded loops, depth, output and source.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from html import escape, unescape
from typing import Any, ClassVar

import css_inline
import mrml
from liquid import Environment, FalsyStrictUndefined
from liquid.exceptions import LiquidError
from liquid.template import BoundTemplate

from services.cadence.model.nesting import TooDeep, require_shallow
from services.cadence.model.texts import text_of
from shared.errors import DomainError

SOURCE_CHARACTERS = 60_000
LOOP_ROUNDS = 500
OUTPUT_BYTES = 200_000
SUBJECT_CHARACTERS = 200
TAGS = frozenset(
    {"if", "unless", "case", "for", "comment", "break", "continue", "content", "output", "illegal"}
)
FILTERS = frozenset(
    {"capitalize", "default", "downcase", "escape", "first", "last", "size", "strip", "truncate",
     "upcase"}
)  # fmt: skip
IN_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
HREF = re.compile(r'(?<=\shref=")[^"]*(?=")')
FOLLOWED = re.compile(r"\s*(https?://|\{\{)", re.IGNORECASE)
OWN_LINKS = re.compile(r"\{\{-?\s*(unsubscribe_url|invitation_url)\s*-?\}\}")
SCHEMES = ("http://", "https://")
UNUSABLE = re.compile(r"[\s\\\x00-\x1f\x7f]")
BODY_END = "</body>"
# Fonts that mrml would otherwise have mail programs fetch from a stranger.
PLAIN = mrml.RenderOptions(disable_comments=False, fonts={})
NO_INCLUDES = mrml.ParserOptions(include_loader=mrml.noop_loader())
INLINER = css_inline.CSSInliner(
    load_remote_stylesheets=False, keep_style_tags=True, keep_at_rules=True
)


class TemplateRefused(DomainError):
    """A template that cannot be used, or not for this person; the reason names the place."""

    code: ClassVar[str] = "template_refused"
    status: ClassVar[int] = 422


@dataclass(frozen=True, kw_only=True)
class Source:
    """A template as it was written, in one language."""

    template: str
    locale: str
    subject: str
    body: str
    version: int = 1


@dataclass(frozen=True)
class Filled:
    """A letter's words for one person. Links stand as `{link:0}` until they have addresses."""

    subject: str
    html: str
    text: str
    targets: Sequence[str | None]
    """Where each link leads; None for one that stands in a part that was left out."""


class _Letter(Environment):
    """Liquid as far as a letter needs it."""

    loop_iteration_limit = LOOP_ROUNDS
    output_stream_limit = OUTPUT_BYTES
    local_namespace_limit = 10_000
    context_depth_limit = 12
    block_nesting_limit = 8

    def __init__(self, *, escapes: bool) -> None:
        super().__init__(undefined=FalsyStrictUndefined, strict_filters=True, autoescape=escapes)
        self.tags = {name: tag for name, tag in self.tags.items() if name in TAGS}
        self.filters = {name: call for name, call in self.filters.items() if name in FILTERS}
        self.filters["day"] = _day


@dataclass(frozen=True)
class Compiled:
    """A template ready to be filled in."""

    subject: BoundTemplate
    html: BoundTemplate
    text: BoundTemplate
    targets: Sequence[BoundTemplate]

    def fill(self, words: Mapping[str, Any]) -> Filled:
        """The letter for `words`. Raises TemplateRefused where a word is missing or it grows
        beyond its bounds.
        """
        try:
            marks = {f"link_{place}": f"{{link:{place}}}" for place in range(len(self.targets))}
            filled = Filled(
                subject=" ".join(self.subject.render(**words).split())[:SUBJECT_CHARACTERS],
                html=self.html.render(**words, links=marks),
                text=self.text.render(**words, links=marks),
                targets=(),
            )
            targets = [
                _target(target, words) if f"{{link:{place}}}" in filled.html else None
                for place, target in enumerate(self.targets)
            ]
        except (LiquidError, RecursionError) as error:
            raise TemplateRefused(_first_line(error)) from error
        if not filled.subject:
            raise TemplateRefused("the subject is empty")
        return replace(filled, targets=targets)


@lru_cache(maxsize=512)
def compile_template(source: Source) -> Compiled:
    """The template, checked. Raises TemplateRefused with the reason."""
    for part in (source.subject, source.body):
        _require_small(part)
        _require_plain_tags(part)
    page, hrefs = _numbered_links(_html_of(source.body))
    try:
        return Compiled(
            subject=_PLAIN.from_string(source.subject),
            html=_ESCAPING.from_string(page),
            text=_PLAIN.from_string(text_of(page)),
            targets=[_PLAIN.from_string(href) for href in hrefs],
        )
    except (LiquidError, RecursionError) as error:
        raise TemplateRefused(_first_line(error)) from error


def with_links(filled: Filled, addresses: Sequence[str]) -> Filled:
    """The letter with an address in the place of every link."""
    html, text = filled.html, filled.text
    for place, address in enumerate(addresses):
        html = html.replace(f"{{link:{place}}}", escape(address))
        text = text.replace(f"{{link:{place}}}", address)
    return replace(filled, html=html, text=text)


def with_marks(html: str, *, pixel: str, trap: str) -> str:
    """The page with its open pixel, and a link that no person sees: who follows it is a machine."""
    marks = (
        f'<a href="{escape(trap)}" style="display:none" aria-hidden="true" tabindex="-1"></a>'
        f'<img src="{escape(pixel)}" width="1" height="1" alt="" style="display:block">'
    )
    head, end, tail = html.rpartition(BODY_END)
    return f"{head}{marks}{end}{tail}" if end else html + marks


def _html_of(mjml: str) -> str:
    try:
        require_shallow(mjml)
        # `{% if days < 8 %}` is no element; and serialising escapes what stands inside Liquid too.
        safe = IN_TAG.sub(lambda found: escape(found.group(), quote=False), mjml)
        page = mrml.to_html(safe, NO_INCLUDES, PLAIN).content
        inlined = INLINER.inline(page)
    except (OSError, ValueError, TooDeep) as error:
        raise TemplateRefused(f"the body is no MJML: {_first_line(error)}") from error
    return IN_TAG.sub(lambda found: unescape(found.group()), inlined)


def _numbered_links(page: str) -> tuple[str, list[str]]:
    """The page whose links are `{{ links.link_0 }}`, ..., and what stood there."""
    hrefs: list[str] = []

    def numbered(found: re.Match[str]) -> str:
        href = found.group()
        if not FOLLOWED.match(href) or OWN_LINKS.fullmatch(href.strip()):
            return href
        hrefs.append(unescape(href))
        return f"{{{{ links.link_{len(hrefs) - 1} }}}}"

    return HREF.sub(numbered, page), hrefs


def _target(expression: BoundTemplate, words: Mapping[str, Any]) -> str:
    """Where a link leads. Raises TemplateRefused for anything that is no web address."""
    target = expression.render(**words).strip()
    if not target.lower().startswith(SCHEMES) or UNUSABLE.search(target):
        raise TemplateRefused(f"a link leads to {target[:80]!r}, which is no web address")
    return target


def _require_small(part: str) -> None:
    if len(part) > SOURCE_CHARACTERS:
        raise TemplateRefused(f"longer than {SOURCE_CHARACTERS} characters")


def _require_plain_tags(part: str) -> None:
    """Refuse ranges: `(1..999999999)` is a list of that many numbers to any filter."""
    for tag in IN_TAG.findall(part):
        if ".." in QUOTED.sub("", tag):
            raise TemplateRefused(f"a range in {tag[:60]!r}: loops go over lists only")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _day(value: object, locale: str = "en") -> str:
    """A civil date in words: `2026-03-01` is 1 March 2026, and 2026년 3월 1일 in Korean."""
    try:
        day = date.fromisoformat(str(value)[:10])
    except ValueError:
        return str(value)[:40]
    if locale.lower().startswith("ko"):
        return f"{day.year}년 {day.month}월 {day.day}일"
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_ESCAPING = _Letter(escapes=True)
_PLAIN = _Letter(escapes=False)
