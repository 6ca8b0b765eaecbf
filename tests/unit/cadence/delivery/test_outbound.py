"""Which addresses are connected to, and how small writes share a commit."""

import asyncio
from collections.abc import Sequence

import pytest

from services.cadence.channels.gathering import Gathering
from services.cadence.channels.outbound import ForbiddenTarget, Outbound, Silent, is_public


def leading_to(*addresses: str):
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return resolve


async def unasked(_host: str, _port: int) -> Sequence[str]:
    raise AssertionError("the name was looked up")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "::", "::1", "fe80::1",
        "fe80::1%eth0", "fc00::1", "ff02::1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::",
        "2001::1", "::ffff:127.0.0.1", "::ffff:93.184.216.34", "localhost", "",
    ],
)  # fmt: skip
async def test_an_address_inside_is_no_public_one_however_it_is_written(address: str):
    assert not is_public(address)
    with pytest.raises(ForbiddenTarget):
        await Outbound(resolver=leading_to(address)).post("https://hooks.example.com", b"", {})


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_a_machine_of_the_internet_is_public(address: str):
    assert is_public(address)


@pytest.mark.parametrize("addresses", [("93.184.216.34", "10.0.0.1"), ("::1", "93.184.216.34"), ()])
async def test_one_address_inside_forbids_the_whole_name(addresses: tuple[str, ...]):
    with pytest.raises(ForbiddenTarget):
        await Outbound(resolver=leading_to(*addresses)).post("https://hooks.example.com", b"", {})


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/x", "https://hooks.example.com:22/x", "file:///etc/passwd",
        "https://user:secret@hooks.example.com/x", "https://hooks.example.com/x\\y", "https:///x",
        "https://[::1/x", "https://hooks.example.com/x#y", "https://hooks.example.com/\r\nx",
        "https://hooks.example.com:99999/x", "gopher://hooks.example.com", "",
    ],
)  # fmt: skip
async def test_an_address_that_is_no_plain_https_is_never_looked_up(url: str):
    with pytest.raises(ForbiddenTarget):
        await Outbound(resolver=unasked).post(url, b"", {})


async def test_a_name_that_nobody_knows_is_silent_and_nothing_was_sent():
    async def unknown(_host: str, _port: int) -> Sequence[str]:
        raise OSError("no such name")

    with pytest.raises(Silent) as silence:
        await Outbound(resolver=unknown).post("https://hooks.example.com", b"", {})

    assert not silence.value.was_sent


async def test_what_is_asked_at_once_is_written_together_and_answered_in_order():
    rounds: list[list[int]] = []

    async def write(numbers: Sequence[int]) -> Sequence[int]:
        rounds.append(list(numbers))
        return [number * 2 for number in numbers]

    gathering = Gathering(write, wait_seconds=0, most=3)
    answers = await asyncio.gather(*(gathering.ask(number) for number in range(5)))

    assert answers == [0, 2, 4, 6, 8]
    assert rounds == [[0, 1, 2], [3, 4]]


async def test_a_write_that_fails_fails_those_who_asked_and_not_the_next():
    async def write(numbers: Sequence[int]) -> Sequence[int]:
        if 0 in numbers:
            raise ValueError("no")
        return numbers

    gathering = Gathering(write, wait_seconds=0)
    with pytest.raises(ValueError, match="no"):
        await gathering.ask(0)

    assert await gathering.ask(1) == 1
