"""The tables that the runtime keeps in every service's own database, version by version."""

RUNTIME_TABLES_V1 = (
    """CREATE TABLE consumer_offset (
        grp text NOT NULL,
        topic text NOT NULL,
        part integer NOT NULL,
        next_offset bigint NOT NULL CHECK (next_offset >= 0),
        owner text NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (grp, topic, part))""",
    # Partitioned by day of append: random ids stay cheap to insert, and forgetting is a DROP.
    """CREATE TABLE inbox (
        day date NOT NULL,
        id bytea NOT NULL,
        PRIMARY KEY (day, id)) PARTITION BY RANGE (day)""",
    "CREATE TABLE inbox_kept (id bytea PRIMARY KEY)",
    """CREATE TABLE outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        event_id text NOT NULL,
        topic text NOT NULL,
        key text NOT NULL,
        payload bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now())""",
    "CREATE INDEX outbox_order ON outbox (xid, id)",
    """CREATE TABLE dead_letter (
        id uuid PRIMARY KEY,
        workspace text,
        event_id text,
        event_type text,
        lane text NOT NULL,
        topic text NOT NULL,
        part integer NOT NULL,
        "offset" bigint NOT NULL,
        key bytea,
        value bytea,
        headers jsonb NOT NULL,
        code text NOT NULL,
        message text NOT NULL,
        dead_at timestamptz NOT NULL DEFAULT now(),
        redriven_at timestamptz,
        redriven_by text,
        UNIQUE (lane, topic, part, "offset"))""",
    "CREATE INDEX dead_letter_of_workspace ON dead_letter (workspace, dead_at)",
    """CREATE TABLE lease (
        name text PRIMARY KEY,
        holder text NOT NULL,
        fence bigint NOT NULL,
        lease_until timestamptz NOT NULL,
        due_at timestamptz NOT NULL DEFAULT now())""",
)
