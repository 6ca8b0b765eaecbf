"""Formatting a node's directory, once in its life.

Kafka's own tool takes 1.3 s of Java start. What it writes that cannot be written by hand is
`bootstrap.checkpoint` (the feature levels; without it every feature is at 0), which is the same
for all nodes and clusters of a release. The tool runs once per user; after that its checkpoint is
copied and `meta.properties` written beside it.
"""

import base64
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.jars import cache_locked, lock_digest
from deploy.local.kafka.node import Node, properties
from deploy.local.kafka.quick_start import Runtime

CHECKPOINT = "bootstrap.checkpoint"


def new_id() -> str:
    """A random id in Kafka's form: 22 characters of unpadded base64url."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()


def known_cluster_id(nodes: Sequence[Node]) -> str | None:
    """The id that the nodes' directories were formatted with; None before the first time."""
    for node in nodes:
        if _is_formatted(node):
            lines = (node.directory / "meta.properties").read_text().splitlines()
            return dict(line.split("=", 1) for line in lines if "=" in line)["cluster.id"]
    return None


def format_if_new(nodes: Sequence[Node], runtime: Runtime) -> None:
    """Make every node's directory ready for its first start; one that is formatted is left."""
    cluster_id = known_cluster_id(nodes) or new_id()
    for node in nodes:
        if not _is_formatted(node):
            _format(node, cluster_id, runtime)


def _is_formatted(node: Node) -> bool:
    return (node.directory / "meta.properties").exists()


def _format(node: Node, cluster_id: str, runtime: Runtime) -> None:
    node.directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(_checkpoint(runtime), node.directory / CHECKPOINT)
    lines = ["version=1", f"cluster.id={cluster_id}", f"node.id={node.node_id}"]
    # Last, because its presence is what says that the directory is formatted.
    draft = node.directory / "meta.properties.draft"
    draft.write_text("\n".join([*lines, f"directory.id={new_id()}", ""]))
    draft.rename(node.directory / "meta.properties")


def _checkpoint(runtime: Runtime) -> Path:
    with cache_locked("checkpoint") as cache:
        kept = cache / f"kafka-{lock_digest()}.checkpoint"
        if not kept.exists():
            _write_checkpoint(kept, runtime)
        return kept


def _write_checkpoint(kept: Path, runtime: Runtime) -> None:
    with tempfile.TemporaryDirectory(prefix="mainstay-format-") as directory:
        node = Node(1, Path(directory, "data"), True, True, 9092, 9093, 9094)
        config = Path(directory, "server.properties")
        config.write_text(properties(node, [node]))
        command = runtime.command(
            "kafka.tools.StorageTool", "format", "-t", new_id(), "-c", str(config)
        )
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if result.returncode != 0:
            raise StackError(f"Kafka cannot format a directory: {result.stderr.strip()[-300:]}")
        shutil.copy(node.directory / CHECKPOINT, kept.with_suffix(".draft"))
        kept.with_suffix(".draft").rename(kept)
