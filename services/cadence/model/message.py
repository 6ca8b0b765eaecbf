"""A message on its road, and a step of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.cadence.model.caps import Purpose
from services.cadence.model.delivery import Next


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message on its road, as it was claimed under `fence`."""

    workspace: str
    identity: str
    token: str
    user: str
    account: str | None
    program: str
    step: str
    template: str
    variant: str | None
    channels: Sequence[str]
    channel: str | None
    pillar: str
    purpose: Purpose
    topic: str
    due_at: datetime
    deadline: datetime | None
    grace: timedelta
    facts: Mapping[str, Any]
    attempt: int
    fence: int
    zone: str
    provider: str | None

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by."""
        return self.workspace, self.identity


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a message becomes next."""

    message: Message
    next: Next
    channel: str | None = None
    provider: str | None = None
    winner: str | None = None
    address_hash: bytes | None = None
