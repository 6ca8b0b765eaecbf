"""A page as plain text: what a mail program without HTML shows, and some people prefer."""

import re
from html.parser import HTMLParser

UNSHOWN = frozenset({"style", "script", "title", "head"})
LINES = frozenset({"p", "div", "tr", "table", "h1", "h2", "h3", "h4", "ul", "ol", "br", "hr"})
BLANK_LINES = re.compile(r"\n\s*\n\s*")


def text_of(page: str) -> str:
    """The words of `page` in reading order; a link's address stands behind its words in <>."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    lines = [" ".join(line.split()) for line in "".join(reader.parts).split("\n")]
    return BLANK_LINES.sub("\n\n", "\n".join(lines)).strip() + "\n"


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hrefs: list[str] = []
        self._unshown = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in UNSHOWN:
            self._unshown += 1
        elif tag == "a":
            self._hrefs.append(dict(attrs).get("href") or "")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag == "img":
            self.parts.append(dict(attrs).get("alt") or "")
        elif tag in LINES:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in UNSHOWN:
            self._unshown = max(0, self._unshown - 1)
        elif tag == "a" and self._hrefs:
            href = self._hrefs.pop()
            if href:
                self.parts.append(f" <{href}>")
        elif tag in LINES:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unshown:
            self.parts.append(data.replace("\n", " "))
