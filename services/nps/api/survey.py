"""The public survey page: GET shows and records nothing, POST records. No JavaScript is needed."""

import re
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.nps.api.responses import storable
from services.nps.api.wording import LANGUAGES, WORDS, scale_of
from services.nps.model.tokens import claimed_workspace, link_of
from services.nps.store.invitations import Asked, get_asked, load_asked
from services.nps.store.link_keys import get_secret
from services.nps.store.recording import Said, record
from shared.db import Tx
from shared.http import Transaction

router = APIRouter(include_in_schema=True, tags=["survey"])

# A comment of 1 MB, each of its bytes written as three characters, and the other fields.
MOST_BYTES = 4 * 1024 * 1024
MOST_FIELDS = 20
MODES = ("email", "page", "widget")
WHOLE = re.compile(r"0|[1-9][0-9]?", re.ASCII)
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
}
_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent.parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@router.head("/s/{token}", include_in_schema=False)
@router.get(
    "/s/{token}", summary="The survey page; it records nothing", response_class=HTMLResponse
)
async def show_survey(
    request: Request,
    tx: Transaction,
    token: str,
    score: Annotated[str | None, Query(description="The score to preselect.")] = None,
) -> HTMLResponse:
    """The question with the score preselected, or that the survey is closed."""
    now: datetime = request.app.state.clock()
    asked = await _asked(tx, token, now, lock=False)
    language = _language(asked, request)
    if asked is None:
        return _page("gone.html", language, HTTPStatus.NOT_FOUND)
    if _is_closed(asked, now):
        return _page("closed.html", language, HTTPStatus.GONE)
    chosen = None if score is None else _score(score, asked.kind)
    mode = "page" if score is None else "email"
    return _question(asked, language, chosen=chosen, mode=mode)


@router.post(
    "/s/{token}",
    summary="Answer the survey",
    response_class=HTMLResponse,
    max_body_size=MOST_BYTES,
    openapi_extra={
        "requestBody": {
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "required": ["score"],
                        "properties": {
                            "score": {"type": "string", "examples": ["9"]},
                            "comment": {"type": "string"},
                        },
                    }
                }
            }
        }
    },
)
async def answer_survey(request: Request, tx: Transaction, token: str) -> HTMLResponse:
    """Record the answer: the last one before the close counts, however often one is sent."""
    now: datetime = request.app.state.clock()
    asked = await _asked(tx, token, now, lock=True)
    language = _language(asked, request)
    if asked is None:
        return _page("gone.html", language, HTTPStatus.NOT_FOUND)
    fields = _fields(await request.body())
    score = _score(fields.get("score", ""), asked.kind)
    if score is None:
        if _is_closed(asked, now):
            return _page("closed.html", language, HTTPStatus.GONE)
        return _question(asked, language, chosen=None, mode="page", fault=True)
    mode = fields.get("mode", "")
    said = Said(
        score=score,
        comment=storable(fields.get("comment")) or None,
        mode=mode if mode in MODES else "page",
    )
    if not await record(tx, asked, said, now=now):
        return _page("closed.html", language, HTTPStatus.GONE)
    return _page("thanks.html", language, HTTPStatus.OK)


async def _asked(tx: Tx, token: str, now: datetime, *, lock: bool) -> Asked | None:
    """What a link asks; None where it is forged, swapped or has expired, all alike."""
    workspace = claimed_workspace(token)
    secret = None if workspace is None else await get_secret(tx, workspace)
    link = None if secret is None else link_of(token, secret=secret, now=now)
    if link is None or link.workspace != workspace:
        return None
    look = load_asked if lock else get_asked
    return await look(tx, link.workspace, link.invitation)


def _is_closed(asked: Asked, now: datetime) -> bool:
    return asked.is_closed or now >= asked.closes_at


def _fields(body: bytes) -> dict[str, str]:
    """The form's fields; one that is sent twice says nothing, and what is no form has none."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS,
            errors="replace",
        )  # fmt: skip
    except (UnicodeDecodeError, ValueError):
        return {}
    names = [name for name, _ in pairs]
    return {name: value for name, value in pairs if names.count(name) == 1}


def _score(text: str, kind: str) -> int | None:
    """The score that a text is; None for all but a whole number of the survey's scale."""
    low, high = scale_of(kind)
    if WHOLE.fullmatch(text) is None:
        return None
    return int(text) if low <= int(text) <= high else None


def _language(asked: Asked | None, request: Request) -> str:
    """The person's language, else the one that the browser asks for, else English."""
    wished = [asked.locale if asked is not None else None]
    wished += request.headers.get("accept-language", "").split(",")
    for each in wished:
        if each and (code := re.split(r"[-_;]", each.strip())[0].lower()) in LANGUAGES:
            return code
    return "en"


def _question(
    asked: Asked, language: str, *, chosen: int | None, mode: str, fault: bool = False
) -> HTMLResponse:
    low, high = scale_of(asked.kind)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if fault else HTTPStatus.OK
    return _page(
        "survey.html",
        language,
        status,
        question=asked.question.get(language) or WORDS[language][f"question_{asked.kind}"],
        scores=range(low, high + 1),
        chosen=chosen,
        mode=mode,
        fault=fault,
        low=WORDS[language][f"low_{asked.kind}"],
        high=WORDS[language][f"high_{asked.kind}"],
    )


def _page(template: str, language: str, status: HTTPStatus, **values: Any) -> HTMLResponse:
    body = _templates.get_template(template).render(
        language=language, words=WORDS[language], **values
    )
    return HTMLResponse(body, status, HEADERS)
