"""Peer of the month reports: sums of months kept in DuckDB, in the process that asks.

It keeps what Mainstay's rollup keeps, as whole numbers of one currency, in a file. It knows of no
other currency, no fraction, no settings, and nothing of transactions beside it.
"""

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import duckdb

TABLE = """
    CREATE TABLE month_sum (
        workspace text, month date, new bigint, reactivation bigint, expansion bigint,
        contraction bigint, churn bigint, PRIMARY KEY (workspace, month))"""
NDR = """
    SELECT month, CASE WHEN start > 0 THEN (start + kept) / start::double END AS ndr FROM (
        SELECT month, expansion + contraction + churn AS kept,
            coalesce(sum(new + reactivation + expansion + contraction + churn) OVER (
                ORDER BY month ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS start
        FROM month_sum WHERE workspace = ?) AS balances
    WHERE month BETWEEN ? AND ? ORDER BY month"""


class MonthSum(NamedTuple):
    """The net movements of a workspace in a month, by kind."""

    workspace: str
    month: date
    new: int
    reactivation: int
    expansion: int
    contraction: int
    churn: int


class KeptRollup:
    """The sums of all workspaces, kept in a file."""

    def __init__(self, file: Path, sums: Iterable[MonthSum]) -> None:
        self._connection = duckdb.connect(str(file))
        self._connection.execute(TABLE)
        self._connection.executemany(
            "INSERT INTO month_sum VALUES (?, ?, ?, ?, ?, ?, ?)", [list(each) for each in sums]
        )
        self._connection.execute("CHECKPOINT")

    def ndr(self, workspace: str, first: date, last: date) -> list[float | None]:
        """NDR of each month with a movement from `first` to `last`."""
        found = self._connection.execute(NDR, [workspace, first, last]).fetchall()
        return [row[1] for row in found]

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()
