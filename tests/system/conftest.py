"""One running system for all tests of this folder; each test has a workspace of its own.

It is stopped after the folder: two of one service would share their work in one Kafka group.
"""

from collections.abc import Iterator

import pytest

from tests.support.stack import TemporaryStack
from tests.system.mainstay import Mainstay, running_mainstay


@pytest.fixture(scope="package")
def mainstay(stack: TemporaryStack) -> Iterator[Mainstay]:
    with running_mainstay(stack) as running:
        yield running
