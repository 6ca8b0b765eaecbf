"""The importer as a person uses it: the command line, against the running edge."""

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.local.waiting import wait_until
from tests.support.mainstay import Mainstay, Tenant, environment_of

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ACCOUNTS = 9
SECONDS = 120


@dataclass(frozen=True)
class Ended:
    """How a run of the command ended."""

    status: int
    said: str
    complained: str


def command(mainstay: Mainstay, path: Path, *arguments: str) -> list[str]:
    mapping = ("--map", "time=ts", "--url", mainstay.ingest.url)
    return [sys.executable, "-m", "importer", str(path), *mapping, *arguments]


def run(mainstay: Mainstay, tenant: Tenant, path: Path, *arguments: str) -> Ended:
    ended = subprocess.run(
        command(mainstay, path, *arguments),
        env=environment_of(mainstay, tenant),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def write_history(path: Path, events: int) -> None:
    """Use of nine accounts over 90 days, by time; every tenth row is told twice."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("ts", "account", "user", "event", "feature"))
        for number in range(events):
            told = number - 1 if number % 10 == 9 else number
            at = NOON + timedelta(days=90 * told / events)
            writer.writerow(
                (int(at.timestamp()), f"a{told % ACCOUNTS}", f"u{told % 5}", "edit", "docs")
            )


def counted(mainstay: Mainstay, tenant: Tenant) -> int:
    """Events that health has counted in all accounts."""
    total = 0
    as_of = (NOON + timedelta(days=91)).isoformat()
    for number in range(ACCOUNTS):
        answer = mainstay.get(tenant, f"/v1/accounts/a{number}", as_of=as_of)
        if answer.is_success:
            total += sum(day["events"] for day in answer.json()["usage"]["strip"])
    return total


def assert_counted(mainstay: Mainstay, tenant: Tenant, events: int) -> None:
    wait_until(lambda: counted(mainstay, tenant) >= events, timeout_seconds=60)
    assert counted(mainstay, tenant) == events, mainstay.health.last_lines()


def settled_in(state: Path) -> int:
    """Rows that an import has settled so far; 0 before it says so."""
    return int(json.loads(state.read_text())["rows"]) if state.exists() else 0


def rejects(path: Path) -> Sequence[tuple[str, str]]:
    """Line and code of every row that was rejected."""
    with path.with_name(f"{path.name}.rejects.csv").open(newline="") as file:
        return [(row["line"], row["code"]) for row in csv.DictReader(file)]


def test_second_import_of_the_same_file_changes_nothing(mainstay: Mainstay, tmp_path: Path):
    tenant = mainstay.new_tenant()
    path = tmp_path / "use.csv"
    write_history(path, 3000)

    first = run(mainstay, tenant, path)
    assert_counted(mainstay, tenant, 3000)
    path = path.rename(tmp_path / "renamed.csv")
    second = run(mainstay, tenant, path)

    assert (first.status, second.status) == (0, 0), first.complained + second.complained
    assert "sent 3,000, accepted 3,000, duplicates 0, rejected 0" in first.said
    assert "sent 3,000, accepted 0, duplicates 3,000, rejected 0" in second.said
    assert counted(mainstay, tenant) == 3000


def test_import_that_is_killed_goes_on_from_where_it_was(mainstay: Mainstay, tmp_path: Path):
    tenant = mainstay.new_tenant()
    path, events = tmp_path / "use.csv", 40_000
    write_history(path, events)
    state = tmp_path / "use.csv.import.json"
    process = subprocess.Popen(
        command(mainstay, path, "--requests", "1"),
        env=environment_of(mainstay, tenant),
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: settled_in(state) > 0, timeout_seconds=60)
    process.kill()
    process.wait()
    settled = settled_in(state)

    ended = run(mainstay, tenant, path)

    assert 0 < settled < events
    assert f"going on after row {settled:,}" in ended.complained
    assert ended.status == 0
    assert f"sent {events:,}, " in ended.said
    assert not state.exists()
    assert_counted(mainstay, tenant, events)


def test_rows_that_make_no_event_are_listed_by_line_and_the_others_stand(
    mainstay: Mainstay, tmp_path: Path
):
    tenant = mainstay.new_tenant()
    path = tmp_path / "use.ndjson"
    at = int(NOON.timestamp())
    good = {"ts": at, "account": "a1", "user": "u1", "event": "edit"}
    rows = [
        json.dumps(good),
        "{broken",
        json.dumps({**good, "ts": "soon"}),
        json.dumps({**good, "user": ""}),
        json.dumps({**good, "event": "e" * 300}),
        json.dumps({**good, "user": "u2"}),
    ]
    path.write_text("\n".join(rows) + "\n")
    mapping = [f"--map={name}={name}" for name in ("account", "user", "event")]

    ended = run(mainstay, tenant, path, *mapping)

    assert ended.status == 1, ended.complained
    assert "sent 6, accepted 2, duplicates 0, rejected 4" in ended.said
    assert rejects(path) == [
        ("2", "invalid_json"),
        ("3", "invalid_time"),
        ("4", "missing_user"),
        ("5", "schema_violation"),
    ]
    assert_counted(mainstay, tenant, 2)


def test_edge_that_is_away_for_a_while_costs_nothing(mainstay: Mainstay, tmp_path: Path):
    tenant = mainstay.new_tenant()
    path = tmp_path / "use.csv"
    write_history(path, 5000)
    mainstay.ingest.terminate()
    process = subprocess.Popen(
        command(mainstay, path),
        env=environment_of(mainstay, tenant),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        noticed = process.stderr.readline()
    finally:
        mainstay.ingest.start()
        mainstay.ingest.wait_ready()
    said, _ = process.communicate(timeout=SECONDS)

    assert "trying again" in noticed
    assert "accepted 5,000" in said
    assert_counted(mainstay, tenant, 5000)


def test_refused_key_ends_in_one_line_with_status_2(mainstay: Mainstay, tmp_path: Path):
    tenant = Tenant("none", write="nonsense", read="", manage="")
    path = tmp_path / "use.csv"
    write_history(path, 10)

    ended = run(mainstay, tenant, path)

    assert ended.status == 2
    assert ended.said == ""
    assert ended.complained.startswith("importer: the edge refuses: 401 invalid_key: ")
    assert len(ended.complained.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "arguments", "complaint"),
    [
        (None, (), "No such file"),
        ("", (), "is empty"),
        ("at,account\n1,a\n", (), "has no column ts"),
        ("ts,account,user\n1,a,u\n", (), "track needs event"),
        ("ts,user,event\n1,u,e\n", ("--map", "colour=c"), "cannot map 'colour=c'"),
        ("ts,user,event\n1,u,e\n", ("--url", "edge:8001"), "is no http address"),
    ],
)
def test_usage_that_cannot_be_ends_in_one_line_with_status_2(
    mainstay: Mainstay,
    tmp_path: Path,
    content: str | None,
    arguments: Sequence[str],
    complaint: str,
):
    path = tmp_path / "use.csv"
    if content is not None:
        path.write_text(content)

    ended = run(mainstay, Tenant("none", write="k", read="", manage=""), path, *arguments)

    assert ended.status == 2
    assert complaint in ended.complained
    assert len(ended.complained.splitlines()) == 1


def test_dry_run_shows_events_and_problems_and_sends_nothing(mainstay: Mainstay, tmp_path: Path):
    tenant = mainstay.new_tenant()
    path = tmp_path / "use.csv"
    path.write_text("ts,account,user,event\n1772452800,a1,u1,edit\nsoon,a1,u1,edit\n")

    ended = run(mainstay, tenant, path, "--dry-run")

    assert ended.status == 1
    assert '"groupId": "a1"' in ended.said
    assert "line 3: invalid_time: 'soon' is no time" in ended.said
    assert not list(tmp_path.glob("*.json"))
    assert mainstay.get(tenant, "/v1/accounts").json()["items"] == []
