"""The tables of the runtime, of keys and settings, and ingest's own."""

from alembic import op

from shared.auth import AUTH_TABLES_V1
from shared.bus.tables import RUNTIME_TABLES_V1

revision = "2026_11_22_first_tables"
down_revision = None

INGEST_TABLES_V1 = (
    # What must not travel: no event, no other service, no reply ever holds a row of it.
    """CREATE TABLE webhook_secret (
        workspace text NOT NULL REFERENCES workspace (id),
        kind text NOT NULL CHECK (kind IN ('stripe', 'standard')),
        secret text NOT NULL,
        added_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (workspace, kind, secret))""",
    # What became of each event, by day of append; the id stands for workspace and message id.
    """CREATE TABLE receipt (
        day date NOT NULL,
        id bytea NOT NULL,
        workspace text NOT NULL,
        event_id text NOT NULL,
        status text NOT NULL CHECK (status IN ('accepted', 'rejected')),
        reason text,
        topic text NOT NULL,
        part integer NOT NULL,
        "offset" bigint NOT NULL,
        appended_at timestamptz NOT NULL,
        PRIMARY KEY (id, day)) PARTITION BY RANGE (day)""",
    "CREATE INDEX receipt_newest ON receipt (appended_at)",
    # How far each service had read, and when: one row a batch, by day.
    """CREATE TABLE progress (
        day date NOT NULL,
        service text NOT NULL,
        topic text NOT NULL,
        part integer NOT NULL,
        next_offset bigint NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (service, topic, part, next_offset, day)) PARTITION BY RANGE (day)""",
    """CREATE TABLE rejected_event (
        id uuid PRIMARY KEY,
        workspace text NOT NULL,
        message_id text,
        code text NOT NULL,
        message text NOT NULL,
        key_id text,
        dialect text NOT NULL,
        source bytea NOT NULL,
        rejected_at timestamptz NOT NULL)""",
    "CREATE INDEX rejected_event_newest ON rejected_event (workspace, rejected_at, id)",
    "CREATE INDEX rejected_event_age ON rejected_event (rejected_at)",
)


def upgrade() -> None:
    for statement in (*RUNTIME_TABLES_V1, *AUTH_TABLES_V1, *INGEST_TABLES_V1):
        op.execute(statement)
