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

# --- version 2 -----------------------------------------------------------------------------------

# Ids as blocks, one row a batch and partition number: 16 bytes an id, no index to keep up with.
# What was recorded before has no partition number, so it counts in each of the twelve that topics
# with many keys have.
_INBOX_V2 = (
    "ALTER TABLE inbox RENAME TO inbox_v1",
    "ALTER TABLE inbox_v1 RENAME CONSTRAINT inbox_pkey TO inbox_v1_pkey",
    "ALTER TABLE inbox_kept RENAME TO inbox_kept_v1",
    "ALTER TABLE inbox_kept_v1 RENAME CONSTRAINT inbox_kept_pkey TO inbox_kept_v1_pkey",
    """CREATE TABLE inbox (
        day date NOT NULL,
        part integer NOT NULL,
        n bigint GENERATED ALWAYS AS IDENTITY,
        ids bytea NOT NULL CHECK (length(ids) > 0 AND length(ids) % 16 = 0),
        PRIMARY KEY (day, part, n)) PARTITION BY RANGE (day)""",
    """CREATE TABLE inbox_kept (
        day date NOT NULL,
        part integer NOT NULL,
        n bigint GENERATED ALWAYS AS IDENTITY,
        ids bytea NOT NULL CHECK (length(ids) > 0 AND length(ids) % 16 = 0),
        PRIMARY KEY (part, n))""",
    # Random bytes: to try to compress them is lost work.
    "ALTER TABLE inbox ALTER COLUMN ids SET STORAGE EXTERNAL",
    "ALTER TABLE inbox_kept ALTER COLUMN ids SET STORAGE EXTERNAL",
    """DO $$ DECLARE known date; BEGIN
        FOR known IN SELECT DISTINCT day FROM inbox_v1 ORDER BY day LOOP
            EXECUTE format('ALTER TABLE %I RENAME TO %I', 'inbox_' || to_char(known, 'YYYYMMDD'),
                'inbox_v1_' || to_char(known, 'YYYYMMDD'));
            EXECUTE format('CREATE TABLE %I PARTITION OF inbox FOR VALUES FROM (%L) TO (%L)',
                'inbox_' || to_char(known, 'YYYYMMDD'), known, known + 1);
        END LOOP; END $$""",
    """INSERT INTO inbox (day, part, ids)
        SELECT day, part, string_agg(id, ''::bytea) FROM generate_series(0, 11) AS part,
            (SELECT day, id, row_number() OVER (PARTITION BY day ORDER BY id) / 50000 AS chunk
             FROM inbox_v1) AS known
        GROUP BY day, part, chunk""",
    """INSERT INTO inbox_kept (day, part, ids)
        SELECT current_date, part, string_agg(id, ''::bytea) FROM generate_series(0, 11) AS part,
            (SELECT id, row_number() OVER (ORDER BY id) / 50000 AS chunk
             FROM inbox_kept_v1) AS known
        GROUP BY part, chunk""",
    "DROP TABLE inbox_v1",
    "DROP TABLE inbox_kept_v1",
)

# By day, so that a day's dead rows go with their table instead of by vacuum.
_OUTBOX_V2 = (
    "ALTER TABLE outbox RENAME TO outbox_v1",
    "ALTER TABLE outbox_v1 RENAME CONSTRAINT outbox_pkey TO outbox_v1_pkey",
    "ALTER INDEX outbox_order RENAME TO outbox_v1_order",
    """CREATE TABLE outbox (
        day date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date,
        id bigint GENERATED ALWAYS AS IDENTITY,
        xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        event_id text NOT NULL,
        topic text NOT NULL,
        key text NOT NULL,
        payload bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (day, id)) PARTITION BY RANGE (day)""",
    "CREATE INDEX outbox_order ON outbox (xid, id)",
    """DO $$ DECLARE today date; BEGIN
        today = (now() AT TIME ZONE 'UTC')::date;
        FOR ahead IN 0..7 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF outbox FOR VALUES FROM (%L) TO (%L)',
                'outbox_' || to_char(today + ahead, 'YYYYMMDD'), today + ahead, today + ahead + 1);
        END LOOP; END $$""",
    """INSERT INTO outbox (id, xid, event_id, topic, key, payload, created_at)
        OVERRIDING SYSTEM VALUE
        SELECT id, xid, event_id, topic, key, payload, created_at FROM outbox_v1""",
    """SELECT setval(pg_get_serial_sequence('outbox', 'id'), (SELECT greatest(1,
        coalesce((SELECT max(id) FROM outbox_v1), 1))))""",
    "DROP TABLE outbox_v1",
)

# What a redrive needs to fold a record as on its first way, and who decided what about it.
_DEAD_LETTERS_V2 = (
    """ALTER TABLE dead_letter
        ADD COLUMN appended_at timestamptz,
        ADD COLUMN error_class text,
        ADD COLUMN code_version text,
        ADD COLUMN last_tried_at timestamptz,
        ADD COLUMN behind uuid,
        ADD COLUMN discarded_at timestamptz,
        ADD COLUMN discarded_by text""",
    # By the hash of the key, which may be longer than an index takes: the first of its letters.
    """CREATE INDEX dead_letter_open ON dead_letter (lane, sha256(key), topic, part, "offset")
        WHERE redriven_at IS NULL AND discarded_at IS NULL""",
    # The order of a redrive.
    """CREATE INDEX dead_letter_open_order
        ON dead_letter ((behind IS NOT NULL), topic, part, "offset", lane)
        WHERE redriven_at IS NULL AND discarded_at IS NULL""",
    """CREATE TABLE dead_letter_audit (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT now(),
        by text NOT NULL,
        action text NOT NULL CHECK (action IN ('redrive', 'discard')),
        workspace text,
        dead_letter uuid NOT NULL,
        outcome text NOT NULL,
        message text)""",
    "CREATE INDEX dead_letter_audit_of_workspace ON dead_letter_audit (workspace, id)",
)

RUNTIME_TABLES_V2 = (*_INBOX_V2, *_OUTBOX_V2, *_DEAD_LETTERS_V2)
