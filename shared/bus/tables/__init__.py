"""All SQL of the runtime: offsets, inbox, outbox, dead letters, leases. Nothing here commits."""

from shared.bus.tables.dead_letters import (
    DeadLetter,
    append_dead_letters,
    dead_letter,
    list_dead_letters,
    load_dead_letter,
    save_redriven,
)
from shared.bus.tables.inbox import (
    DEDUP_WINDOW_DAYS,
    claim_ids,
    ensure_inbox_days,
    forget_old_ids,
    inbox_id,
    probe_since,
)
from shared.bus.tables.leases import hold_lease, is_due, set_due, take_lease
from shared.bus.tables.offsets import Fenced, advance_offsets, create_offsets, get_offsets
from shared.bus.tables.outbox import OutboxRow, append_outbox, delete_outbox, list_outbox
from shared.bus.tables.schema import RUNTIME_TABLES_V1

__all__ = [
    "DEDUP_WINDOW_DAYS",
    "RUNTIME_TABLES_V1",
    "DeadLetter",
    "Fenced",
    "OutboxRow",
    "advance_offsets",
    "append_dead_letters",
    "append_outbox",
    "claim_ids",
    "create_offsets",
    "dead_letter",
    "delete_outbox",
    "ensure_inbox_days",
    "forget_old_ids",
    "get_offsets",
    "hold_lease",
    "inbox_id",
    "is_due",
    "list_dead_letters",
    "list_outbox",
    "load_dead_letter",
    "probe_since",
    "save_redriven",
    "set_due",
    "take_lease",
]
