"""Packet filters and network namespaces, where the machine has them; else why a row cannot run."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

RUN_SECONDS = 10


def why_not(*tools: str) -> str | None:
    """What keeps these tools from working here; None when nothing does."""
    if os.geteuid() != 0:
        return "not root"
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return f"no {', '.join(missing)} on this machine" if missing else None


def require(*tools: str) -> None:
    """Skip the row, which counts as not run, where one of these tools cannot work."""
    if reason := why_not(*tools):
        pytest.skip(reason)


@dataclass(frozen=True)
class Filter:
    """A packet filter on loopback for one port, with a counter of the packets it met."""

    port: int
    action: str

    def packets(self) -> int:
        """How many packets it has met: 0 means that the fault has not happened."""
        listed = _run("iptables", "-nvxL", "INPUT").splitlines()
        ours = [line.split() for line in listed if f"dpt:{self.port}" in line]
        return sum(int(words[0]) for words in ours)


@contextmanager
def filtered(
    port: int, *, action: str = "DROP", probability: float | None = None
) -> Iterator[Filter]:
    """Drop (or with REJECT answer by RST) what goes to a port on loopback, for the block.

    Skips the row where there is no iptables or no right to use it.
    """
    require("iptables")
    how = ["-j", action]
    if action == "REJECT":
        how += ["--reject-with", "tcp-reset"]
    if probability is not None:
        how = ["-m", "statistic", "--mode", "random", "--probability", str(probability), *how]
    rule = ["INPUT", "-i", "lo", "-p", "tcp", "--dport", str(port), *how]
    _run("iptables", "-A", *rule)
    try:
        yield Filter(port, action)
    finally:
        _run("iptables", "-D", *rule)


@contextmanager
def namespace(name: str) -> Iterator[str]:
    """A network namespace with loopback up, for the block: `ip netns exec NAME ...` runs in it.

    Skips the row where the machine makes none.
    """
    require("ip")
    try:
        _run("ip", "netns", "add", name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
    try:
        _run("ip", "-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        _run("ip", "netns", "delete", name)


def _run(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=RUN_SECONDS)
    return ended.stdout
