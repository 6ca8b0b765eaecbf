"""Where logs end is known of every topic that answers, also when another does not."""

from dataclasses import replace

import pytest

from shared.bus.kafka.ends import LogEnds
from shared.bus.kafka.reader import KafkaUnavailable
from shared.bus.record import Partition
from shared.events.ingest import USAGE
from shared.settings import KafkaSettings
from tests.support.stack import TemporaryStack


async def test_a_topic_that_is_gone_does_not_hide_the_others(
    stack: TemporaryStack, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("shared.bus.kafka.ends.ASK_SECONDS", 3.0)
    gone = replace(USAGE, name="never.made.v1")
    settings = KafkaSettings(bootstrap=stack.kafka_bootstrap)
    ends = LogEnds([USAGE, gone], client_id="test", settings=settings)

    known = await ends.get()

    await ends.stop()
    assert set(known) == {Partition(USAGE.name, number) for number in range(USAGE.partitions)}


async def test_without_any_answer_it_says_so(unused_tcp_port: int):
    settings = KafkaSettings(bootstrap=f"127.0.0.1:{unused_tcp_port}")
    ends = LogEnds([USAGE], client_id="test", settings=settings)

    with pytest.raises(KafkaUnavailable):
        await ends.get()
