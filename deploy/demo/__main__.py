"""`python -m deploy.demo`: load the demo company, then say where to look."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from rich.console import Console
from rich.table import Table

from deploy.demo.billing import CURRENCY
from deploy.demo.loading import Mainstay, find_mainstay, load
from deploy.local.errors import StackError

SHOWN_ACCOUNTS = 10
PLAIN_WIDTH = 120  # of output that goes to a file or a pipe
BAND_STYLES = {"red": "red", "amber": "yellow", "green": "green"}


def main() -> int:
    """Load, report; the exit status."""
    try:
        mainstay = find_mainstay()
        now = datetime.now(UTC)
        load(mainstay, now)
        lowest = list(islice(mainstay.accounts(), SHOWN_ACCOUNTS))
        last_month = f"{now.replace(day=1) - timedelta(days=1):%Y-%m}"
        revenue = mainstay.month(last_month)
    except StackError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted; the same command goes on", file=sys.stderr)
        return 130
    _report(mainstay, lowest)
    if revenue is not None:
        print(f"\n{_revenue(last_month, revenue)}")
    return 0


def _revenue(month: str, report: Mapping[str, Any]) -> str:
    """What the ledger says of a month, in a line."""
    ndr = "none" if report["ndr"] is None else f"{report['ndr']:.1%}"
    mrr = f"{float(report['mrr_end']):,.0f} {CURRENCY}"
    return f"Revenue in {month}: MRR {mrr} at its end, {report['customers_end']} paying, NDR {ndr}"


def _report(mainstay: Mainstay, lowest: Sequence[Mapping[str, Any]]) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    console.print()
    console.print(_places(mainstay))
    console.print()
    console.print(_accounts(lowest))


def _places(mainstay: Mainstay) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row("Console", mainstay["CONSOLE_URL"])
    table.add_row("Ingest", f"{mainstay['INGEST_URL']}/docs")
    table.add_row("Health", f"{mainstay['HEALTH_URL']}/docs")
    table.add_row("Metrics", f"{mainstay['METRICS_URL']}/docs")
    table.add_row("Mail", mainstay["MAIL_URL"])
    for name in ("WRITE_KEY", "READ_KEY", "MANAGE_KEY"):
        table.add_row(name, mainstay[name])
    return table


def _accounts(lowest: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="The ten accounts with the lowest score", title_justify="left", box=None)
    table.add_column("Account", style="bold")
    table.add_column("Score", justify="right")
    table.add_column("Band")
    table.add_column("First reason")
    for item in lowest:
        score = "-" if item["score"] is None else f"{item['score']:.0f}"
        style = BAND_STYLES.get(item["band"], "")
        band = f"[{style}]{item['band']}[/]" if style else item["band"]
        table.add_row(item["name"] or item["account"], score, band, item["reason"])
    return table


if __name__ == "__main__":
    sys.exit(main())
