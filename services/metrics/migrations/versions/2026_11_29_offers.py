"""What can be sold beside what an account has, and what accounts have wished for."""

from alembic import op

revision = "2026_11_29_offers"
down_revision = "2026_11_28_rates_due"

OFFERS = (
    # Set here over HTTP: which offer answers a wish for a feature. `value`: MRR it may bring.
    """CREATE TABLE offer (
        workspace text NOT NULL,
        feature text COLLATE "C" NOT NULL,
        name text COLLATE "C" NOT NULL,
        kind text NOT NULL CHECK (kind IN ('add_on', 'cross_sell')),
        value numeric CHECK (value >= 0),
        PRIMARY KEY (workspace, feature))""",
    """CREATE TABLE desire (
        workspace text NOT NULL,
        account text COLLATE "C" NOT NULL,
        feature text COLLATE "C" NOT NULL,
        PRIMARY KEY (workspace, account, feature))""",
)


def upgrade() -> None:
    for statement in OFFERS:
        op.execute(statement)
