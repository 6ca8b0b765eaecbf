"""Nothing of the policy is left out: every rule is named in the model, every row has its test."""

import re
from pathlib import Path

import pytest

import services.metrics.model

MODEL = Path(services.metrics.model.__file__).parent
RULES = [f"P{number:02}" for number in range(1, 29)]
ROWS = [f"D{number:02}" for number in range(1, 36)]


def text_of(folder: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")))


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_named_in_the_docstring_of_what_keeps_it(rule: str):
    assert re.search(rf"\b{rule}\b", text_of(MODEL))


@pytest.mark.parametrize("name", [*RULES, *ROWS])
def test_every_rule_and_every_row_has_a_test_named_after_it(name: str):
    assert f"def test_{name.lower()}_" in text_of(Path(__file__).parent)
