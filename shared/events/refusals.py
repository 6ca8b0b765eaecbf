"""Why what is sent can never be taken as it is. `code` is stable, the message is for people."""

from typing import ClassVar

from shared.errors import PermanentError


class EventRefused(PermanentError):
    """An event that can never be accepted as it is."""

    code: ClassVar[str] = "schema_violation"


class SchemaViolation(EventRefused):
    """A field is missing or of the wrong type, or a limit is broken."""
