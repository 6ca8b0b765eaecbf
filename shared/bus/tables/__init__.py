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
    probe_since,
    window_begin,
)
from shared.bus.tables.leases import hold_lease, is_due, set_due, take_lease
from shared.bus.tables.offsets import Fenced, advance_offsets, create_offsets, get_offsets
from shared.bus.tables.outbox import (
    EventTooLarge,
    OutboxRow,
    append_outbox,
    delete_outbox,
    ensure_outbox_days,
    forget_sent_days,
    get_outbox_age,
    list_outbox,
)
from shared.bus.tables.schema import RUNTIME_TABLES_V1, RUNTIME_TABLES_V2

__all__ = [
    "DEDUP_WINDOW_DAYS",
    "RUNTIME_TABLES_V1",
    "RUNTIME_TABLES_V2",
    "DeadLetter",
    "EventTooLarge",
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
    "ensure_outbox_days",
    "forget_old_ids",
    "forget_sent_days",
    "get_offsets",
    "get_outbox_age",
    "hold_lease",
    "is_due",
    "list_dead_letters",
    "list_outbox",
    "load_dead_letter",
    "probe_since",
    "save_redriven",
    "set_due",
    "take_lease",
    "window_begin",
]
