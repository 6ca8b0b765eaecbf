"""Processes are found by pid and start time, and none survives its stack."""

import signal
import sys
from pathlib import Path

from deploy.local import processes
from deploy.local.processes import Process
from deploy.local.waiting import wait_until

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""


def test_process_of_another_start_time_is_not_ours(tmp_path: Path) -> None:
    process = processes.start(SLEEPER, mark=tmp_path, log=tmp_path / "log")

    stranger = Process(process.pid, process.started_at - 60)
    processes.stop(stranger, wait_seconds=1)

    assert not stranger.is_running()
    assert process.is_running()
    processes.kill(process)


def test_recorded_process_is_found_until_it_ends(tmp_path: Path) -> None:
    process = processes.start(SLEEPER, mark=tmp_path, log=tmp_path / "log")
    processes.record(process, tmp_path / "run" / "sleeper.json")

    found = processes.recorded(tmp_path / "run" / "sleeper.json")
    processes.kill(process)

    assert found == process
    assert processes.recorded(tmp_path / "run" / "sleeper.json") is None


def test_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = processes.start([sys.executable, "-c", STUBBORN], mark=tmp_path, log=log)
    assert wait_until(lambda: "deaf" in log.read_text(), timeout_seconds=10)

    processes.stop(process, wait_seconds=0.2, first=signal.SIGTERM)

    assert not process.is_running()


def test_process_whose_record_was_lost_is_stopped_with_its_stack(tmp_path: Path) -> None:
    ours, others = tmp_path / "ours", tmp_path / "others"
    lost = processes.start(SLEEPER, mark=ours, log=tmp_path / "log")
    other = processes.start(SLEEPER, mark=others, log=tmp_path / "log")

    stopped = processes.stop_marked(ours, wait_seconds=5)

    assert [process.pid for process in stopped] == [lost.pid]
    assert not lost.is_running()
    assert other.is_running()
    processes.kill(other)
