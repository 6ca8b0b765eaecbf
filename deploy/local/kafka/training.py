"""Writing the quick-start cache: one broker run from start to ready to stop, about 10 s."""

import tempfile
from dataclasses import replace
from pathlib import Path

from deploy.local.jars import cache_directory, cache_locked
from deploy.local.kafka.cluster import one_node_anywhere
from deploy.local.kafka.quick_start import Runtime

# Java writes the cache when it ends, which takes 7 s on two idle cores.
WRITE_SECONDS = 60.0
CACHES_KEPT = 3


def needs_training(runtime: Runtime) -> bool:
    """Whether a cache would help this runtime and is not there."""
    target = runtime.quick_start_cache()
    return target is not None and not target.exists()


def train(runtime: Runtime, mark: Path) -> None:
    """Write the cache of `runtime`, unless somebody else has meanwhile.

    `mark`: the directory of the stack on whose behalf; whoever stops that stack stops this too.
    """
    with cache_locked("quick-start") as cache:
        target = runtime.quick_start_cache()
        if target is None or target.exists():
            return
        draft = cache / "kafka.aot.draft"
        _run_once(replace(runtime, cache_output=draft), mark)
        # Without a file the next start is slow, and tries again; nothing depends on it.
        if draft.exists():
            draft.rename(target)
        _forget_old_caches()


def _run_once(runtime: Runtime, mark: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="mainstay-train-") as home:
        kafka = replace(one_node_anywhere(Path(home), runtime), mark=mark)
        try:
            kafka.start()
        finally:
            kafka.stop(wait_seconds=WRITE_SECONDS)


def _forget_old_caches() -> None:
    # Other checkouts of this user may still use the newest few.
    caches = sorted(cache_directory().glob("kafka-*.aot"), key=lambda file: file.stat().st_mtime)
    for cache in caches[:-CACHES_KEPT]:
        cache.unlink(missing_ok=True)
