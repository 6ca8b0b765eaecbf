"""The world that faults happen to, the trial of a row, and the table of results."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.layout import ROOT
from tests.faults import report
from tests.faults.trial import Form, Result, Row, Trial
from tests.faults.world import World, running_world

SEED = 20261124


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, help="reproduces a schedule of faults (FAULT_SEED)")
    parser.addoption("--fault-report", type=Path, help="where to write the table of results")


def seed_of(config: pytest.Config) -> int:
    """The seed of this session. Known by option only where this folder was named to pytest."""
    told = config.getoption("--seed", default=None)
    return int(os.environ.get("FAULT_SEED", SEED)) if told is None else int(told)


@pytest.fixture(scope="package")
def world() -> Iterator[World]:
    """Three brokers, PostgreSQL, ingest, health and the toy, for all rows of the session."""
    with running_world() as running:
        yield running


@pytest.fixture
def trial(request: pytest.FixtureRequest, form: Form, world: World) -> Iterator[Trial]:
    """The row that the test is, in this form, on a world in good health."""
    marker = request.node.get_closest_marker("fault")
    assert marker is not None
    entry: Row = marker.args[0]
    yield Trial(entry, form, world, seed=seed_of(request.config))
    world.heal()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, Any]:
    told = yield
    marker = item.get_closest_marker("fault")
    if marker is not None and marker.args and (call.when == "call" or call.excinfo is not None):
        trial = getattr(item, "funcargs", {}).get("trial")
        result = trial.result if trial else _untried(item, marker.args[0])
        result.seconds = round(told.duration, 1)
        result.outcome = {"passed": "holds", "skipped": "not run"}.get(told.outcome, "BROKEN")
        if call.excinfo is not None:
            result.reason = str(call.excinfo.value).partition("\n")[0][:200]
        file = item.config.getoption("--fault-report", default=None)
        if file is not None:
            report.write([result], ROOT / file)  # row by row: a run of an hour may be cut short
    return told


def _untried(item: pytest.Item, entry: Row) -> Result:
    """The result of a row that was skipped, or whose world did not come up."""
    form = item.callspec.params["form"]  # type: ignore[attr-defined]
    return Result(entry, form, str(seed_of(item.config)))
