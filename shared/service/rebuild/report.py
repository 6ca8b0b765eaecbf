"""What a rebuild says to the person who runs it."""

from collections.abc import Iterator, Sequence

from shared.service.rebuild.comparison import Compared

SHOWN_CHARACTERS = 300  # of a row


def comparison_lines(comparison: Sequence[Compared]) -> Iterator[str]:
    """A table of all that was compared."""
    width = max(len(found.relation.name) for found in comparison)
    yield f"{'table':<{width}}  {'live rows':>14}  {'rebuilt rows':>14}"
    for found in comparison:
        outcome = "DIFFERS" if found.differs else "equal"
        yield (
            f"{found.relation.name:<{width}}  {found.live_rows:>14,}"
            f"  {found.shadow_rows:>14,}  {outcome}"
        )


def difference_lines(comparison: Sequence[Compared]) -> Iterator[str]:
    """Some rows of what differs: those that only one side has."""
    for found in comparison:
        if found.differs:
            yield f"{found.relation.name} ({found.relation.meaning}):"
            yield from (f"  only live:    {_short(line)}" for line in found.only_live)
            yield from (f"  only rebuilt: {_short(line)}" for line in found.only_shadow)


def _short(line: str) -> str:
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}..."


def swapped(service: str, retired: str, *, kept_hours: int) -> str:
    """How a swap ended, and the way back."""
    return (
        f"the rebuilt tables are live; the former ones stand in {retired} for {kept_hours} hours:"
        f" `python -m services.{service} rebuild --return-to {retired}` brings them back"
    )
