"""Version 2 of the runtime's tables: blocks of ids, an outbox by day, the audit of dead letters.

And health's own: accounts get the numbers that follow from their ids, so that a rebuild gives the
same ones.
"""

from hashlib import blake2b

from alembic import op
from sqlalchemy import text

from shared.bus.tables import RUNTIME_TABLES_V2

revision = "2026_11_25_runtime_v2"
down_revision = "2026_11_22_first_tables"

NUMBERED = ("member", "account_day", "user_day", "feature_day", "habit")
HEALTH_TABLES_V2 = (
    "ALTER TABLE account ALTER COLUMN number DROP IDENTITY, ALTER COLUMN number TYPE bigint",
    *(f"ALTER TABLE {table} ALTER COLUMN account TYPE bigint" for table in NUMBERED),
)
AT_ONCE = 10_000  # accounts


def upgrade() -> None:
    for statement in (*RUNTIME_TABLES_V2, *HEALTH_TABLES_V2):
        op.execute(statement)
    renumber()


def renumber() -> None:
    """Give each account, and all that is counted for it, the number that its id says."""
    database = op.get_bind()
    database.execute(
        text(
            "CREATE TEMPORARY TABLE renumbered (workspace text, former bigint, number bigint,"
            " PRIMARY KEY (workspace, former)) ON COMMIT DROP"
        )
    )
    known = database.execute(text("SELECT workspace, account, number FROM account"))
    for chunk in known.partitions(AT_ONCE):
        database.execute(
            text(
                "INSERT INTO renumbered SELECT * FROM unnest(CAST(:workspaces AS text[]),"
                " CAST(:former AS bigint[]), CAST(:numbers AS bigint[]))"
            ),
            {
                "workspaces": [row.workspace for row in chunk],
                "former": [row.number for row in chunk],
                "numbers": [number_of(row.workspace, row.account) for row in chunk],
            },
        )
    for table, column in (("account", "number"), *((table, "account") for table in NUMBERED)):
        database.execute(
            text(
                f"UPDATE {table} t SET {column} = r.number FROM renumbered r"
                f" WHERE t.workspace = r.workspace AND t.{column} = r.former"
            )
        )


def number_of(workspace: str, account: str) -> int:
    """The number as the model had it then."""
    return int.from_bytes(blake2b(f"{workspace} {account}".encode(), digest_size=8).digest()) >> 1
