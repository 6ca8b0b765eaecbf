"""Shows how far an import is: a bar on a terminal, a line every few seconds elsewhere."""

import sys
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

LINE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Reading:
    """How far it is at one moment."""

    read_bytes: int
    total_bytes: int
    events: int

    @property
    def share(self) -> float:
        """Part of the file that is read, 0 to 1."""
        return self.read_bytes / self.total_bytes if self.total_bytes else 1.0


class Pace:
    """Rate and time left, from what was done since this run began."""

    def __init__(self) -> None:
        self._began_at = monotonic()
        self._first: Reading | None = None

    def words(self, reading: Reading) -> str:
        """For example `12,345 events · 8,100/s · 0:42 left`."""
        first = self._first = self._first or reading
        seconds = max(monotonic() - self._began_at, 1e-3)
        rate = (reading.events - first.events) / seconds
        words = f"{reading.events:,} events · {rate:,.0f}/s"
        gained = reading.share - first.share
        if gained <= 0:
            return words
        return f"{words} · {_clock((1 - reading.share) / gained * seconds)} left"


class ProgressView(Protocol):
    """Where an import shows how far it is. A context manager; `update` may be called often."""

    def update(self, reading: Reading) -> None:
        """Show this."""

    def note(self, words: str) -> None:
        """Say something worth a line of its own."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Bar:
    """A bar that stays in its line."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._pace = Pace()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[words]}"),
            console=console,
        )
        self._task: TaskID = self._progress.add_task(title, total=1.0, words="")

    def update(self, reading: Reading) -> None:
        self._progress.update(self._task, completed=reading.share, words=self._pace.words(reading))

    def note(self, words: str) -> None:
        self._progress.print(words, style="yellow", highlight=False)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()


class Lines:
    """A line now and then, for logs and pipes."""

    def __init__(self, title: str, every_seconds: float = LINE_SECONDS) -> None:
        self._title = title
        self._pace = Pace()
        self._every_seconds = every_seconds
        self._next_at = monotonic() + every_seconds

    def update(self, reading: Reading) -> None:
        if monotonic() < self._next_at:
            return
        self._next_at = monotonic() + self._every_seconds
        self.note(f"{reading.share:.0%} · {self._pace.words(reading)}")

    def note(self, words: str) -> None:
        print(f"{self._title}: {words}", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


def view(title: str) -> ProgressView:
    """A bar on a terminal, else lines."""
    console = Console(stderr=True)
    return Bar(console, title) if console.is_terminal else Lines(title)


def _clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
