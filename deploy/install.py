"""`python3 deploy/install.py [uv sync arguments]`: from a bare Python to the project's `.venv`.

Needs nothing but Python's own library. A pinned uv is installed below `.local/uv`, and uv installs
the versions of `uv.lock`. It is written so that an older Python can still read it and say that it
is too old.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
UV = "uv==0.13.9"
ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".local" / "uv"
# A venv puts it into bin, `pip --target` beside the package.
PROGRAM = HOME / "bin" / "uv"


def main() -> int:
    """Install; the exit status."""
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        return _fail(f"Python 3.11 or newer is needed; {sys.executable} is {found}")
    if not _has_uv() and not _install_uv():
        return _fail(
            f"pip cannot install {UV}, as its lines above say: is the package registry reachable? "
            "On Debian and Ubuntu pip itself is `apt install python3-venv`"
        )
    print("installing the versions of uv.lock into .venv", flush=True)
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    # Compiled once here, in 5 s: else a service spends half of its start on compiling imports,
    # each time where Python may not write bytecode itself.
    options = ["--locked", "--inexact", "--compile-bytecode", "--python", sys.executable]
    command = [str(PROGRAM), "sync", *options]
    if not sys.stdout.isatty():
        command.append("--quiet")
    ended = subprocess.run([*command, *sys.argv[1:]], cwd=ROOT, env=environment, check=False)
    if ended.returncode != 0:
        return _fail("uv cannot install the versions of uv.lock; its lines above say why")
    return 0


def _has_uv() -> bool:
    try:
        answer = subprocess.run([str(PROGRAM), "--version"], capture_output=True, check=False)
    except OSError:
        return False
    return answer.returncode == 0 and UV.split("==")[1] in answer.stdout.decode()


def _install_uv() -> bool:
    print(f"installing {UV} below .local", flush=True)
    shutil.rmtree(str(HOME), ignore_errors=True)
    HOME.parent.mkdir(parents=True, exist_ok=True)
    quiet = ["--quiet", "--disable-pip-version-check"]
    in_own_venv = [str(HOME / "bin" / "python"), "-m", "pip", "install", *quiet, UV]
    beside = [sys.executable, "-m", "pip", "install", *quiet, "--target", str(HOME), UV]
    if _run([sys.executable, "-m", "venv", str(HOME)]) and _run(in_own_venv):
        return _has_uv()
    # Some systems ship Python without venv but with pip.
    shutil.rmtree(str(HOME), ignore_errors=True)
    return _run(beside) and _has_uv()


def _run(command: list[str]) -> bool:
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0


def _fail(line: str) -> int:
    print(f"error: {line}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
