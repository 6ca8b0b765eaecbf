"""The tables of the runtime, and of keys and settings."""

from alembic import op

from shared.auth import AUTH_TABLES_V1
from shared.bus.tables import RUNTIME_TABLES_V1

revision = "2026_11_22_runtime_and_keys"
down_revision = None


def upgrade() -> None:
    for statement in (*RUNTIME_TABLES_V1, *AUTH_TABLES_V1):
        op.execute(statement)
