"""Who gets which wording, and who gets nothing so that the effect can be seen: by hash, for good.

No draw and no table: the arm follows from the program and the person, so it is the same in every
run, on every machine and after every replay.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from services.cadence.model.programs import Program, Step, Variant

STEPS = 2**64  # of the unit interval


class Arm(NamedTuple):
    """`held_out`: gets nothing of the program. `variant`: None where the step has one wording."""

    held_out: bool
    variant: Variant | None


def arm_of(program: Program, step: Step, user: str) -> Arm:
    """The person's arm. Holding out is drawn apart from wordings, so neither tells of the other."""
    held_out = share_of(program.id, "hold-out", user) < program.hold_out
    return Arm(held_out, variant_of(step.variants, share_of(program.id, step.id, user)))


def share_of(program_id: str, purpose: str, user: str) -> float:
    """A number from 0 to below 1, spread evenly over people, fixed for each."""
    # Lengths in front: no two different triples are the same text.
    text = f"{len(program_id)}:{program_id}{len(purpose)}:{purpose}{user}"
    return int.from_bytes(sha256(text.encode()).digest()[:8]) / STEPS


def variant_of(variants: Sequence[Variant], share: float) -> Variant | None:
    """The variant in whose part of the unit interval the share lies; None where there is none."""
    whole = sum(variant.share for variant in variants)
    reached = 0
    for variant in variants:
        reached += variant.share
        if share * whole < reached:
            return variant
    return None
