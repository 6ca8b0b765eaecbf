"""History that comes in by the importer is scored exactly, at every instant, under any H."""

import csv
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from deploy.local.waiting import wait_until
from tests.support.mainstay import Mainstay, Tenant, environment_of
from tests.support.reference import reference_health

SAMPLE = Path(__file__).parents[1] / "data" / "usage.csv"
MONTHS = [datetime(2025 + month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in range(1, 14)]
AFTER_ALL = datetime(2026, 3, 1, tzinfo=UTC)


def sample() -> dict[str, list[datetime]]:
    """The instants of each account's events, as the file says them."""
    instants: dict[str, list[datetime]] = defaultdict(list)
    with SAMPLE.open(newline="") as file:
        for row in csv.DictReader(file):
            instants[row["account"]].append(datetime.fromisoformat(row["ts"]))
    return instants


@pytest.fixture(scope="module")
def tenant(mainstay: Mainstay, tmp_path_factory: pytest.TempPathFactory) -> Tenant:
    """A workspace that has imported the sample."""
    tenant = mainstay.new_tenant()
    state = tmp_path_factory.mktemp("state")
    imported = subprocess.run(
        [
            *(sys.executable, "-m", "importer", str(SAMPLE), "--state", str(state)),
            *("--url", mainstay.ingest.url, "--map", "time=ts"),
        ],
        env=environment_of(mainstay, tenant),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert imported.returncode == 0, imported.stdout + imported.stderr
    expected = expected_scores(AFTER_ALL)
    wait_until(
        lambda: mainstay.scores(tenant, AFTER_ALL.isoformat()) == pytest.approx(expected),
        timeout_seconds=60,
    )
    return tenant


def expected_scores(at: datetime, *, silence_days: int = 90) -> dict[str, float]:
    """What every account with an event before `at` has to score."""
    return {
        account: reference_health(instants, at, silence_days=silence_days)
        for account, instants in sample().items()
        if min(instants) < at
    }


@pytest.mark.parametrize("at", MONTHS, ids=lambda at: f"{at:%Y-%m}")
def test_scores_of_a_month_are_those_of_the_formula(
    mainstay: Mainstay, tenant: Tenant, at: datetime
):
    assert mainstay.scores(tenant, at.isoformat()) == pytest.approx(expected_scores(at), abs=1e-9)


def test_an_event_counts_only_after_its_own_instant(mainstay: Mainstay, tenant: Tenant):
    first = min(sample()["midnight"])
    just_after = first + timedelta(microseconds=1)

    assert "midnight" not in mainstay.scores(tenant, first.isoformat())
    assert mainstay.scores(tenant, just_after.isoformat())["midnight"] == pytest.approx(
        reference_health([first], just_after), abs=1e-9
    )


def test_another_silence_rescales_every_score(mainstay: Mainstay, tenant: Tenant):
    changed = mainstay.http.patch(
        f"{mainstay.ingest.url}/v1/workspaces/{tenant.workspace}",
        headers={"authorization": f"Bearer {tenant.manage}"},
        json={"silence_days": 30},
    )
    assert changed.status_code == httpx.codes.OK, changed.text
    expected = expected_scores(MONTHS[6], silence_days=30)

    wait_until(
        lambda: mainstay.scores(tenant, MONTHS[6].isoformat()) == pytest.approx(expected, abs=1e-9),
        timeout_seconds=20,
    )

    assert mainstay.scores(tenant, MONTHS[6].isoformat()) == pytest.approx(expected, abs=1e-9)
