"""What the ledger says of an account, beside what others say of it."""

from alembic import op

revision = "2026_11_26_commercial"
down_revision = "2026_11_25_runtime_v2"


def upgrade() -> None:
    # {field: [value, told at, event id]}, as the profile.
    op.execute("ALTER TABLE account ADD COLUMN commercial jsonb NOT NULL DEFAULT '{}'")
