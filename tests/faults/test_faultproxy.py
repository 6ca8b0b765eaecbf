"""The fault proxy passes bytes untouched, and does to them what it is told, and counts it."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from deploy.local.ports import HOST
from tests.faults.faultproxy import FaultProxy, Faults


def echo(server: socket.socket) -> None:
    """Answer every connection with what it sends, until the server is closed."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=echo_one, args=(connection,), daemon=True).start()


def echo_one(connection: socket.socket) -> None:
    with connection:
        try:
            while said := connection.recv(65_536):
                connection.sendall(said)
        except OSError:
            return


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    with socket.create_server((HOST, 0)) as server:
        threading.Thread(target=echo, args=(server,), daemon=True).start()
        with FaultProxy(server.getsockname()[1]) as running:
            yield running


def connected(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), timeout=2)


def said_back(client: socket.socket, said: bytes) -> bytes:
    client.sendall(said)
    heard = b""
    while len(heard) < len(said) and (more := client.recv(65_536)):
        heard += more
    return heard


def test_what_is_said_comes_back_untouched(proxy: FaultProxy):
    said = bytes(range(256)) * 400

    with connected(proxy) as client:
        heard = said_back(client, said)

    assert heard == said
    assert (proxy.counters.bytes_up, proxy.counters.bytes_down) == (len(said), len(said))


def test_a_delay_holds_both_ways_up(proxy: FaultProxy):
    proxy.faults = Faults(delay_seconds=0.1)

    with connected(proxy) as client:
        began = time.monotonic()
        said_back(client, b"slowly")

    assert time.monotonic() - began >= 0.2
    assert proxy.counters.delayed == 2


def test_a_swallowed_answer_never_comes_and_the_connection_stands(proxy: FaultProxy):
    with connected(proxy) as client:
        assert said_back(client, b"before") == b"before"
        proxy.faults = Faults(swallow_down=True)
        client.settimeout(0.3)

        with pytest.raises(TimeoutError):
            said_back(client, b"lost")

        proxy.heal()
        client.settimeout(2)
        assert said_back(client, b"after") == b"after"
    assert proxy.counters.swallowed_bytes == len(b"lost")


def test_a_connection_is_cut_after_so_many_bytes(proxy: FaultProxy):
    proxy.faults = Faults(cut_after_bytes=10)

    with connected(proxy) as client:
        heard = said_back(client, b"0123456789abcdef")

    assert heard in (b"", b"0123456789")
    assert proxy.counters.cut >= 1


def test_a_reset_reaches_the_client_as_such(proxy: FaultProxy):
    with connected(proxy) as client:
        assert said_back(client, b"before") == b"before"

        assert proxy.reset_all() == 1

        with pytest.raises(ConnectionResetError):
            said_back(client, b"after")
    assert proxy.counters.reset == 1
