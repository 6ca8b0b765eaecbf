"""Mail through SMTP: several providers in order, the next one only after a definite no.

Up to DATA nothing can have gone out. From the first byte of the letter to the reply to its final
dot nobody knows (RFC 1047): silence there is `unknown`, and no other provider is asked.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from time import monotonic

from aiosmtplib import SMTP
from aiosmtplib.errors import (
    SMTPException,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from services.cadence.channels.pace import Pace
from services.cadence.model.delivery import Ended, Outcome

CLOSING = 421
FIRST_PERMANENT = 500
SAID_CHARACTERS = 120
LETTERS_A_CONNECTION = 200
IDLE_SECONDS = 20.0
BeforeData = Callable[[str], Awaitable[bool]]
"""Told the provider's name just before the letter itself is sent; False: it must not be."""


@dataclass(frozen=True, kw_only=True)
class Provider:
    """One way into the mail system, and how fast it may be used."""

    name: str
    host: str
    port: int
    username: str | None = None
    password: str | None = None
    use_tls: bool = False
    start_tls: bool | None = None
    connections: int = 16
    per_second: float = 500.0


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long each step may last, seconds."""

    connect: float = 10.0
    command: float = 20.0
    letter: float = 60.0

    @property
    def most(self) -> float:
        """The longest that one hand-over through one provider can last."""
        return self.connect + 4 * self.command + self.letter


@dataclass(frozen=True, kw_only=True)
class Posted:
    """A letter in its envelope."""

    sender: str
    recipient: str
    letter: bytes


class Fenced(Exception):
    """Somebody else has this message by now."""


class _Refused(Exception):
    """A definite no before the letter went out; `elsewhere`: another provider may say yes."""

    def __init__(self, ended: Ended, *, elsewhere: bool) -> None:
        super().__init__(ended.said)
        self.ended = ended
        self.elsewhere = elsewhere


class Post:
    """Sends letters, each by the first provider that takes it."""

    def __init__(self, providers: Sequence[Provider], patience: Patience) -> None:
        if not providers:
            raise ValueError("mail needs a provider")
        self._roads = [_Road(provider, patience) for provider in providers]

    async def deliver(self, posted: Posted, before_data: BeforeData) -> Ended:
        """How it ended. Raises Fenced where `before_data` said no."""
        last: Ended | None = None
        for road in self._roads:
            try:
                return await road.deliver(posted, before_data)
            except _Refused as refused:
                last = refused.ended
                if not refused.elsewhere:
                    break
        assert last is not None, "there is at least one road"
        return last

    async def close(self) -> None:
        """Close every connection."""
        for road in self._roads:
            await road.close()


class _Road:
    """The connections to one provider."""

    def __init__(self, provider: Provider, patience: Patience) -> None:
        self._provider = provider
        self._patience = patience
        self._pace = Pace(provider.per_second)
        self._free = asyncio.Semaphore(provider.connections)
        self._idle: list[_Line] = []

    async def deliver(self, posted: Posted, before_data: BeforeData) -> Ended:
        await self._pace.wait()
        async with self._free:
            line = await self._announced(posted)
            try:
                if not await before_data(self._provider.name):
                    await line.reset()
                    raise Fenced(self._provider.name)
                ended = await self._sent(line, posted.letter)
            except BaseException:
                line.drop()
                raise
            self._keep(line)
            return ended

    async def _announced(self, posted: Posted) -> "_Line":
        """A line on which sender and recipient are accepted. Raises _Refused."""
        line = self._take_idle()
        if line is not None:
            try:
                return await self._announce(line, posted)
            except _Refused as refused:
                # What stood idle may have been closed by the other side: that says nothing yet.
                if line.is_open or not refused.elsewhere:
                    raise
        return await self._announce(await self._opened(), posted)

    async def _opened(self) -> "_Line":
        client = SMTP(
            hostname=self._provider.host,
            port=self._provider.port,
            username=self._provider.username,
            password=self._provider.password,
            use_tls=self._provider.use_tls,
            start_tls=self._provider.start_tls,
            timeout=self._patience.connect,
            local_hostname="localhost",
        )
        try:
            await client.connect()
        except (SMTPException, OSError) as error:
            client.close()
            raise _Refused(self._not_now(error), elsewhere=True) from error
        return _Line(client, self._patience)

    async def _announce(self, line: "_Line", posted: Posted) -> "_Line":
        try:
            await line.mail(posted.sender)
        except (SMTPException, OSError, ValueError) as error:
            line.drop()
            raise _Refused(self._not_now(error), elsewhere=True) from error
        try:
            await line.recipient(posted.recipient)
        except (SMTPException, OSError, ValueError) as error:
            line.drop()
            closing = not isinstance(error, SMTPResponseException) or error.code == CLOSING
            raise _Refused(self._no(error), elsewhere=closing) from error
        return line

    async def _sent(self, line: "_Line", letter: bytes) -> Ended:
        try:
            await line.letter(letter)
        except SMTPResponseException as error:
            if error.code == CLOSING or error.code < 0:
                line.drop()
            return self._no(error)
        except (SMTPTimeoutError, SMTPServerDisconnected, OSError) as error:
            line.drop()
            return Ended(
                outcome=Outcome.UNKNOWN, provider=self._provider.name, said=type(error).__name__
            )
        return Ended(outcome=Outcome.ACCEPTED, provider=self._provider.name)

    def _no(self, error: Exception) -> Ended:
        """A definite no as it was said. The text of the reply may hold the address: code only."""
        permanent = isinstance(error, SMTPResponseException) and error.code >= FIRST_PERMANENT
        is_final = permanent or isinstance(error, ValueError)
        ended = self._not_now(error)
        return replace(ended, outcome=Outcome.REFUSED) if is_final else ended

    def _not_now(self, error: Exception) -> Ended:
        """A no that speaks of us and this provider, whatever its code: a password that is wrong
        today must not end a message for good.
        """
        said = str(error.code) if isinstance(error, SMTPResponseException) else type(error).__name__
        return Ended(
            outcome=Outcome.REFUSED_FOR_NOW,
            provider=self._provider.name,
            said=said[:SAID_CHARACTERS],
        )

    def _take_idle(self) -> "_Line | None":
        while self._idle:
            line = self._idle.pop()
            if line.is_fresh:
                return line
            line.drop()
        return None

    def _keep(self, line: "_Line") -> None:
        if line.is_fresh:
            self._idle.append(line)
        else:
            line.drop()

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().leave()


class _Line:
    """One open connection."""

    def __init__(self, client: SMTP, patience: Patience) -> None:
        self._client = client
        self._patience = patience
        self._letters = 0
        self._used_at = monotonic()

    @property
    def is_open(self) -> bool:
        return self._client.is_connected

    @property
    def is_fresh(self) -> bool:
        """Whether another letter may be sent on it."""
        is_young = monotonic() - self._used_at < IDLE_SECONDS
        return self.is_open and is_young and self._letters < LETTERS_A_CONNECTION

    async def mail(self, sender: str) -> None:
        await self._client.mail(sender, timeout=self._patience.command)

    async def recipient(self, recipient: str) -> None:
        await self._client.rcpt(recipient, timeout=self._patience.command)

    async def letter(self, letter: bytes) -> None:
        self._letters += 1
        await self._client.data(letter, timeout=self._patience.letter)
        self._used_at = monotonic()

    async def reset(self) -> None:
        with suppress(SMTPException, OSError):
            await self._client.rset(timeout=self._patience.command)

    async def leave(self) -> None:
        with suppress(SMTPException, OSError):
            await self._client.quit(timeout=1.0)

    def drop(self) -> None:
        self._client.close()
