"""A running Kafka: its nodes started, probed, stopped, and killed one by one where a test asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local import processes
from deploy.local.errors import StackError
from deploy.local.kafka import ready, storage
from deploy.local.kafka.node import Node, properties, replication_factor
from deploy.local.kafka.quick_start import Runtime
from deploy.local.ports import HOST, Reservation, reserve
from deploy.local.processes import Process
from deploy.local.waiting import wait_until

READY_SECONDS = 60.0
STOP_SECONDS = 15.0
CONTROLLER_ID = 100  # of the controller that stands beside three brokers


@dataclass(frozen=True, slots=True)
class Kafka:
    """A cluster of local nodes. `home` holds the nodes' directories, logs and process records.

    `mark`: the directory of the stack that the processes belong to, where it is not `home`.
    """

    home: Path
    nodes: tuple[Node, ...]
    runtime: Runtime
    reservations: tuple[Reservation, ...] = ()
    mark: Path | None = None

    @property
    def brokers(self) -> tuple[Node, ...]:
        """The nodes that clients talk to."""
        return tuple(node for node in self.nodes if node.is_broker)

    @property
    def bootstrap(self) -> str:
        """What clients are given as `KAFKA_BOOTSTRAP`: every broker as it advertises itself."""
        return ",".join(node.advertised_client or node.client_address for node in self.brokers)

    @property
    def replication_factor(self) -> int:
        """How many copies the cluster keeps of each partition: 3 or 1."""
        return replication_factor(self.nodes)

    def node(self, node_id: int) -> Node:
        """The node with that id."""
        return next(node for node in self.nodes if node.node_id == node_id)

    def start(self) -> None:
        """Start every node that does not run yet and wait until all brokers serve."""
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        """Start every node that does not run yet; does not wait."""
        storage.format_if_new(self.nodes, self.runtime)
        for node in self.nodes:
            self.start_node(node.node_id)

    def start_node(self, node_id: int) -> None:
        """Start one node, unless it runs; does not wait until it serves."""
        node = self.node(node_id)
        if self.process(node_id) is not None:
            return
        node.properties_file.write_text(properties(node, self.nodes))
        command = self.runtime.broker_command(node.properties_file)
        process = processes.start(command, mark=self.mark or self.home, log=self.log(node_id))
        processes.record(process, self._record(node_id))

    def wait_ready(self, timeout_seconds: float = READY_SECONDS) -> None:
        """Wait until each broker serves; raises `StackError` when one exits or time is up."""
        for node in self.brokers:
            wait_until(lambda node=node: self._settled(node), timeout_seconds=timeout_seconds)  # type: ignore[misc]
            if not ready.serves(node.client_port, len(self.brokers)):
                raise StackError(self._why_not(node))

    def process(self, node_id: int) -> Process | None:
        """The node's process; None while it does not run."""
        return processes.recorded(self._record(node_id))

    def log(self, node_id: int) -> Path:
        """Where the node's output is appended."""
        return _made(self.home / "log") / f"{self.node(node_id).name}.log"

    def kill_node(self, node_id: int) -> None:
        """SIGKILL, as a crash does; `start_node` brings the node back with what it had on disk."""
        if process := self.process(node_id):
            processes.kill(process)

    def stop_node(self, node_id: int) -> None:
        """Stop one node in an orderly way, or by force after a while."""
        self._stop([self.node(node_id)], STOP_SECONDS)

    def stop(self, *, wait_seconds: float = STOP_SECONDS) -> None:
        """Stop all nodes and give reserved ports back; the directories stay.

        Brokers first: while no controller answers, a stopping broker hangs until it is killed.
        """
        self._stop([node for node in self.nodes if not node.is_controller], wait_seconds)
        self._stop([node for node in self.nodes if node.is_controller], wait_seconds)
        for reservation in self.reservations:
            reservation.release()

    def _stop(self, nodes: Sequence[Node], wait_seconds: float) -> None:
        running = [process for node in nodes if (process := self.process(node.node_id))]
        processes.stop(*running, wait_seconds=wait_seconds)

    def _record(self, node_id: int) -> Path:
        return self.home / "run" / f"{self.node(node_id).name}.json"

    def _settled(self, node: Node) -> bool:
        gone = self.process(node.node_id) is None
        return gone or ready.serves(node.client_port, len(self.brokers))

    def _why_not(self, node: Node) -> str:
        state = "does not serve yet" if self.process(node.node_id) else "has exited"
        log = self.log(node.node_id)
        return f"{node.name} {state}; the end of {log}:\n{processes.last_lines(log)}"


def one_node(
    home: Path, runtime: Runtime, *, client_port: int, internal_port: int, controller_port: int
) -> Kafka:
    """One node that is broker and controller, on the given ports."""
    directory = home / "kafka-1"
    node = Node(1, directory, True, True, client_port, internal_port, controller_port)
    return Kafka(home=home, nodes=(node,), runtime=runtime)


def one_node_anywhere(home: Path, runtime: Runtime) -> Kafka:
    """One node on ports of the kernel's choice, held until it is stopped."""
    client, internal, controller = ports = (reserve(), reserve(), reserve())
    directory = home / "kafka-1"
    node = Node(1, directory, True, True, client.port, internal.port, controller.port)
    return Kafka(home=home, nodes=(node,), runtime=runtime, reservations=ports)


def three_brokers(
    home: Path, runtime: Runtime, *, advertised_ports: Sequence[int] | None = None
) -> Kafka:
    """Brokers 1, 2 and 3 and a controller of their own, on ports of the kernel's choice.

    Own controller, because with combined nodes "two of three down" would also lose the quorum.
    `advertised_ports`: one per broker, of a fault proxy that stands between it and its clients.
    """
    controller = reserve()
    client, internal = [reserve() for _ in range(3)], [reserve() for _ in range(3)]
    advertised = [f"{HOST}:{port}" for port in advertised_ports] if advertised_ports else [None] * 3
    brokers = [
        Node(
            node_id,
            home / f"kafka-{node_id}",
            is_broker=True,
            is_controller=False,
            client_port=client[node_id - 1].port,
            internal_port=internal[node_id - 1].port,
            advertised_client=advertised[node_id - 1],
        )
        for node_id in (1, 2, 3)
    ]
    leader = Node(
        CONTROLLER_ID,
        home / f"kafka-{CONTROLLER_ID}",
        is_broker=False,
        is_controller=True,
        controller_port=controller.port,
    )
    ports = (controller, *client, *internal)
    return Kafka(home=home, nodes=(leader, *brokers), runtime=runtime, reservations=ports)


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory
