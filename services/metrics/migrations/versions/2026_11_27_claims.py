"""Every account that a fact named for a subscription, not only the one that was named first here.

Whose a subscription is must not depend on what arrived first, or a rebuild would tell otherwise.
"""

from alembic import op

revision = "2026_11_27_claims"
down_revision = "2026_11_26_ledger"

CLAIMS = (
    # `contested`: several accounts claim the subscription; then on all its rows.
    """CREATE TABLE claim (
        workspace text NOT NULL,
        subscription text COLLATE "C" NOT NULL,
        account text COLLATE "C" NOT NULL,
        contested boolean NOT NULL DEFAULT false,
        PRIMARY KEY (workspace, subscription, account))""",
    "CREATE INDEX claim_contested ON claim (workspace, account) WHERE contested",
    """INSERT INTO claim (workspace, subscription, account)
        SELECT workspace, subscription, account FROM subscription""",
    "DROP TABLE subscription",
)


def upgrade() -> None:
    for statement in CLAIMS:
        op.execute(statement)
