"""The addresses that messages carry: the open pixel, the links, the way out of a list.

Software fetches every address in a mail. So a GET or HEAD never changes anything for a person:
opens and clicks are noted raw and classed later, and only a POST unsubscribes (RFC 8058).
"""

from datetime import datetime
from html import escape
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.cadence.channels.returns import leave_list
from services.cadence.model.hits import Hit, HitKind
from services.cadence.model.tokens import opaque, read_unsubscribe_token
from services.cadence.store import hits, letters, messages
from shared.http import NotFound, Transaction

router = APIRouter(tags=["public"])

Token = Annotated[str, Path(max_length=2000, description="As the message carries it.")]
CALLERS = "cadence.caller"
USER_AGENT_CHARACTERS = 300
PIXEL = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)
NO_STORE = {
    "cache-control": "no-store, max-age=0",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex",
    "x-content-type-options": "nosniff",
}
PAGE = {
    **NO_STORE,
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
}


@router.head("/t/o/{token}", include_in_schema=False)
@router.get("/t/o/{token}", summary="The open pixel")
async def open_pixel(request: Request, tx: Transaction, token: Token) -> Response:
    """One transparent pixel, also for a token that nobody knows: nothing is told by the answer."""
    message = await messages.get_by_token(tx, token)
    if message is not None:
        hit = _hit(request, HitKind.OPEN, await messages.get_now(tx), None)
        await hits.append_hit(tx, *message.key, hit)
    return Response(PIXEL, media_type="image/gif", headers=NO_STORE)


@router.head("/t/c/{token}", include_in_schema=False)
@router.get("/t/c/{token}", summary="A link of a message")
async def follow_link(request: Request, tx: Transaction, token: Token) -> Response:
    """Leads to where the link of that name leads; the address itself never says where."""
    link = await letters.get_link(tx, token)
    if link is None:
        raise NotFound("there is no such link")
    kind = HitKind.TRAP if link.is_trap else HitKind.CLICK
    hit = _hit(request, kind, await messages.get_now(tx), token)
    await hits.append_hit(tx, link.workspace, link.identity, hit)
    if link.is_trap:
        return Response(status_code=204, headers=NO_STORE)
    return RedirectResponse(link.target, status_code=302, headers=NO_STORE)


@router.head("/u/{token}", include_in_schema=False)
@router.get("/u/{token}", summary="Ask before unsubscribing")
async def show_unsubscribe(request: Request, token: Token) -> HTMLResponse:
    """A page with a button. However often it is fetched, nothing changes."""
    said = read_unsubscribe_token(_secrets(request), token)
    return HTMLResponse(_page(said.topic, token), headers=PAGE)


@router.post("/u/{token}", summary="Unsubscribe")
async def unsubscribe(request: Request, tx: Transaction, token: Token) -> HTMLResponse:
    """Takes the person off the topic: by the button, or by a mail program's one click, without
    cookies. A second time changes nothing and is answered alike.
    """
    said = read_unsubscribe_token(_secrets(request), token)
    await leave_list(tx, said, now=await messages.get_now(tx))
    return HTMLResponse(_page(said.topic, None), headers=PAGE)


def _hit(request: Request, kind: HitKind, at: datetime, link: str | None) -> Hit:
    caller = request.client.host if request.client is not None else ""
    return Hit(
        at=at,
        kind=kind,
        method=request.method,
        user_agent=_printable(request.headers.get("user-agent", "")),
        # Under a secret, and another each day: an address is not to be found out from it.
        caller=opaque(_secrets(request)[-1], CALLERS, f"{at:%Y-%m-%d}", caller).encode(),
        link=link,
    )


def _printable(text: str) -> str:
    kept = "".join(character for character in text if character.isprintable())
    return kept[:USER_AGENT_CHARACTERS]


def _secrets(request: Request) -> list[str]:
    secrets: list[str] = request.app.state.settings.secret_list
    return secrets


def _page(topic: str, token: str | None) -> str:
    """The page that asks, or (without a token) says that it is done. In both languages: who comes
    here is not asked for more.
    """
    if token is None:
        said = "You are off this list. / 수신 거부가 완료되었습니다."
    else:
        said = (
            f'<form method="post" action="/u/{escape(token)}"><p>No more messages about'
            f" <b>{escape(topic)}</b>? / 이 주제의 메일을 더 받지 않으시겠습니까?</p>"
            '<button type="submit">Unsubscribe / 수신 거부</button></form>'
        )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Unsubscribe</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<style>body{font:1.1rem/1.6 sans-serif;margin:15vh auto;max-width:30rem;padding:1rem}"
        "button{font:inherit;padding:.5rem 1.5rem}</style></head>"
        f"<body><main>{said}</main></body></html>"
    )
