"""`.local/env` is read alike by a shell and by Docker, and by its owner alone."""

import subprocess
from pathlib import Path

import pytest

from deploy.local import environment, layout
from deploy.local.errors import StackError

VARIABLES = {
    "DATABASE_URL_HEALTH": "postgresql://health_app:a-b_C9@127.0.0.1:15432/health",
    "KAFKA_BOOTSTRAP": "127.0.0.1:19092,127.0.0.1:29092",
}


@pytest.fixture(autouse=True)
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of this test, not that of a running stack."""
    file = tmp_path / "env"
    monkeypatch.setattr(layout, "ENVIRONMENT_FILE", file)
    return file


def test_shell_reads_what_was_written(own_file: Path) -> None:
    environment.write(VARIABLES)

    script = f'set -a; . {own_file}; printf %s "$DATABASE_URL_HEALTH $KAFKA_BOOTSTRAP"'
    read = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)

    assert read.stdout == " ".join(VARIABLES.values())
    assert environment.written() == VARIABLES


def test_file_is_its_owners_alone(own_file: Path) -> None:
    environment.write(VARIABLES)

    assert own_file.stat().st_mode & 0o777 == 0o600


def test_value_that_would_need_quoting_is_refused_by_name() -> None:
    with pytest.raises(StackError, match="OPERATOR_KEY"):
        environment.write({"OPERATOR_KEY": "two words"})
