"""Fixed ports are refused when taken; reserved ones stay their holder's."""

import socket

import pytest

from deploy.local.errors import StackError
from deploy.local.ports import HOST, is_taken, require_free, reserve


def test_taken_port_is_refused_with_the_variable_that_chooses_another() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]

        with pytest.raises(StackError, match=rf"port {port} for Kafka is taken .*KAFKA_PORT="):
            require_free("Kafka", port, "KAFKA_PORT")


def test_reserved_port_can_be_served_again_after_its_server_is_gone() -> None:
    reservation = reserve()

    for _ in range(2):
        with socket.create_server((HOST, reservation.port)):
            assert is_taken(reservation.port)

    assert not is_taken(reservation.port)
    reservation.release()


def test_reserved_port_is_given_to_nobody_else() -> None:
    reservation = reserve()
    others = [reserve() for _ in range(200)]

    assert reservation.port not in {other.port for other in others}
    for held in [reservation, *others]:
        held.release()
