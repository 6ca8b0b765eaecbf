"""The road of a message: what is due, what was written, what came back, who is not written to.

One row of `message` for each identity, from its plan to its end: the row cannot be there twice.
"""

from alembic import op

revision = "2026_11_27_delivery"
down_revision = "2026_11_25_runtime_v2"

TABLES = (
    # `identity`: <program>/<person>/<civil date or step>. `try_at`: due_at, later after a refusal
    # for now. `channels` in the order in which they are tried; `channel` is the one that was taken.
    # `facts`: what the template may say beside the person. `token`: names it in public addresses.
    """
    CREATE TABLE message (
        workspace text NOT NULL,
        identity text NOT NULL,
        token text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''),
        user_id text NOT NULL,
        account text,
        program text NOT NULL,
        program_version integer NOT NULL DEFAULT 1,
        step text NOT NULL,
        template text NOT NULL,
        variant text,
        channels text[] NOT NULL,
        pillar text NOT NULL,
        purpose text NOT NULL,
        topic text NOT NULL,
        occurrence_at timestamptz NOT NULL,
        due_at timestamptz NOT NULL,
        deadline timestamptz,
        grace_seconds integer NOT NULL DEFAULT 21600,
        zone text NOT NULL,
        zone_source text NOT NULL,
        tzdata text NOT NULL,
        rule_version integer NOT NULL DEFAULT 1,
        facts jsonb NOT NULL DEFAULT '{}',
        state text NOT NULL DEFAULT 'planned' CHECK (state IN (
            'planned', 'claimed', 'handed_over', 'accepted', 'rejected', 'uncertain',
            'missed', 'superseded', 'dropped')),
        reason text,
        winner text,
        channel text,
        provider text,
        address_hash bytea,
        attempt integer NOT NULL DEFAULT 0,
        try_at timestamptz NOT NULL,
        lease_until timestamptz,
        fence bigint NOT NULL DEFAULT 0,
        handed_over_at timestamptz,
        ended_at timestamptz,
        delivered_at timestamptz,
        bounced_at timestamptz,
        complained_at timestamptz,
        unsubscribed_at timestamptz,
        bounce text,
        PRIMARY KEY (workspace, identity)
    )
    """,
    "CREATE UNIQUE INDEX message_token ON message (token)",
    "CREATE INDEX message_due ON message (try_at, workspace, identity) WHERE state = 'planned'",
    """
    CREATE INDEX message_leased ON message (lease_until) WHERE state IN ('claimed', 'handed_over')
    """,
    "CREATE INDEX message_of_person ON message (workspace, user_id, due_at)",
    # What went out, word for word: a re-send sends these bytes and renders nothing new.
    """
    CREATE TABLE letter (
        workspace text NOT NULL,
        identity text NOT NULL,
        message_id text NOT NULL,
        subject text NOT NULL,
        wire bytea NOT NULL,
        digest bytea NOT NULL,
        written_at timestamptz NOT NULL,
        PRIMARY KEY (workspace, identity)
    )
    """,
    "CREATE UNIQUE INDEX letter_message_id ON letter (message_id)",
    # Where a link leads stands here only, never in its address. `trap`: no person sees it.
    """
    CREATE TABLE link (
        token text PRIMARY KEY,
        workspace text NOT NULL,
        identity text NOT NULL,
        position integer NOT NULL,
        target text NOT NULL,
        trap boolean NOT NULL DEFAULT false
    )
    """,
    # `class` and `rule` are decided a moment later, when what came with a hit is in.
    """
    CREATE TABLE hit (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        workspace text NOT NULL,
        identity text NOT NULL,
        at timestamptz NOT NULL,
        kind text NOT NULL CHECK (kind IN ('open', 'click', 'trap')),
        link text,
        method text NOT NULL,
        user_agent text NOT NULL,
        caller bytea NOT NULL,
        class text CHECK (class IN ('human', 'proxy_prefetch', 'scanner', 'unknown')),
        rule text
    )
    """,
    "CREATE INDEX hit_of_message ON hit (workspace, identity, at)",
    "CREATE INDEX hit_undecided ON hit (at) WHERE class IS NULL",
    # `scope`: a topic, or all. `until` null: for good.
    """
    CREATE TABLE suppression (
        workspace text NOT NULL,
        address_hash bytea NOT NULL,
        scope text NOT NULL,
        reason text NOT NULL,
        at timestamptz NOT NULL,
        until timestamptz,
        PRIMARY KEY (workspace, address_hash, scope)
    )
    """,
    # The in-app channel: what a person's inbox holds.
    """
    CREATE TABLE inbox_item (
        workspace text NOT NULL,
        identity text NOT NULL,
        user_id text NOT NULL,
        at timestamptz NOT NULL,
        title text NOT NULL,
        body_html text NOT NULL,
        body_text text NOT NULL,
        read_at timestamptz,
        number bigint GENERATED ALWAYS AS IDENTITY,
        PRIMARY KEY (workspace, identity)
    )
    """,
    "CREATE INDEX inbox_of_person ON inbox_item (workspace, user_id, number)",
    # Every report that came back, also one that fits nothing of ours.
    """
    CREATE TABLE bounce_report (
        digest bytea PRIMARY KEY,
        at timestamptz NOT NULL,
        via text NOT NULL,
        kind text NOT NULL,
        status text,
        workspace text,
        identity text
    )
    """,
    # People as they are written to; the newest word on each field counts.
    """
    CREATE TABLE person (
        workspace text NOT NULL,
        user_id text NOT NULL,
        account text,
        email text,
        name text,
        locale text,
        channels text[],
        churned_at timestamptz,
        removed_at timestamptz,
        PRIMARY KEY (workspace, user_id)
    )
    """,
    # The newest word of each person on each topic; `all` is one of them.
    """
    CREATE TABLE consent (
        workspace text NOT NULL,
        user_id text NOT NULL,
        topic text NOT NULL,
        granted boolean NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (workspace, user_id, topic)
    )
    """,
    # Where a workspace's webhooks and Slack messages go.
    """
    CREATE TABLE channel_target (
        workspace text NOT NULL,
        kind text NOT NULL CHECK (kind IN ('webhook', 'slack')),
        url text NOT NULL,
        secrets text[] NOT NULL DEFAULT '{}',
        PRIMARY KEY (workspace, kind)
    )
    """,
    # A workspace's own templates; the newest version counts, before the one that is shipped.
    """
    CREATE TABLE template (
        workspace text NOT NULL,
        template text NOT NULL,
        locale text NOT NULL,
        version integer NOT NULL,
        subject text NOT NULL,
        body text NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (workspace, template, locale, version)
    )
    """,
    # How many more messages may go out now, by name: one bucket for all processes together.
    """
    CREATE TABLE send_allowance (
        name text PRIMARY KEY,
        tokens double precision NOT NULL,
        at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
