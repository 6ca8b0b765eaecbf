"""Many small writes in one transaction: whoever asks within a moment shares a commit."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")


class Gathering(Generic[A, R]):
    """Hands what was asked for within `wait_seconds` to `write`, together.

    `write` answers as many results as it was given arguments, in their order. Where it raises,
    every caller of that round gets the error.
    """

    def __init__(
        self,
        write: Callable[[Sequence[A]], Awaitable[Sequence[R]]],
        *,
        wait_seconds: float = 0.01,
        most: int = 200,
    ) -> None:
        self._write = write
        self._wait_seconds = wait_seconds
        self._most = most
        self._waiting: list[tuple[A, asyncio.Future[R]]] = []
        self._round: asyncio.Task[None] | None = None

    async def ask(self, argument: A) -> R:
        """The result of writing `argument`, committed."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((argument, answer))
        if self._round is None or self._round.done():
            self._round = asyncio.create_task(self._write_rounds())
        return await answer

    async def _write_rounds(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._wait_seconds)
            taken, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                results = await self._write([argument for argument, _ in taken])
            except Exception as error:  # noqa: BLE001 - told to those who asked
                for _, answer in taken:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (_, answer), result in zip(taken, results, strict=True):
                if not answer.done():
                    answer.set_result(result)
