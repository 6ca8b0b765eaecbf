"""The tables of the runtime, and those of a toy service that counts use per account."""

from alembic import op

from shared.bus.tables import RUNTIME_TABLES_V1, RUNTIME_TABLES_V2

revision = "2026_11_25_toy_tables"
down_revision = None

TOY_TABLES = (
    """CREATE TABLE tally (
        workspace text NOT NULL,
        account text NOT NULL,
        events bigint NOT NULL,
        PRIMARY KEY (workspace, account))""",
    "CREATE TABLE note (id text PRIMARY KEY, number bigint GENERATED ALWAYS AS IDENTITY)",
    "CREATE TABLE remark (note text NOT NULL REFERENCES note (id), remark text NOT NULL)",
    "CREATE TABLE trace (event_id text PRIMARY KEY)",
)


def upgrade() -> None:
    for statement in (*RUNTIME_TABLES_V1, *RUNTIME_TABLES_V2, *TOY_TABLES):
        op.execute(statement)
