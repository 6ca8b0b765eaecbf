"""How deep the elements of a page stand in each other: native parsers recurse on it."""

from html.parser import HTMLParser

MOST_LEVELS = 40
MOST_ELEMENTS = 3_000
VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "wbr", "col"})


class TooDeep(ValueError):
    """More elements, or deeper in each other, than a letter has."""


def require_shallow(page: str) -> None:
    """Raise TooDeep for a page of too many elements, or with too many in each other."""
    _Depth().feed(page)


class _Depth(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self._levels = 0
        self._elements = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._elements += 1
        if tag not in VOID:
            self._levels += 1
        if self._levels > MOST_LEVELS or self._elements > MOST_ELEMENTS:
            raise TooDeep(f"more than {MOST_LEVELS} levels or {MOST_ELEMENTS} elements")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._elements += 1
        if self._elements > MOST_ELEMENTS:
            raise TooDeep(f"more than {MOST_ELEMENTS} elements")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and self._levels > 0:
            self._levels -= 1
