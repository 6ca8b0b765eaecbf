"""The letters that the sink has taken; the newest thousand."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

KEPT = 1_000


@dataclass(frozen=True)
class Letter:
    """One letter in its envelope, as it came."""

    number: int
    at: datetime
    sender: str
    recipients: Sequence[str]
    wire: bytes

    @property
    def parsed(self) -> EmailMessage:
        """The letter, parsed."""
        return message_from_bytes(self.wire, policy=policy.SMTP)

    @property
    def subject(self) -> str:
        """Its subject."""
        return str(self.parsed["Subject"] or "")

    def body(self, form: str) -> str:
        """Its words as `html` or `plain`; empty where it has none in that form."""
        part = self.parsed.get_body((form,))
        return str(part.get_content()) if part is not None else ""


class Letters:
    """What came, the newest last."""

    def __init__(self) -> None:
        self._kept: deque[Letter] = deque(maxlen=KEPT)
        self._count = 0

    def add(self, *, at: datetime, sender: str, recipients: Sequence[str], wire: bytes) -> None:
        """Keep one; the oldest goes where there is no room."""
        self._count += 1
        self._kept.append(Letter(self._count, at, sender, tuple(recipients), wire))

    def newest(self, most: int = 200) -> list[Letter]:
        """The newest, the newest first."""
        return list(self._kept)[-most:][::-1]

    def get(self, number: int) -> Letter | None:
        """One of those that are kept."""
        return next((letter for letter in self._kept if letter.number == number), None)
