"""The page of the sink: what was sent, each letter as people would see it."""

from html import escape

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from deploy.sink.letters import Letter, Letters

STYLE = (
    "body{font:1rem/1.5 sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ccc;padding:.4rem;"
    "text-align:left}pre{background:#f4f4f4;overflow:auto;padding:1rem;white-space:pre-wrap}"
    "iframe{border:1px solid #ccc;height:36rem;width:100%}"
)
# What a letter says is somebody's template: it is shown, and runs nothing.
GUARD = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self';"
    " img-src 'none'",
    "x-content-type-options": "nosniff",
}


def app(letters: Letters) -> Starlette:
    """The page's app."""

    async def index(_: Request) -> Response:
        return _page("What was sent", _table(letters.newest()))

    async def listed(_: Request) -> Response:
        return JSONResponse([_told(letter) for letter in letters.newest()])

    async def one(request: Request) -> Response:
        letter = letters.get(request.path_params["number"])
        return _missing() if letter is None else _page(letter.subject, _shown(letter))

    async def html(request: Request) -> Response:
        letter = letters.get(request.path_params["number"])
        return _missing() if letter is None else HTMLResponse(letter.body("html"), headers=GUARD)

    return Starlette(
        routes=[
            Route("/", index),
            Route("/letters.json", listed),
            Route("/letters/{number:int}", one),
            Route("/letters/{number:int}/html", html),
        ]
    )


def _page(title: str, body: str) -> HTMLResponse:
    return HTMLResponse(
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>",
        headers=GUARD,
    )


def _missing() -> HTMLResponse:
    return HTMLResponse("no such letter", status_code=404, headers=GUARD)


def _table(letters: list[Letter]) -> str:
    if not letters:
        return "<p>Nothing yet.</p>"
    rows = "".join(
        f"<tr><td>{letter.at:%H:%M:%S}</td><td>{escape(', '.join(letter.recipients))}</td>"
        f'<td><a href="/letters/{letter.number}">{escape(letter.subject) or "-"}</a></td></tr>'
        for letter in letters
    )
    return f"<table><tr><th>At (UTC)</th><th>To</th><th>Subject</th></tr>{rows}</table>"


def _shown(letter: Letter) -> str:
    head = letter.wire.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    return (
        f'<iframe sandbox title="HTML" src="/letters/{letter.number}/html"></iframe>'
        f"<h2>Text</h2><pre>{escape(letter.body('plain'))}</pre><h2>Headers</h2>"
        f"<pre>{escape(head)}</pre>"
    )


def _told(letter: Letter) -> dict[str, object]:
    return {
        "number": letter.number,
        "at": letter.at.isoformat(),
        "sender": letter.sender,
        "recipients": list(letter.recipients),
        "subject": letter.subject,
        "message_id": str(letter.parsed["Message-ID"] or ""),
        "text": letter.body("plain"),
    }
