"""When Python looks for garbage: seldom, because batches make much that is no garbage yet."""

import gc


def look_at_garbage_rarely() -> None:
    """What is loaded now lives as long as the process, and what a batch makes till its commit.

    To look at either again and again cost a sixth of a wide batch's CPU, and more of the ledger's.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
