"""Tables of the runtime, of keys, and the first of health: accounts, people, rollups, habits."""

from alembic import op

from shared.auth import AUTH_TABLES_V1
from shared.bus.tables import RUNTIME_TABLES_V1

revision = "2026_11_22_first_tables"
down_revision = None
branch_labels = None
depends_on = None

HEALTH_TABLES = (
    # Ids are ordered by code point (COLLATE "C"), as the model orders them.
    # `number` stands for the account in the rollups: integers make their indexes half as large.
    # `profile` holds {field: [value, told at, event id]}; the columns of filters follow from it.
    """CREATE TABLE account (
        workspace text NOT NULL,
        account text COLLATE "C" NOT NULL,
        number integer GENERATED ALWAYS AS IDENTITY,
        profile jsonb NOT NULL DEFAULT '{}',
        name text GENERATED ALWAYS AS (profile #>> '{name,0}') STORED,
        segment text GENERATED ALWAYS AS (profile #>> '{segment,0}') STORED,
        owner text GENERATED ALWAYS AS (profile #>> '{owner,0}') STORED,
        stage text GENERATED ALWAYS AS (profile #>> '{lifecycle_stage,0}') STORED,
        synthetic boolean NOT NULL GENERATED ALWAYS AS
            (coalesce(profile #> '{synthetic,0}' = 'true'::jsonb, false)) STORED,
        PRIMARY KEY (workspace, account),
        UNIQUE (workspace, number))""",
    """CREATE TABLE person (
        workspace text NOT NULL,
        "user" text COLLATE "C" NOT NULL,
        profile jsonb NOT NULL DEFAULT '{}',
        identified_at timestamptz,
        PRIMARY KEY (workspace, "user"))""",
    """CREATE TABLE member (
        workspace text NOT NULL,
        account integer NOT NULL,
        "user" text COLLATE "C" NOT NULL,
        first_on date NOT NULL,
        last_on date NOT NULL CHECK (last_on >= first_on),
        PRIMARY KEY (workspace, account, "user")) WITH (fillfactor = 80)""",
    # The truth of the score. The account stands before the day in the key: every read and every
    # late event wants the days of one account together, and one index serves both ways.
    """CREATE TABLE account_day (
        workspace text NOT NULL,
        account integer NOT NULL,
        day date NOT NULL,
        events bigint NOT NULL CHECK (events > 0),
        first_at timestamptz NOT NULL,
        last_at timestamptz NOT NULL CHECK (last_at >= first_at),
        first_event text COLLATE "C" NOT NULL,
        PRIMARY KEY (workspace, account, day)) WITH (fillfactor = 80)""",
    """CREATE TABLE user_day (
        workspace text NOT NULL,
        account integer NOT NULL,
        day date NOT NULL,
        "user" text COLLATE "C" NOT NULL,
        events bigint NOT NULL CHECK (events > 0),
        PRIMARY KEY (workspace, account, day, "user")) WITH (fillfactor = 80)""",
    """CREATE TABLE feature_day (
        workspace text NOT NULL,
        account integer NOT NULL,
        day date NOT NULL,
        feature text COLLATE "C" NOT NULL,
        events bigint NOT NULL CHECK (events > 0),
        PRIMARY KEY (workspace, account, day, feature)) WITH (fillfactor = 80)""",
    # A cache of account_day: the fold over its days, carried on day by day.
    """CREATE TABLE habit (
        workspace text NOT NULL,
        account integer NOT NULL,
        silence_days integer NOT NULL,
        day date NOT NULL,
        day_at timestamptz NOT NULL,
        days double precision NOT NULL,
        week integer NOT NULL,
        week_at timestamptz NOT NULL,
        weeks double precision NOT NULL,
        first_at timestamptz NOT NULL,
        last_at timestamptz NOT NULL,
        usual_gap double precision,
        recent_days bigint NOT NULL,
        recent_weeks bigint NOT NULL,
        early_weeks integer NOT NULL,
        PRIMARY KEY (workspace, account)) WITH (fillfactor = 80)""",
)


def upgrade() -> None:
    for statement in (*RUNTIME_TABLES_V1, *AUTH_TABLES_V1, *HEALTH_TABLES):
        op.execute(statement)
