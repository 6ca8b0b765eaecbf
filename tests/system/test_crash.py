"""A crash in the middle of an import loses nothing and doubles nothing."""

import csv
import random
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.local.waiting import wait_until
from tests.support.mainstay import Mainstay, Tenant, environment_of

EVENTS = 20_000
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def write_history(path: Path) -> Counter[str]:
    """A file of use by 50 accounts over 100 days; the number of events of each account."""
    chance = random.Random(11)
    expected: Counter[str] = Counter()
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ts", "account", "user", "event", "feature"])
        for number in range(EVENTS):
            account = f"a{chance.randrange(50)}"
            at = NOON + timedelta(days=100 * number / EVENTS)
            writer.writerow([int(at.timestamp()), account, f"u{number % 7}", "edit", "docs"])
            expected[account] += 1
    return expected


def importing(mainstay: Mainstay, tenant: Tenant, path: Path) -> subprocess.Popen[str]:
    columns = ("time=ts", "account=account", "user=user", "event=event", "feature=feature")
    mapping = [argument for column in columns for argument in ("--map", column)]
    return subprocess.Popen(
        [sys.executable, "-m", "importer", str(path), "--url", mainstay.ingest.url, *mapping],
        env=environment_of(mainstay, tenant),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def counted(mainstay: Mainstay, tenant: Tenant) -> Counter[str]:
    """Events of each account as health has counted them, over the whole strip of 26 weeks."""
    as_of = (NOON + timedelta(days=101)).isoformat()
    accounts = mainstay.scores(tenant, as_of)
    counts: Counter[str] = Counter()
    for account in accounts:
        usage = mainstay.get(tenant, f"/v1/accounts/{account}", as_of=as_of).json()["usage"]
        counts[account] = sum(day["events"] for day in usage["strip"])
    return counts


def test_killing_health_in_the_middle_of_an_import_loses_and_doubles_nothing(
    mainstay: Mainstay, tmp_path: Path
):
    tenant = mainstay.new_tenant()
    history = tmp_path / "history.csv"
    expected = write_history(history)

    running = importing(mainstay, tenant, history)
    kills = 0
    for _ in range(2):
        if counted(mainstay, tenant).total() < EVENTS:
            mainstay.health.kill()
            kills += 1
        mainstay.health.start()
        mainstay.health.wait_ready()
    output, _ = running.communicate(timeout=120)

    assert running.returncode == 0, output
    assert kills, "health had counted everything before the first kill: nothing was tested"
    wait_until(lambda: counted(mainstay, tenant).total() >= EVENTS, timeout_seconds=90)
    assert counted(mainstay, tenant) == expected


def test_a_second_import_of_the_same_file_changes_no_number(mainstay: Mainstay, tmp_path: Path):
    tenant = mainstay.new_tenant()
    first, second = tmp_path / "history.csv", tmp_path / "copy" / "other-name.csv"
    expected = write_history(first)
    second.parent.mkdir()
    second.write_bytes(first.read_bytes())
    as_of = (NOON + timedelta(days=90)).isoformat()
    output, _ = (running := importing(mainstay, tenant, first)).communicate(timeout=120)
    assert running.returncode == 0, output
    wait_until(lambda: counted(mainstay, tenant).total() >= EVENTS, timeout_seconds=60)
    before = mainstay.scores(tenant, as_of)

    output, _ = (running := importing(mainstay, tenant, second)).communicate(timeout=120)

    assert running.returncode == 0, output
    mainstay.ingest.terminate()  # forget what the edge remembers: the consumers have to notice
    mainstay.ingest.start()
    mainstay.ingest.wait_ready()
    second.with_suffix(".csv.state").unlink(missing_ok=True)
    output, _ = (running := importing(mainstay, tenant, second)).communicate(timeout=120)
    assert running.returncode == 0, output
    assert counted(mainstay, tenant) == expected
    assert mainstay.scores(tenant, as_of) == before
