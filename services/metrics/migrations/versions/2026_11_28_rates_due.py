"""Rates whose effect on the accounts is still to be told."""

from alembic import op

revision = "2026_11_28_rates_due"
down_revision = "2026_11_27_claims"

RATES_DUE = (
    # From `due_at` on what was told of accounts is told otherwise, or an fx movement is in force.
    # `after`: up to which account that is done.
    """CREATE TABLE rate_due (
        workspace text NOT NULL,
        currency text NOT NULL,
        month date NOT NULL CHECK (extract(day FROM month) = 1),
        due_at timestamptz NOT NULL,
        after text COLLATE "C" NOT NULL DEFAULT '',
        PRIMARY KEY (workspace, due_at, currency, month))""",
    "CREATE INDEX rate_due_in_time ON rate_due (due_at)",
)


def upgrade() -> None:
    for statement in RATES_DUE:
        op.execute(statement)
