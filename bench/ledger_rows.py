"""The rows that month reports are read from, in every form that is compared: made by SQL alone.

So many rows an account over two years; a balance is 0 now and then, so that accounts leave and
return. Each form's answer is NDR by month of one workspace.
"""

from dataclasses import dataclass

import asyncpg

MONTHS = 24
FIRST, LAST = "2024-01", "2025-12"

# What a month report is asked of as a rule: the movements themselves.
MOVEMENTS = """
    CREATE TABLE movement AS
    SELECT workspace, account, at, before, after, after - before AS amount,
        before = 0 AND coalesce(max(after) OVER (PARTITION BY workspace, account ORDER BY at
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) = 0 AS first
    FROM (SELECT workspace, account, at, balance AS after,
            lag(balance, 1, 0) OVER (PARTITION BY workspace, account ORDER BY at) AS before
        FROM (SELECT 'w' || w AS workspace, a AS account,
                timestamptz '2024-01-01 00:00Z' + interval '1 minute' * (a % 1000)
                    + interval '1 day' * (k * 730.0 / $1) AS at,
                CASE WHEN h % 17 = 0 THEN 0 ELSE 100 * (1 + h % 50) END::bigint AS balance
            FROM generate_series(1, $2) w, generate_series(1, $3) a, generate_series(0, $1 - 1) k,
                LATERAL (SELECT abs(hashtext(w || ' ' || a || ' ' || k)) AS h) AS hashed) AS made
        ) AS jumps WHERE before <> after"""
# The form that teams build with dbt: a row for each account and month.
ACCOUNT_MONTHS = """
    CREATE TABLE account_month AS
    SELECT workspace, account, month, coalesce(sum(change) OVER (
        PARTITION BY workspace, account ORDER BY month), 0) AS mrr
    FROM (SELECT s.workspace, s.account, s.month, m.change
        FROM (SELECT workspace, account, month FROM
                (SELECT DISTINCT workspace, account FROM movement) AS known,
                generate_series(timestamp '2023-12-01', '2025-12-01', '1 month') AS month) AS s
        LEFT JOIN (SELECT workspace, account, date_trunc('month', at AT TIME ZONE 'UTC') AS month,
                sum(amount) AS change FROM movement GROUP BY 1, 2, 3) AS m
            USING (workspace, account, month)) AS spine"""
# Mainstay's kept sums, of the same movements.
KIND = """CASE WHEN before = 0 THEN CASE WHEN first THEN 'new' ELSE 'reactivation' END
    WHEN after = 0 THEN 'churn' WHEN after > before THEN 'expansion' ELSE 'contraction' END"""
ROLLUPS = f"""
    INSERT INTO month_rollup
    SELECT workspace, '', month, 'EUR',
        {
    ", ".join(
        f"coalesce(sum(amount) FILTER (WHERE view = '{view}' AND kind = '{kind}'), 0) || '/1'"
        for view in ("net", "gross")
        for kind in ("new", "reactivation", "expansion", "contraction", "churn")
    )
},
        count(*) FILTER (WHERE view = 'net' AND kind = 'new'),
        count(*) FILTER (WHERE view = 'net' AND kind = 'reactivation'),
        count(*) FILTER (WHERE view = 'net' AND kind = 'churn')
    FROM (
        SELECT workspace, date_trunc('month', at AT TIME ZONE 'UTC')::date AS month,
            'gross' AS view, {KIND} AS kind, amount FROM movement
        UNION ALL SELECT workspace, month, 'net', {KIND}, after - before FROM (
            SELECT workspace, account, date_trunc('month', at AT TIME ZONE 'UTC')::date AS month,
                (array_agg(before ORDER BY at))[1] AS before,
                (array_agg(after ORDER BY at DESC))[1] AS after,
                (array_agg(first ORDER BY at))[1] AS first
            FROM movement GROUP BY 1, 2, 3) AS ends WHERE before <> after) AS moved
    GROUP BY 1, 2, 3, 4"""
SETTINGS = """
    INSERT INTO workspace (id, name, time_zone, reporting_currency, locale, silence_days,
        event_mapping)
    SELECT DISTINCT workspace, workspace, 'UTC', 'EUR', 'en', 90, '{}'::jsonb FROM movement"""

NAIVE = """
    WITH ends AS (
        SELECT month, r.account, coalesce(sum(amount) FILTER (WHERE at < month), 0) AS start,
            sum(amount) AS ending
        FROM generate_series(timestamptz '2024-01-01Z', '2025-12-01Z', '1 month') AS month
        JOIN movement r ON r.workspace = $1 AND r.at < month + interval '1 month'
        GROUP BY 1, 2)
    SELECT month, (sum(ending) FILTER (WHERE start > 0)
        / nullif(sum(start) FILTER (WHERE start > 0), 0))::float8 AS ndr
    FROM ends GROUP BY 1 ORDER BY 1"""
BY_ACCOUNT_MONTHS = """
    SELECT n.month, (sum(n.mrr) FILTER (WHERE p.mrr > 0)
        / nullif(sum(p.mrr) FILTER (WHERE p.mrr > 0), 0))::float8 AS ndr
    FROM account_month n JOIN account_month p ON p.workspace = n.workspace
        AND p.account = n.account AND p.month = n.month - interval '1 month'
    WHERE n.workspace = $1 AND n.month >= '2024-01-01' GROUP BY 1 ORDER BY 1"""


# What the peer in DuckDB keeps: the very sums, as whole numbers.
MONTH_SUMS = f"""
    SELECT workspace, month, {
    ", ".join(
        f"split_part(net_{kind}, '/', 1)::bigint AS {kind}"
        for kind in ("new", "reactivation", "expansion", "contraction", "churn")
    )
} FROM month_rollup WHERE part = '' ORDER BY 1, 2"""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """How many rows there are to read."""

    workspaces: int
    accounts: int
    """In each workspace."""
    per_account: int

    @property
    def total(self) -> int:
        """All rows, but for those that change nothing."""
        return self.workspaces * self.accounts * self.per_account


async def fill(url: str, rows: Rows) -> None:
    """Make the rows, and every form of them, in the tables of metrics."""
    connection = await asyncpg.connect(url, server_settings={"search_path": "metrics"})
    try:
        await connection.execute("SET timezone = 'UTC'")
        # What is made cannot take parameters: the numbers are our own.
        movements = (
            MOVEMENTS.replace("$1", str(rows.per_account))
            .replace("$2", str(rows.workspaces))
            .replace("$3", str(rows.accounts))
        )
        for statement in (
            movements,
            "CREATE INDEX ON movement (workspace, account, at)",
            ACCOUNT_MONTHS,
            "CREATE INDEX ON account_month (workspace, account, month)",
            ROLLUPS,
            SETTINGS,
            "VACUUM ANALYZE",
        ):
            await connection.execute(statement)
    finally:
        await connection.close()
