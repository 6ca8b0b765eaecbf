"""What one Kafka node is: its roles, ports and directory, and the `server.properties` they make."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.ports import HOST, address

COPIES = 3  # of each partition, as in production


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a cluster. A port that its roles do not use is 0."""

    node_id: int
    directory: Path
    is_broker: bool
    is_controller: bool
    client_port: int = 0
    internal_port: int = 0
    controller_port: int = 0
    # What clients are told to connect to: a fault proxy, say. None: the client port itself.
    advertised_client: str | None = None

    @property
    def name(self) -> str:
        """As in file names and messages: `kafka-1`."""
        return f"kafka-{self.node_id}"

    @property
    def properties_file(self) -> Path:
        """Written before every start, because ports may change between two starts."""
        return self.directory / "server.properties"

    @property
    def client_address(self) -> str:
        """Where the broker itself answers, whatever it advertises."""
        return address(self.client_port)


def properties(node: Node, cluster: Sequence[Node]) -> str:
    """The whole `server.properties` of `node`, one of the nodes of `cluster`."""
    settings = {**_identity(node), **_listeners(node), **_quorum(cluster), **_behaviour(cluster)}
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def replication_factor(cluster: Sequence[Node]) -> int:
    """3 where three brokers allow it, else 1."""
    return COPIES if sum(node.is_broker for node in cluster) >= COPIES else 1


def _identity(node: Node) -> dict[str, str]:
    roles = ["broker"] * node.is_broker + ["controller"] * node.is_controller
    return {
        "process.roles": ",".join(roles),
        "node.id": str(node.node_id),
        "log.dirs": str(node.directory),
    }


def _listeners(node: Node) -> dict[str, str]:
    bound, advertised = [], []
    if node.is_broker:
        client = node.advertised_client or node.client_address
        bound += [f"CLIENT://{node.client_address}", f"INTERNAL://{address(node.internal_port)}"]
        advertised += [f"CLIENT://{client}", f"INTERNAL://{address(node.internal_port)}"]
    if node.is_controller:
        bound += [f"CONTROLLER://{address(node.controller_port)}"]
    listeners = {
        "listeners": ",".join(bound),
        "listener.security.protocol.map": (
            "CLIENT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"
        ),
        "controller.listener.names": "CONTROLLER",
    }
    if node.is_broker:
        listeners["advertised.listeners"] = ",".join(advertised)
        listeners["inter.broker.listener.name"] = "INTERNAL"
    return listeners


def _quorum(cluster: Sequence[Node]) -> dict[str, str]:
    # Static voters: with dynamic ones, formatting wants to know who stands alone.
    voters = [
        f"{node.node_id}@{HOST}:{node.controller_port}" for node in cluster if node.is_controller
    ]
    return {"controller.quorum.voters": ",".join(voters)}


def _behaviour(cluster: Sequence[Node]) -> dict[str, str]:
    copies = replication_factor(cluster)
    copies_that_must_answer = COPIES - 1 if copies == COPIES else 1
    return {
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        "offsets.topic.num.partitions": "8",
        # The default of 128 MiB would be a third of the heap.
        "log.cleaner.dedupe.buffer.size": "16777216",
        # As in production: a dead broker holds up acks=all for this long, which must stay below
        # the producers' request timeout of 8 s.
        "broker.session.timeout.ms": "3000",
        "min.insync.replicas": str(copies_that_must_answer),
        "offsets.topic.replication.factor": str(copies),
        "transaction.state.log.replication.factor": str(copies),
        "transaction.state.log.min.isr": str(copies_that_must_answer),
        "share.coordinator.state.topic.replication.factor": str(copies),
        "share.coordinator.state.topic.min.isr": str(copies_that_must_answer),
    }
