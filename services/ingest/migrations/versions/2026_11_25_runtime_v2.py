"""Version 2 of the runtime's tables, and where events wait that Kafka has not taken yet.

Blocks of ids, an outbox by day, the audit of dead letters.
"""

from alembic import op

from shared.bus.tables import RUNTIME_TABLES_V2

revision = "2026_11_25_runtime_v2"
down_revision = "2026_11_22_first_tables"

INGEST_TABLES_V2 = (
    # What the edge tells of events in its spill: superseded by the receipt from Kafka.
    """CREATE TABLE spilled_receipt (
        id bytea PRIMARY KEY,
        workspace text NOT NULL,
        topic text NOT NULL,
        part integer NOT NULL,
        spilled_at timestamptz NOT NULL)""",
    "CREATE INDEX spilled_receipt_age ON spilled_receipt (spilled_at)",
)


def upgrade() -> None:
    for statement in (*RUNTIME_TABLES_V2, *INGEST_TABLES_V2):
        op.execute(statement)
