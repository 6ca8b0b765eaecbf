"""Whose fault an error is: the world's, which passes, or the record's, which never does."""

from typing import Any

import asyncpg
import pytest
from asyncpg.exceptions import _base as driver  # its DataError: the public one is the server's
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError

from shared.bus.retry import Family, family, reason
from shared.db import is_transient

DBAPI: Any = AsyncAdapt_asyncpg_dbapi(asyncpg)  # type: ignore[no-untyped-call]


def as_sqlalchemy_raises(error: Exception) -> DBAPIError:
    """What comes of an error of the driver, wrapped twice as SQLAlchemy does."""
    wrapped = DBAPI.InterfaceError(f"{type(error)}: {error}")
    wrapped.__cause__ = error
    raised = DBAPIError.instance("SELECT", {}, wrapped, DBAPI.Error)
    assert isinstance(raised, DBAPIError)
    return raised


@pytest.mark.parametrize(
    "said",
    [
        "invalid input for query argument $1: 9223372036854775808 (value out of int64 range)",
        "invalid input for query argument $1: 'x' (invalid UUID 'x')",
    ],
)
def test_a_value_that_the_driver_cannot_send_is_the_fault_of_its_record(said: str):
    error = as_sqlalchemy_raises(driver.DataError(said))

    assert not is_transient(error)
    assert family(error) is Family.PERMANENT
    assert reason(error) == "sqlstate_22000"


def test_a_connection_that_the_driver_finds_closed_is_the_fault_of_the_world():
    error = as_sqlalchemy_raises(asyncpg.InterfaceError("connection is closed"))

    assert is_transient(error)
    assert family(error) is Family.TRANSIENT
