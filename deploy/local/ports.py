"""Ports on 127.0.0.1: fixed ones that must be free, kernel-chosen ones kept for their holder."""

import socket
from dataclasses import dataclass

from deploy.local.errors import StackError

HOST = "127.0.0.1"


def address(port: int) -> str:
    """`127.0.0.1:port`."""
    return f"{HOST}:{port}"


def is_taken(port: int) -> bool:
    """Whether somebody listens on `port`, or it cannot be bound for another reason."""
    with _bindable() as probe:
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return True
    return False


def require_free(name: str, port: int, variable: str) -> None:
    """Raise `StackError` when `port` is taken, naming the variable that chooses another."""
    if is_taken(port):
        raise StackError(
            f"port {port} for {name} is taken by another program: "
            f"stop it, or choose another port with {variable}=..."
        )


@dataclass(frozen=True, slots=True)
class Reservation:
    """A kernel-chosen port that stays ours while servers on it come and go.

    The socket is bound but never listens: Linux then gives the port to nobody else, while a
    server that sets SO_REUSEADDR (Kafka, PostgreSQL and uvicorn do) can still listen on it. A
    killed broker thus finds its port free at its restart.
    """

    port: int
    holder: socket.socket

    def release(self) -> None:
        """Give the port back."""
        self.holder.close()


def reserve() -> Reservation:
    """A free port of the kernel's choice, held until released."""
    holder = _bindable()
    holder.bind((HOST, 0))
    return Reservation(port=holder.getsockname()[1], holder=holder)


def _bindable() -> socket.socket:
    candidate = socket.socket()
    candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return candidate
