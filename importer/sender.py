"""Sends batches to `POST /v1/import`, and tries again for as long as it makes sense."""

import asyncio
import gzip
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import monotonic
from typing import Any

import httpx

from importer.batches import Entry
from importer.errors import Refused, Unreachable
from importer.ledger import ACCEPTED, REPEATED, Outcome, Rejected

RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
REQUEST_SECONDS = 60.0
COMPRESSION = 1  # of gzip: four fifths of the saving at a third of the time

Note = Callable[[str], None]


class Edge:
    """The public HTTP edge. Several requests may be under way at once."""

    def __init__(self, client: httpx.AsyncClient, *, give_up_seconds: float, note: Note) -> None:
        self._client = client
        self._give_up_seconds = give_up_seconds
        self._note = note
        self._answered_at = monotonic()

    async def send(self, entries: Sequence[Entry]) -> list[Outcome]:
        """What became of each entry, in their order.

        Raises Refused for a request that no repetition mends, Unreachable when nothing has been
        answered for too long.
        """
        response = await self._post(body_of(entries))
        if response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return await self._send_halves(entries)
        return outcomes(entries, _reply(response))

    async def _send_halves(self, entries: Sequence[Entry]) -> list[Outcome]:
        """The edge is set to smaller bodies than ours: halve until they fit."""
        if len(entries) == 1:
            message = "the edge takes no body of this size"
            return [_rejected(entries[0], "payload_too_large", message)]
        middle = len(entries) // 2
        return [*await self.send(entries[:middle]), *await self.send(entries[middle:])]

    async def _post(self, body: bytes) -> httpx.Response:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                response = await self._client.post("/v1/import", content=body)
            except httpx.TransportError as error:
                trouble, asked = f"no answer ({type(error).__name__})", None
            else:
                if response.status_code not in RETRYABLE:
                    self._answered_at = monotonic()
                    return response
                trouble = f"{response.status_code} {_code(response)}"
                asked = retry_after(response.headers.get("retry-after"), datetime.now(UTC))
            await self._pause(trouble, pause if asked is None else asked)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _pause(self, trouble: str, seconds: float) -> None:
        silent_seconds = monotonic() - self._answered_at
        if silent_seconds > self._give_up_seconds:
            raise Unreachable(f"the edge has been failing for {silent_seconds:.0f} s: {trouble}")
        self._note(f"{trouble}; trying again in {seconds:.1f} s")
        # A little unevenness, so that several importers do not come back in step.
        await asyncio.sleep(seconds * random.uniform(1.0, 1.2))  # noqa: S311


@asynccontextmanager
async def edge(
    url: str, key: str, *, requests: int, give_up_seconds: float, note: Note
) -> AsyncIterator[Edge]:
    """The edge at `url`, with at most `requests` connections."""
    headers = {
        "authorization": f"Bearer {key}",
        "content-type": "application/json",
        "content-encoding": "gzip",
        "user-agent": "mainstay-importer/1",
    }
    limits = httpx.Limits(max_connections=requests)
    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=REQUEST_SECONDS, limits=limits
    ) as client:
        yield Edge(client, give_up_seconds=give_up_seconds, note=note)


def body_of(entries: Sequence[Entry]) -> bytes:
    """The request's body: a Segment batch, gzip."""
    joined = b'{"batch":[' + b",".join(entry.body for entry in entries) + b"]}"
    return gzip.compress(joined, COMPRESSION, mtime=0)


def outcomes(entries: Sequence[Entry], reply: Mapping[str, Any]) -> list[Outcome]:
    """What the edge's reply says of each entry, in their order.

    Of repeats it tells the number alone: so many of the others count as such, whichever they are.
    """
    rejected = {found["index"]: found for found in reply.get("rejected", [])}
    repeats = reply.get("duplicates", 0)
    made: list[Outcome] = []
    for index, entry in enumerate(entries):
        if (refusal := rejected.get(index)) is not None:
            made.append(_rejected(entry, str(refusal["code"]), str(refusal["message"])))
        else:
            made.append(REPEATED if repeats > 0 else ACCEPTED)
            repeats -= 1
    return made


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds to wait as a Retry-After asks, whether seconds or a date; None where it asks none."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return min(float(header), LONGEST_PAUSE_SECONDS)
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return None
    aware = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max((aware - now).total_seconds(), 0.0), LONGEST_PAUSE_SECONDS)


def _rejected(entry: Entry, code: str, message: str) -> Rejected:
    return Rejected(entry.line, code, message, entry.message_id)


def _reply(response: httpx.Response) -> Mapping[str, Any]:
    """The reply of a success. Raises Refused with the edge's own code and words."""
    if response.status_code == HTTPStatus.OK:
        try:
            reply = response.json()
        except ValueError as error:
            raise Refused(f"{response.url} answers without JSON: is it the edge?") from error
        if isinstance(reply, dict):
            return reply
    raise Refused(f"the edge refuses: {response.status_code} {_code(response)}")


def _code(response: httpx.Response) -> str:
    """`code: message` of an error answer, empty where it is none of ours."""
    try:
        problem = response.json()
        return f"{problem['code']}: {problem['message']}"
    except (ValueError, KeyError, TypeError):
        return response.reason_phrase
