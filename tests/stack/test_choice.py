"""Where Kafka and PostgreSQL come from."""

from pathlib import Path

import pytest

from deploy.local import environment, layout
from deploy.local.choice import VARIABLES, Form, choose, keep, own_addresses
from deploy.local.errors import StackError

OWN = {name: f"127.0.0.1/{name}" for name in VARIABLES}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No addresses, and no program called docker."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/nowhere")


def test_without_addresses_and_engine_the_stack_is_native() -> None:
    assert choose({}).form is Form.NATIVE


def test_addresses_in_the_environment_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, f"db.example/{name}")

    choice = choose(OWN)

    assert choice.form is Form.ENVIRONMENT
    assert choice.addresses["KAFKA_BOOTSTRAP"] == "db.example/KAFKA_BOOTSTRAP"


def test_addresses_of_our_own_running_stack_are_not_somebody_elses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, address in OWN.items():
        monkeypatch.setenv(name, address)

    assert choose(OWN).form is Form.NATIVE


def test_addresses_of_others_stay_theirs_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "ENVIRONMENT_FILE", tmp_path / "env")
    monkeypatch.setattr(layout, "CHOICE_FILE", tmp_path / "stack.json")
    for name, address in OWN.items():
        monkeypatch.setenv(name, address)

    keep(choose({}))
    environment.write(OWN)

    assert choose(own_addresses()).form is Form.ENVIRONMENT


def test_some_addresses_without_the_others_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "kafka.example:9092")

    with pytest.raises(StackError, match=r"sets KAFKA_BOOTSTRAP but not .*DATABASE_URL_HEALTH"):
        choose({})
