"""The three families of errors. The runtime treats each family alike: a new class picks one.

MainstayError
├── DomainError      the caller can mend it: answered as problem+json with `status`
├── TransientError   the world may mend it: retried with bounded backoff, never a dead letter
└── PermanentError   nobody can mend it by waiting: the record becomes a dead letter
"""

from typing import ClassVar


class MainstayError(Exception):
    """Root of all errors that we raise on purpose. `code` is stable, the message is for people."""

    code: ClassVar[str] = "internal_error"

    @property
    def message(self) -> str:
        """The sentence for people: what is wrong and with which value."""
        return str(self)


class DomainError(MainstayError):
    """A refusal that the caller can act on. No alarm: it is an answer, not a failure."""

    status: ClassVar[int] = 409


class TransientError(MainstayError):
    """A dependency does not answer now. Retried; a caller over HTTP gets 503 with Retry-After."""

    code: ClassVar[str] = "unavailable"
    retry_after_seconds: ClassVar[int] = 1


class PermanentError(MainstayError):
    """The input can never be applied, however often it is tried."""

    code: ClassVar[str] = "not_applicable"
