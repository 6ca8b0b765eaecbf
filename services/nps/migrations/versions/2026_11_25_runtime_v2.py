"""Version 2 of the runtime's tables: blocks of ids, an outbox by day, the audit of dead letters."""

from alembic import op

from shared.bus.tables import RUNTIME_TABLES_V2

revision = "2026_11_25_runtime_v2"
down_revision = "2026_11_22_runtime_and_keys"


def upgrade() -> None:
    for statement in RUNTIME_TABLES_V2:
        op.execute(statement)
