"""What is published when an account's books change: new movements, or that earlier ones changed.

A movement is announced once it is in force, not before; one that is scheduled waits for its time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.metrics.model.calendar import Month, month_at
from services.metrics.model.identity import FactName
from services.metrics.model.money import Amounts
from services.metrics.model.movements import Jump, jumps_from
from services.metrics.model.timeline import Timeline, amounts_at, in_common, past_due_at


@dataclass(frozen=True, kw_only=True)
class Restated:
    """Months whose movements are not what they were, and the facts behind that."""

    months: Sequence[Month]
    facts: Sequence[FactName]


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """What a change of an account's books gives to say at an instant."""

    in_force: Sequence[Jump]
    """Jumps that are in force and were not known before; none where something is restated."""
    restated: Restated | None
    scheduled: Sequence[datetime]
    """Instants of jumps to come that were not known before."""
    unscheduled: Sequence[datetime]
    """Instants of jumps to come that are not to come any more."""
    mrr: Amounts
    past_due: Amounts | None
    """What is overdue now; None where nothing changed between some and none."""


def announcement_of(
    before: Timeline, after: Timeline, now: datetime, zone: str, *, paid: bool = False
) -> Announcement:
    """What there is to say of the change from `before` to `after` at `now`.

    Both may be the ends of timelines that are equal till then; `paid`: it had paid before.
    """
    same = in_common(before, after)
    gone, come = _differing(jumps_from(before, same, paid=paid), jumps_from(after, same, paid=paid))
    in_force = [jump for jump in come if jump.at <= now]
    was_said = any(jump.at <= now for jump in gone)
    changed = [jump for jump in (*gone, *in_force) if jump.at <= now]
    return Announcement(
        in_force=() if was_said else in_force,
        restated=_restated(changed, zone) if was_said else None,
        scheduled=[jump.at for jump in come if jump.at > now],
        unscheduled=[jump.at for jump in gone],
        mrr=amounts_at(after, now),
        past_due=_past_due(before, after, now),
    )


def _differing(
    former: Sequence[Jump], jumps: Sequence[Jump]
) -> tuple[Sequence[Jump], Sequence[Jump]]:
    """The jumps that are not to be found any more, and those that were not before."""
    if not former or not jumps:  # as a rule, and amounts are slow to hash
        return former, jumps
    was, now = _marks(former), _marks(jumps)
    return (
        [jump for mark, jump in was.items() if mark not in now],
        [jump for mark, jump in now.items() if mark not in was],
    )


def _marks(jumps: Iterable[Jump]) -> dict[tuple[object, ...], Jump]:
    """The jumps by what they say: facts that only confirm them say nothing new."""
    return {
        (jump.at, tuple(sorted(jump.before.items())), tuple(sorted(jump.after.items()))): jump
        for jump in jumps
    }


def _restated(changed: Sequence[Jump], zone: str) -> Restated:
    return Restated(
        months=sorted({month_at(jump.at, zone) for jump in changed}),
        facts=sorted({name for jump in changed for name in jump.facts}),
    )


def _past_due(before: Timeline, after: Timeline, now: datetime) -> Amounts | None:
    late, was_late = past_due_at(after, now), past_due_at(before, now)
    return late if bool(late) is not bool(was_late) else None
