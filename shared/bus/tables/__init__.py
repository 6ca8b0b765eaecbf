"""All SQL of the runtime: offsets, inbox, outbox, dead letters, leases. Nothing here commits."""

from shared.bus.tables.dead_letter_decisions import (
    append_audit,
    is_behind_open,
    list_audit,
    load_dead_letter,
    save_discarded,
    save_redriven,
    save_tried,
)
from shared.bus.tables.dead_letter_lists import (
    Filters,
    Place,
    get_dead_letter,
    list_dead_letters,
    list_open_places,
    list_places,
)
from shared.bus.tables.dead_letters import (
    PARKED,
    DeadLetter,
    LetterState,
    append_dead_letters,
    dead_letter,
    headers_of,
    list_parked_keys,
    state_of,
)
from shared.bus.tables.forgetting import forget_old_ids
from shared.bus.tables.inbox import (
    DEDUP_WINDOW_DAYS,
    claim_ids,
    ensure_inbox_days,
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
    "PARKED",
    "RUNTIME_TABLES_V1",
    "RUNTIME_TABLES_V2",
    "DeadLetter",
    "EventTooLarge",
    "Fenced",
    "Filters",
    "LetterState",
    "OutboxRow",
    "Place",
    "advance_offsets",
    "append_audit",
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
    "get_dead_letter",
    "get_offsets",
    "get_outbox_age",
    "headers_of",
    "hold_lease",
    "is_behind_open",
    "is_due",
    "list_audit",
    "list_dead_letters",
    "list_open_places",
    "list_outbox",
    "list_parked_keys",
    "list_places",
    "load_dead_letter",
    "probe_since",
    "save_discarded",
    "save_redriven",
    "save_tried",
    "set_due",
    "state_of",
    "take_lease",
    "window_begin",
]
