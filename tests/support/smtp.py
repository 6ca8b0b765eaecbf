"""A mail server that does what a test tells it: takes letters, refuses, stalls, hangs up."""

import asyncio
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from enum import StrEnum
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.ports import HOST, Reservation, reserve

STALL_SECONDS = 600.0
SLOW_SECONDS = 0.5


class Act(StrEnum):
    """What the server does with one try to deliver to an address."""

    TAKE = "take"
    SLOW = "take, slowly"
    CLOSING_AT_RCPT = "421 closing"
    GREYLIST_AT_RCPT = "451 later"
    UNKNOWN_AT_RCPT = "550 5.1.1 no such user"
    STALL_AT_RCPT = "stall at rcpt"
    REFUSE_DATA = "451 before the letter"
    CLOSING_AFTER_DATA = "421 after the letter"
    LATER_AFTER_DATA = "451 after the letter"
    REFUSE_AFTER_DATA = "554 after the letter"
    SILENT_AFTER_DATA = "silent after the letter"
    HANG_UP_AFTER_DATA = "hang up after the letter"


@dataclass(frozen=True)
class Got:
    """A letter whose final dot came in, whatever was answered."""

    recipient: str
    sender: str
    wire: bytes
    act: "Act"

    @property
    def may_be_out(self) -> bool:
        """Whether nobody was told that it is not: it was taken, or there was no answer."""
        return self.act in {Act.TAKE, Act.SLOW, Act.SILENT_AFTER_DATA, Act.HANG_UP_AFTER_DATA}

    @property
    def letter(self) -> EmailMessage:
        """The letter, parsed."""
        return message_from_bytes(self.wire, policy=policy.SMTP)

    @property
    def message_id(self) -> str:
        """Its Message-ID."""
        return str(self.letter["Message-ID"])


@dataclass
class MailServer:
    """What tests tell it, and what it got. `acts`: what it does with an address, in order; then
    it takes everything.
    """

    port: int
    got: list[Got] = field(default_factory=list)
    tries: list[str] = field(default_factory=list)
    acts: defaultdict[str, deque[Act]] = field(default_factory=lambda: defaultdict(deque))
    released: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.AbstractEventLoop | None = None
    answer_to_senders: str = "250 OK"

    def will(self, address: str, *acts: Act) -> None:
        """Do these with the next tries to deliver to `address`."""
        self.acts[address].extend(acts)

    def release(self) -> None:
        """Let every stalled conversation go on."""
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.released.set)

    async def stall(self) -> None:
        """Say nothing until released."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.released.wait(), STALL_SECONDS)

    def got_by(self, address: str) -> list[Got]:
        """The letters to an address."""
        return [letter for letter in self.got if letter.recipient == address]


class _Handler:
    def __init__(self, server: MailServer) -> None:
        self._server = server
        self.acts: dict[Session, Act] = {}

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, protocol: SMTP, session: Session, envelope: Envelope, address: str, options: list[Any]
    ) -> str:
        envelope.mail_from = address
        return self._server.answer_to_senders

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, protocol: SMTP, session: Session, envelope: Envelope, address: str, options: list[Any]
    ) -> str:
        self._server.tries.append(address)
        acts = self._server.acts[address]
        act = acts.popleft() if acts else Act.TAKE
        match act:
            case Act.CLOSING_AT_RCPT | Act.GREYLIST_AT_RCPT | Act.UNKNOWN_AT_RCPT:
                return act.value
            case Act.STALL_AT_RCPT:
                await self._server.stall()
        self.acts[session] = act
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, protocol: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.original_content
        assert content is not None
        act = self.acts[session]
        for recipient in envelope.rcpt_tos:
            self._server.got.append(Got(recipient, envelope.mail_from or "", content, act))
        match act:
            case Act.CLOSING_AFTER_DATA | Act.LATER_AFTER_DATA | Act.REFUSE_AFTER_DATA:
                return act.value
            case Act.SLOW:
                await asyncio.sleep(SLOW_SECONDS)
            case Act.SILENT_AFTER_DATA:
                await self._server.stall()
            case Act.HANG_UP_AFTER_DATA:
                assert isinstance(protocol.transport, asyncio.Transport)
                protocol.transport.abort()
        return "250 OK"


class _Protocol(SMTP):
    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name
        if self.event_handler.acts.get(self.session) is Act.REFUSE_DATA:
            await self.push(Act.REFUSE_DATA.value)
            return
        await super().smtp_DATA(arg)


@contextmanager
def mail_server(reservation: Reservation | None = None) -> Iterator[MailServer]:
    """A mail server in a thread of its own, for the block."""
    held = reservation or reserve()
    server = MailServer(held.port)
    loop = asyncio.new_event_loop()
    server.loop = loop

    async def serve() -> asyncio.Server:
        return await loop.create_server(
            lambda: _Protocol(_Handler(server), hostname="localhost", loop=loop),
            HOST,
            held.port,
            reuse_address=True,
        )

    thread = threading.Thread(target=loop.run_forever, name="mail server", daemon=True)
    thread.start()
    listening = asyncio.run_coroutine_threadsafe(serve(), loop).result(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(listening.close)
        asyncio.run_coroutine_threadsafe(_cancelled(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
        if reservation is None:
            held.release()


async def _cancelled() -> None:
    """Let go of every open conversation."""
    ours = asyncio.current_task()
    tasks = [task for task in asyncio.all_tasks() if task is not ours]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
