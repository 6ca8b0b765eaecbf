"""What a fault means for a batch: wait and try again, or give the record up."""

from enum import StrEnum

from sqlalchemy.exc import DBAPIError

from shared.db import is_transient, sqlstate
from shared.errors import DomainError, MainstayError, PermanentError, TransientError

BACKOFF_FIRST_SECONDS = 0.1
BACKOFF_LAST_SECONDS = 5.0
STATEMENT_TIMEOUT = "57014"
BUG_TRIES = 3  # an unknown error counts as the record's fault only after so many tries


class Family(StrEnum):
    """What to do about an error."""

    TRANSIENT = "transient"  # the world's fault: try the whole batch again, for ever
    PERMANENT = "permanent"  # the record's fault: halve the batch until the record stands alone
    BUG = "bug"  # unknown: a few tries, then as PERMANENT, with an alarm


def family(error: BaseException) -> Family:
    """The family of an error that a fold raised."""
    match error:
        case TransientError():
            return Family.TRANSIENT
        case PermanentError() | DomainError():
            return Family.PERMANENT
        case DBAPIError():
            if is_transient(error):
                return Family.TRANSIENT
            # 22 bad data, 23 broken constraint: the same record will break it again.
            return Family.PERMANENT if sqlstate(error)[:2] in ("22", "23") else Family.BUG
        case _:
            return Family.BUG


def is_too_slow(error: BaseException) -> bool:
    """Whether the statement ran longer than it may: half as much may be done in time."""
    cause = error.__cause__ if isinstance(error, TransientError) else error
    return isinstance(cause, DBAPIError) and sqlstate(cause) == STATEMENT_TIMEOUT


def reason(error: BaseException) -> str:
    """The stable code under which a dead letter stands."""
    match error:
        case MainstayError():
            return error.code
        case DBAPIError():
            return f"sqlstate_{sqlstate(error)}"
        case _:
            return f"bug_{type(error).__name__}"


def error_class(error: BaseException) -> str:
    """The class behind an error: where the database refused, the driver's own."""
    cause = _driver_error(error)
    return f"{type(cause).__module__}.{type(cause).__qualname__}"


def sentence(error: BaseException) -> str:
    """What an error says. Of a database error neither the statement nor the row: both hold the
    event's own values, which belong in no log.
    """
    cause = _driver_error(error)
    return str(getattr(cause, "message", None) or cause)


def _driver_error(error: BaseException) -> BaseException:
    """The driver's error below SQLAlchemy's, which wraps it twice; else the error itself."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return error
    return error.orig.__cause__ or error.orig


def backoff_seconds(tries: int) -> float:
    """Wait before try `tries` + 1: doubling, bounded."""
    return min(BACKOFF_FIRST_SECONDS * 2.0 ** min(tries, 10), BACKOFF_LAST_SECONDS)
