"""Surveys: who can be asked, waves and their populations, answers with kept counts, and loops.

Ids and people's names are ordered by code point (COLLATE "C"), so that one walk over them is the
same everywhere. An empty `wave` means an answer or an invitation that belongs to none.
"""

from alembic import op

revision = "2026_11_27_surveys"
down_revision = "2026_11_25_runtime_v2"

CLASSES = "('promoter', 'passive', 'detractor')"
MODES = "('email', 'page', 'widget', 'api', 'import', 'live_call')"
KINDS = "('nps', 'csat', 'ces', 'micro')"

# Folded from events: a rebuild makes them anew.
PEOPLE = (
    # Sign-up: the latest said, else the earliest identification. `first_zone`: of the earliest
    # event that named one; `learned_zone`: where the sign-up is known to have happened.
    """CREATE TABLE person (
        workspace text NOT NULL,
        "user" text COLLATE "C" NOT NULL,
        identified_at timestamptz NOT NULL,
        signed_up_said timestamptz,
        signed_up_told_at timestamptz,
        first_zone text,
        first_zone_at timestamptz,
        learned_zone text,
        learned_at timestamptz,
        locale text,
        locale_at timestamptz,
        role text,
        role_at timestamptz,
        PRIMARY KEY (workspace, "user"))""",
    """CREATE TABLE consent (
        workspace text NOT NULL,
        "user" text COLLATE "C" NOT NULL,
        about text NOT NULL,
        granted boolean NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (workspace, "user", about))""",
    """CREATE TABLE membership (
        workspace text NOT NULL,
        "user" text COLLATE "C" NOT NULL,
        account text COLLATE "C" NOT NULL,
        told_at timestamptz NOT NULL,
        removed_at timestamptz,
        PRIMARY KEY (workspace, "user", account))""",
    # `mrr`: as the ledger told it last; null while it never did. Gone while `churned_at` is the
    # later of the two instants.
    """CREATE TABLE account (
        workspace text NOT NULL,
        account text COLLATE "C" NOT NULL,
        name text,
        name_at timestamptz,
        tier text,
        tier_at timestamptz,
        owner text,
        owner_at timestamptz,
        time_zone text,
        time_zone_at timestamptz,
        synthetic boolean,
        synthetic_at timestamptz,
        mrr numeric,
        churned_at timestamptz,
        returned_at timestamptz,
        PRIMARY KEY (workspace, account))""",
)
# Truth that stands in no topic that nps reads.
WAVES = (
    # What the links of a workspace are signed with; drawn when the first is made.
    """CREATE TABLE link_key (
        workspace text PRIMARY KEY,
        secret text NOT NULL)""",
    # `ordered_at`: when it opens; of an imported one its first answer. `walked_to`: how far the
    # decisions of its population have come, by user. `population`: people by decision.
    f"""CREATE TABLE wave (
        workspace text NOT NULL,
        wave text COLLATE "C" NOT NULL CHECK (wave <> ''),
        kind text NOT NULL CHECK (kind IN {KINDS}),
        form text NOT NULL CHECK (form IN ('one_off', 'continuous', 'moment', 'imported')),
        state text NOT NULL CHECK (state IN ('planned', 'opening', 'open', 'closed')),
        ordered_at timestamptz,
        opens_at timestamptz,
        closes_at timestamptz CHECK (closes_at > opens_at),
        opened_at timestamptz,
        closed_at timestamptz,
        walked_to text COLLATE "C" NOT NULL DEFAULT '',
        walk_again_at timestamptz,
        population jsonb NOT NULL DEFAULT '{{}}',
        first_after_days integer NOT NULL DEFAULT 45 CHECK (first_after_days >= 0),
        quarantine_days integer NOT NULL DEFAULT 90 CHECK (quarantine_days >= 0),
        sample_share numeric NOT NULL DEFAULT 1 CHECK (sample_share > 0 AND sample_share <= 1),
        reminders integer NOT NULL DEFAULT 0 CHECK (reminders BETWEEN 0 AND 2),
        reminder_after_days integer NOT NULL DEFAULT 7 CHECK (reminder_after_days > 0),
        anonymous boolean NOT NULL DEFAULT false,
        moment text,
        question jsonb NOT NULL DEFAULT '{{}}',
        PRIMARY KEY (workspace, wave))""",
    "CREATE INDEX wave_at_work ON wave (state, workspace, wave) WHERE state <> 'closed'",
    """CREATE TABLE wave_member (
        workspace text NOT NULL,
        wave text COLLATE "C" NOT NULL,
        "user" text COLLATE "C" NOT NULL,
        account text COLLATE "C",
        decision text NOT NULL CHECK (decision IN
            ('ask', 'too_young', 'quarantine', 'opted_out', 'churned', 'not_sampled')),
        reason text NOT NULL,
        decided_at timestamptz NOT NULL,
        requested boolean NOT NULL DEFAULT false,
        PRIMARY KEY (workspace, wave, "user"))""",
    """CREATE INDEX wave_member_to_ask ON wave_member (workspace, wave, "user")
        WHERE decision = 'ask' AND NOT requested""",
    # `failed`: why cadence could not hand it over; it then starts no quarantine.
    """CREATE TABLE invitation (
        workspace text NOT NULL,
        invitation text COLLATE "C" NOT NULL,
        wave text COLLATE "C" NOT NULL,
        "user" text COLLATE "C" NOT NULL,
        account text COLLATE "C",
        requested_at timestamptz NOT NULL,
        invited_at timestamptz,
        failed text,
        reminders integer NOT NULL DEFAULT 0 CHECK (reminders BETWEEN 0 AND 2),
        remind_at timestamptz,
        closes_at timestamptz NOT NULL,
        PRIMARY KEY (workspace, invitation))""",
    # A person is asked once in a wave, however many accounts they are in.
    """CREATE UNIQUE INDEX invitation_once ON invitation (workspace, wave, "user")
        WHERE wave <> ''""",
    'CREATE INDEX invitation_of_user ON invitation (workspace, "user", requested_at)',
    "CREATE INDEX invitation_to_remind ON invitation (remind_at) WHERE remind_at IS NOT NULL",
)
ANSWERS = (
    # One an invitation. `version` counts what was recorded; `counted`: it stands in the counts.
    f"""CREATE TABLE answer (
        workspace text NOT NULL,
        invitation text COLLATE "C" NOT NULL,
        wave text COLLATE "C" NOT NULL,
        kind text NOT NULL CHECK (kind IN {KINDS}),
        "user" text COLLATE "C" NOT NULL,
        account text COLLATE "C",
        score smallint NOT NULL CHECK (CASE kind WHEN 'nps' THEN score BETWEEN 0 AND 10
            WHEN 'ces' THEN score BETWEEN 1 AND 7 ELSE score BETWEEN 1 AND 5 END),
        class text CHECK (class IN {CLASSES}),
        mode text NOT NULL CHECK (mode IN {MODES}),
        comment text,
        details jsonb NOT NULL DEFAULT '{{}}',
        features text[] NOT NULL DEFAULT '{{}}',
        first_at timestamptz NOT NULL,
        at timestamptz NOT NULL CHECK (at >= first_at),
        version integer NOT NULL DEFAULT 1,
        CHECK ((class IS NULL) = (kind <> 'nps')),
        PRIMARY KEY (workspace, invitation))""",
    'CREATE INDEX answer_of_user ON answer (workspace, "user", wave)',
    "CREATE INDEX answer_of_account ON answer (workspace, account, wave)",
    "CREATE INDEX answer_in_time ON answer (workspace, first_at, invitation)",
    "CREATE INDEX answer_of_wave ON answer (workspace, wave, first_at, invitation)",
    # Tries after the close: kept, counted nowhere.
    """CREATE TABLE late_answer (
        workspace text NOT NULL,
        invitation text COLLATE "C" NOT NULL,
        number integer NOT NULL CHECK (number BETWEEN 1 AND 10),
        score smallint NOT NULL,
        comment text,
        mode text NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (workspace, invitation, number))""",
    # How many counted answers have a score: what every summary is made from. No check on the
    # counts: one on a row to be added also sees an upsert's difference, which may be below 0.
    f"""CREATE TABLE score_count (
        workspace text NOT NULL,
        wave text COLLATE "C" NOT NULL,
        kind text NOT NULL,
        mode text NOT NULL CHECK (mode IN {MODES}),
        score smallint NOT NULL,
        answers bigint NOT NULL,
        PRIMARY KEY (workspace, wave, kind, mode, score)) WITH (fillfactor = 50)""",
    # The same by account, of nps alone and without live calls: what roll-ups are made from.
    """CREATE TABLE account_count (
        workspace text NOT NULL,
        wave text COLLATE "C" NOT NULL,
        account text COLLATE "C" NOT NULL,
        promoter bigint NOT NULL,
        passive bigint NOT NULL,
        detractor bigint NOT NULL,
        PRIMARY KEY (workspace, wave, account)) WITH (fillfactor = 50)""",
)
LOOPS = (
    # `follows`: the invitation of the answer, or the feedback item, that it was opened for.
    f"""CREATE TABLE loop (
        workspace text NOT NULL,
        loop text COLLATE "C" NOT NULL,
        follows text COLLATE "C" NOT NULL,
        "user" text COLLATE "C",
        account text COLLATE "C",
        class text CHECK (class IN {CLASSES}),
        reason text NOT NULL,
        owner text,
        opened_at timestamptz NOT NULL,
        due_at timestamptz NOT NULL,
        contacted_at timestamptz,
        measured_class text CHECK (measured_class IN {CLASSES}),
        closed_at timestamptz,
        outcome text,
        PRIMARY KEY (workspace, loop))""",
    'CREATE INDEX loop_of_user ON loop (workspace, "user") WHERE closed_at IS NULL',
    "CREATE INDEX loop_of_account ON loop (workspace, account) WHERE closed_at IS NULL",
)


def upgrade() -> None:
    for statement in (*PEOPLE, *WAVES, *ANSWERS, *LOOPS):
        op.execute(statement)
