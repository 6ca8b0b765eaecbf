"""The revenue ledger: facts, what follows from them with its record intervals, and rollups.

Ids are ordered by code point (COLLATE "C"), as the model orders them. An exact amount is the text
of a fraction, `1000/3` or `5/1`: no type of PostgreSQL holds one.
"""

from alembic import op

revision = "2026_11_26_ledger"
down_revision = "2026_11_25_runtime_v2"

# Not a domain: its number would be another one behind a rebuild, and fail every prepared statement.
EXACT_AMOUNTS = ", ".join(
    f"{view}_{kind} text NOT NULL CHECK ({view}_{kind} ~ '^-?[0-9]+/[1-9][0-9]*$')"
    for view in ("net", "gross")
    for kind in ("new", "reactivation", "expansion", "contraction", "churn")
)
LEDGER = (
    # One row a workspace: whoever writes its books holds its lock. Voids, contested ids,
    # mappings and rollups cross accounts and partitions, so one writer at a time keeps them whole.
    # `repeats`: records beyond the first of each fact. `time_zone`: that of the rollups.
    """CREATE TABLE ledger (
        workspace text PRIMARY KEY,
        time_zone text NOT NULL,
        repeats bigint NOT NULL DEFAULT 0 CHECK (repeats >= 0))""",
    # Every record of every fact as sent, by its place in the log: append-only. `account` as sent.
    # `target`: what it speaks of, the fact that a void withdraws or the object that it describes.
    # `named`: objects only named. `priced`: what a state comes to, unless objects decide that.
    """CREATE TABLE fact (
        workspace text NOT NULL,
        source text COLLATE "C" NOT NULL,
        id text COLLATE "C" NOT NULL,
        part integer NOT NULL,
        "offset" bigint NOT NULL,
        type text NOT NULL,
        account text COLLATE "C",
        target text COLLATE "C",
        named text[],
        recorded_at timestamptz NOT NULL,
        fact json NOT NULL,
        priced bytea,
        PRIMARY KEY (workspace, source, id, part, "offset"))""",
    "CREATE INDEX fact_of_account ON fact (workspace, account) WHERE account IS NOT NULL",
    """CREATE INDEX fact_of_type ON fact (workspace, type) WHERE type IN
        ('fx_rate', 'sales_and_marketing', 'acquisition_cost', 'nps_response')""",
    "CREATE INDEX fact_of_target ON fact (workspace, source, target) WHERE target IS NOT NULL",
    "CREATE INDEX fact_naming ON fact USING gin (named) WHERE named IS NOT NULL",
    # Facts of which records of different content came; the first recorded one stands.
    """CREATE TABLE contested (
        workspace text NOT NULL,
        source text COLLATE "C" NOT NULL,
        id text COLLATE "C" NOT NULL,
        PRIMARY KEY (workspace, source, id))""",
    # Whose subscription it is: the account that its first state was sent for.
    """CREATE TABLE subscription (
        workspace text NOT NULL,
        subscription text COLLATE "C" NOT NULL,
        account text COLLATE "C" NOT NULL,
        PRIMARY KEY (workspace, subscription))""",
    # Ids that a billing system has for accounts of ours, as accounts told it: append-only.
    """CREATE TABLE alias (
        workspace text NOT NULL,
        customer text COLLATE "C" NOT NULL,
        event text COLLATE "C" NOT NULL,
        account text COLLATE "C" NOT NULL,
        at timestamptz NOT NULL,
        recorded_at timestamptz NOT NULL,
        PRIMARY KEY (workspace, customer, event))""",
    "CREATE INDEX alias_of_account ON alias (workspace, account)",
)
DERIVED = (
    # An account's recurring revenue from `at` on, by currency, as known from `known_from` to before
    # `known_to`. Rows are added and closed, never changed.
    """CREATE TABLE step (
        workspace text NOT NULL,
        account text COLLATE "C" NOT NULL,
        at timestamptz NOT NULL,
        known_from timestamptz NOT NULL,
        known_to timestamptz CHECK (known_to > known_from),
        step json NOT NULL,
        PRIMARY KEY (workspace, account, at, known_from))""",
    "CREATE INDEX step_superseded ON step (workspace, known_to) WHERE known_to IS NOT NULL",
    "CREATE INDEX step_learned ON step (workspace, known_from)",
    # `counted`: in every metric, as walk-through accounts are not. `currencies`: those it ever had;
    # one with several stands in no rollup, because a rate decides what its movements are.
    # `standing` and what follows: from where its books can be carried on, as far as they can.
    """CREATE TABLE account (
        workspace text NOT NULL,
        account text COLLATE "C" NOT NULL,
        profile jsonb NOT NULL DEFAULT '{}',
        currencies text[] NOT NULL DEFAULT '{}',
        standing bytea,
        settled_at timestamptz,
        learned_at timestamptz,
        first_paid_at timestamptz,
        segment text GENERATED ALWAYS AS (profile #>> '{segment,0}') STORED,
        counted boolean NOT NULL GENERATED ALWAYS AS
            (coalesce(profile #> '{synthetic,0}' <> 'true'::jsonb, true)) STORED,
        PRIMARY KEY (workspace, account))""",
    "CREATE INDEX account_mixed ON account (workspace) WHERE cardinality(currencies) > 1",
    # What was told of accounts, with when it became known: who was in a segment then.
    """CREATE TABLE telling (
        workspace text NOT NULL,
        account text COLLATE "C" NOT NULL,
        event text COLLATE "C" NOT NULL,
        at timestamptz NOT NULL,
        recorded_at timestamptz NOT NULL,
        told jsonb NOT NULL,
        PRIMARY KEY (workspace, account, event))""",
    # What a month adds, in one currency: of all accounts (part '') or of a segment (part '=x').
    f"""CREATE TABLE month_rollup (
        workspace text NOT NULL,
        part text COLLATE "C" NOT NULL,
        month date NOT NULL CHECK (extract(day FROM month) = 1),
        currency text NOT NULL,
        {EXACT_AMOUNTS},
        customers_new bigint NOT NULL,
        customers_reactivation bigint NOT NULL,
        customers_churn bigint NOT NULL,
        PRIMARY KEY (workspace, part, month, currency)) WITH (fillfactor = 80)""",
)
CLOCK = (
    # Movements that are known before they are in force; a job publishes them at their instant.
    """CREATE TABLE scheduled_movement (
        workspace text NOT NULL,
        account text COLLATE "C" NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (workspace, account, at))""",
    "CREATE INDEX scheduled_movement_due ON scheduled_movement (at)",
    # Up to where every fact is folded, by the database's clock: one row.
    """CREATE TABLE tide (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        known_until timestamptz NOT NULL)""",
    """CREATE TABLE closed_month (
        workspace text NOT NULL,
        month date NOT NULL CHECK (extract(day FROM month) = 1),
        closed_at timestamptz NOT NULL,
        known_at timestamptz NOT NULL,
        policy_version integer NOT NULL,
        report json NOT NULL,
        previous_digest text NOT NULL,
        digest text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
        PRIMARY KEY (workspace, month))""",
    """CREATE TABLE setting (
        workspace text PRIMARY KEY,
        ndr_target numeric NOT NULL CHECK (ndr_target > 0))""",
)
AGREEMENTS = (
    # A contract as told last, by event time, and its cancellation likewise.
    """CREATE TABLE contract (
        workspace text NOT NULL,
        account text COLLATE "C" NOT NULL,
        contract text COLLATE "C" NOT NULL,
        terms json,
        told_at timestamptz,
        told_by text COLLATE "C",
        cancelled_on date,
        cancel_reason text,
        cancel_told_at timestamptz,
        cancel_told_by text COLLATE "C",
        PRIMARY KEY (workspace, account, contract))""",
    """CREATE TABLE concession (
        workspace text NOT NULL,
        event text COLLATE "C" NOT NULL,
        account text COLLATE "C" NOT NULL,
        kind text NOT NULL,
        value numeric NOT NULL CHECK (value >= 0),
        currency text NOT NULL,
        granted_at timestamptz NOT NULL,
        in_return text,
        granted_by text,
        reason text,
        PRIMARY KEY (workspace, event))""",
    "CREATE INDEX concession_in_time ON concession (workspace, granted_at, event)",
    # The people that events name as members of an account: seats in use.
    """CREATE TABLE seat (
        workspace text NOT NULL,
        account text COLLATE "C" NOT NULL,
        "user" text COLLATE "C" NOT NULL,
        PRIMARY KEY (workspace, account, "user"))""",
    """CREATE TABLE first_payment (
        workspace text NOT NULL,
        account text COLLATE "C" NOT NULL,
        at timestamptz NOT NULL,
        event text COLLATE "C" NOT NULL,
        amount numeric NOT NULL,
        currency text NOT NULL,
        PRIMARY KEY (workspace, account))""",
    # What the clock has told of contracts and opportunities, so that it is told once.
    """CREATE TABLE contract_notice (
        workspace text NOT NULL,
        account text COLLATE "C" NOT NULL,
        contract text COLLATE "C" NOT NULL,
        notice text NOT NULL,
        on_day date NOT NULL,
        PRIMARY KEY (workspace, account, contract, notice, on_day))""",
    """CREATE TABLE opportunity_told (
        workspace text NOT NULL,
        opportunity text COLLATE "C" NOT NULL,
        account text COLLATE "C" NOT NULL,
        kind text NOT NULL,
        signal text NOT NULL,
        PRIMARY KEY (workspace, opportunity))""",
)


def upgrade() -> None:
    for statement in (*LEDGER, *DERIVED, *CLOCK, *AGREEMENTS):
        op.execute(statement)
