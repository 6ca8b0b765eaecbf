"""Whom messages are for: people, accounts, what they entered programs by, and what was decided.

What is said of people and accounts is folded from events. What was decided of them (journeys,
anchors, decisions, when to plan next) is kept through a rebuild: events say nothing of it.
"""

from alembic import op

revision = "2026_11_27_messages"
down_revision = "2026_11_27_delivery"

TABLES = (
    # `told`: each field as it was told last, by event time. `zones`: every zone that was said, in
    # any order. `known_at`: when the first of it all reached the broker.
    """
    ALTER TABLE person
        ADD COLUMN role text,
        ADD COLUMN told jsonb NOT NULL DEFAULT '{}',
        ADD COLUMN zones jsonb NOT NULL DEFAULT '[]',
        ADD COLUMN identified_at timestamptz,
        ADD COLUMN signed_up_at timestamptz,
        ADD COLUMN known_at timestamptz,
        ADD COLUMN nps_class text
    """,
    # The latest one is the person's account; one person may be in several. `removed_at`: no longer
    # a seat, unless named as a member after it.
    """
    CREATE TABLE membership (
        workspace text NOT NULL,
        user_id text NOT NULL,
        account text NOT NULL,
        at timestamptz NOT NULL,
        removed_at timestamptz,
        PRIMARY KEY (workspace, user_id, account)
    )
    """,
    "CREATE INDEX membership_of_account ON membership (workspace, account, user_id)",
    # `churned_at` and `reactivated_at`: the latest of each.
    """
    CREATE TABLE account (
        workspace text NOT NULL,
        account text NOT NULL,
        told jsonb NOT NULL DEFAULT '{}',
        stage text NOT NULL DEFAULT 'prospect',
        ever_paid boolean NOT NULL DEFAULT false,
        left_once boolean NOT NULL DEFAULT false,
        churned_at timestamptz,
        reactivated_at timestamptz,
        onboarded_at timestamptz,
        PRIMARY KEY (workspace, account)
    )
    """,
    """
    CREATE TABLE feature_use (
        workspace text NOT NULL,
        user_id text NOT NULL,
        feature text NOT NULL,
        times bigint NOT NULL,
        last_at timestamptz NOT NULL,
        PRIMARY KEY (workspace, user_id, feature)
    )
    """,
    # What people may enter programs by. `scope`: u:<user>, a:<account>. `about`: what tells it from
    # others of its kind; `names_on`: the civil date that it names.
    """
    CREATE TABLE occasion (
        workspace text NOT NULL,
        scope text NOT NULL,
        event text NOT NULL,
        about text NOT NULL,
        at timestamptz NOT NULL,
        names_on date,
        facts jsonb NOT NULL DEFAULT '{}',
        PRIMARY KEY (workspace, scope, event, about)
    )
    """,
    # A person in a program, decided once for each entry. `about` is empty where it is entered once.
    """
    CREATE TABLE journey (
        workspace text NOT NULL,
        user_id text NOT NULL,
        program text NOT NULL,
        about text NOT NULL DEFAULT '',
        version integer NOT NULL,
        state text NOT NULL CHECK (state IN ('going', 'ended', 'refused')),
        reason text,
        entered_at timestamptz NOT NULL,
        names_on date,
        facts jsonb NOT NULL DEFAULT '{}',
        account text,
        decided_at timestamptz NOT NULL,
        ended_at timestamptz,
        PRIMARY KEY (workspace, user_id, program, about)
    )
    """,
    "CREATE INDEX journey_of_program ON journey (workspace, program, state)",
    # Why a message goes or does not: every rule that was consulted, in order. The same decision
    # taken again stands once.
    """
    CREATE TABLE decision (
        number bigint GENERATED ALWAYS AS IDENTITY,
        workspace text NOT NULL,
        identity text NOT NULL,
        user_id text NOT NULL,
        at timestamptz NOT NULL,
        due_at timestamptz,
        outcome text NOT NULL,
        reason text,
        winner text,
        rules jsonb NOT NULL DEFAULT '[]',
        rule_version integer NOT NULL,
        tzdata text NOT NULL,
        PRIMARY KEY (workspace, identity, number)
    )
    """,
    "CREATE INDEX decision_of_person ON decision (workspace, user_id, number)",
    # As it was published last; `number` counts the times that it was another one.
    """
    CREATE TABLE anchor (
        workspace text NOT NULL,
        user_id text NOT NULL,
        weekday text NOT NULL,
        local_time text NOT NULL,
        signed_up_on date NOT NULL,
        zone text NOT NULL,
        zone_source text NOT NULL,
        signed_up_at timestamptz NOT NULL,
        tzdata text NOT NULL,
        number integer NOT NULL,
        PRIMARY KEY (workspace, user_id)
    )
    """,
    # When a person is planned again; `tzdata`: by which IANA database the plan that stands is made.
    """
    CREATE TABLE planning (
        workspace text NOT NULL,
        user_id text NOT NULL,
        plan_at timestamptz NOT NULL,
        tzdata text NOT NULL DEFAULT '',
        PRIMARY KEY (workspace, user_id)
    )
    """,
    "CREATE INDEX planning_due ON planning (plan_at, workspace, user_id)",
    "CREATE INDEX planning_tzdata ON planning (tzdata)",
    # The numbers of a workspace; one without a row has the defaults. No number: no cap.
    # `words`: what templates may say beside the person, guide_url and its like.
    """
    CREATE TABLE messaging_settings (
        workspace text PRIMARY KEY,
        grace_seconds integer NOT NULL DEFAULT 21600 CHECK (grace_seconds >= 0),
        spacing_seconds integer NOT NULL DEFAULT 302400 CHECK (spacing_seconds >= 0),
        quiet_starts time,
        quiet_ends time,
        most_a_day integer DEFAULT 2 CHECK (most_a_day > 0),
        most_a_week integer DEFAULT 5 CHECK (most_a_week > 0),
        apart_seconds integer NOT NULL DEFAULT 14400 CHECK (apart_seconds >= 0),
        most_a_minute integer NOT NULL DEFAULT 6000 CHECK (most_a_minute > 0),
        words jsonb NOT NULL DEFAULT '{}'
    )
    """,
    # Nobody, or one person, is written to in this span; `user_id` empty: the whole workspace.
    """
    CREATE TABLE pause (
        workspace text NOT NULL,
        user_id text NOT NULL DEFAULT '',
        starts_at timestamptz NOT NULL,
        ends_at timestamptz NOT NULL,
        by text NOT NULL,
        CHECK (ends_at > starts_at),
        PRIMARY KEY (workspace, user_id, starts_at)
    )
    """,
    # A workspace's own programs: the highest version that is live counts, before the one that is
    # shipped under the same id. `definition`: a Program of the model as JSON.
    """
    CREATE TABLE program (
        workspace text NOT NULL,
        program text NOT NULL,
        version integer NOT NULL,
        definition jsonb NOT NULL,
        live boolean NOT NULL,
        at timestamptz NOT NULL,
        by text NOT NULL,
        PRIMARY KEY (workspace, program, version)
    )
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
