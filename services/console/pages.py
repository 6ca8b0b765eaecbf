"""Templates and how values are written on pages. Everything is escaped; nothing is marked safe."""

from datetime import date, datetime
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

HERE = Path(__file__).parent
STYLESHEET = (HERE / "static" / "console.css").read_bytes()
ICON = (HERE / "static" / "icon.svg").read_bytes()
VERSION = sha256(STYLESHEET + ICON).hexdigest()[:12]  # in addresses, so that they may be kept

BAND_WORDS = {"red": "Red", "amber": "Amber", "green": "Green", "unknown": "Unknown"}
MEASURE_WORDS = {
    "active_weeks": "Active weeks",
    "active_days": "Active days",
    "no_use": "Starting point",
}
ROLE_WORDS = {"user": "User", "admin": "Admin", "champion": "Champion", "sponsor": "Sponsor"}
MINUS = "\N{MINUS SIGN}"
DAYS_IN_WORDS = 60  # older than that, a date says more


def page(
    template: str,
    /,
    *,
    status: int = HTTPStatus.OK,
    headers: dict[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """A page; never kept by caches, since it shows what a key may see."""
    body = _templates.get_template(template).render(version=VERSION, **values)
    return HTMLResponse(body, status, {"cache-control": "no-store", **(headers or {})})


def ago(moment: date | datetime, now: datetime) -> str:
    """How long ago, in days: `today`, `yesterday`, `11 days ago`, or the date."""
    day = moment.astimezone(now.tzinfo).date() if isinstance(moment, datetime) else moment
    days = (now.date() - day).days
    if days <= 0:
        return "today"
    if days == 1:
        return "yesterday"
    return f"{days} days ago" if days <= DAYS_IN_WORDS else in_words(day)


def in_words(moment: date | datetime) -> str:
    """For example `3 Nov 2025`."""
    return f"{moment.day} {moment:%b %Y}"


def signed(points: float) -> str:
    """Whole points with their sign: `+4`, `0`, and below that with a true minus."""
    rounded = round(points)
    if rounded == 0:
        return "0"
    return f"+{rounded}" if rounded > 0 else f"{MINUS}{-rounded}"


def titled(word: str, words: dict[str, str]) -> str:
    """The word for people; one we have no word for stands as it is."""
    return words.get(word, word.replace("_", " ").capitalize())


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "ago": ago,
        "in_words": in_words,
        "signed": signed,
        "band": lambda band: titled(band, BAND_WORDS),
        "measure": lambda measure: titled(measure, MEASURE_WORDS),
        "role": lambda role: titled(role, ROLE_WORDS),
    }
    return environment


_templates = _environment()
