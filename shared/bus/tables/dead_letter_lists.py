"""Which dead letters there are: by time for whoever looks, by place for a redrive."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from shared.bus.tables.dead_letters import OPEN, LetterState
from shared.db import Tx, rows


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which letters are meant; what is None does not matter. `since` <= dead_at < `until`."""

    code: str | None = None
    lane: str | None = None
    event_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    state: LetterState | None = None

    def conditions(self) -> list[str]:
        """As SQL on the columns of dead_letter, with the names of `arguments`."""
        given = {
            "code = :code": self.code,
            "lane = :lane": self.lane,
            "event_type = :event_type": self.event_type,
            "dead_at >= :since": self.since,
            "dead_at < :until": self.until,
        }
        conditions = [condition for condition, value in given.items() if value is not None]
        match self.state:
            case LetterState.OPEN:
                conditions.append(OPEN)
            case LetterState.REDRIVEN:
                conditions.append("redriven_at IS NOT NULL")
            case LetterState.DISCARDED:
                conditions.append("discarded_at IS NOT NULL")
            case None:
                pass
        return conditions

    def arguments(self) -> dict[str, Any]:
        """The values of the conditions."""
        return {
            name: value
            for name, value in asdict(self).items()
            if value is not None and name != "state"
        }


class Place(NamedTuple):
    """Where an open letter stands in the order of a redrive: those that wait come last."""

    waits: bool
    topic: str
    part: int
    offset: int
    lane: str


SHOWN = (
    'id, workspace, event_id, event_type, lane, topic, part, "offset", key, headers, code, message,'
    " error_class, code_version, appended_at, dead_at, last_tried_at, behind, redriven_at,"
    " redriven_by, discarded_at, discarded_by, length(value) AS size_bytes"
)


async def list_dead_letters(
    tx: Tx,
    workspace: str | None,
    filters: Filters,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
    shown_bytes: int,
) -> list[Any]:
    """Letters of a workspace (None: of all and of none), newest first, behind one if given.

    A record of more than `shown_bytes` is left out (`value` None).
    """
    conditions = filters.conditions()
    arguments = filters.arguments() | {"limit": limit, "shown_bytes": shown_bytes}
    if workspace is not None:
        conditions.append("workspace = :workspace")
        arguments["workspace"] = workspace
    if after is not None:
        conditions.append("(dead_at, id) < (:after_at, CAST(:after_id AS uuid))")
        arguments |= {"after_at": after[0], "after_id": after[1]}
    return await rows(
        tx,
        f"SELECT {SHOWN}, CASE WHEN length(value) <= :shown_bytes THEN value END AS value"
        f" FROM dead_letter{where_all(conditions)} ORDER BY dead_at DESC, id DESC LIMIT :limit",
        arguments,
    )


async def get_dead_letter(tx: Tx, letter_id: str, workspace: str) -> Any | None:
    """One letter of a workspace with its whole record; None when there is none."""
    found = await rows(
        tx,
        f"SELECT {SHOWN}, value FROM dead_letter"
        " WHERE id = CAST(:id AS uuid) AND workspace = :workspace",
        {"id": letter_id, "workspace": workspace},
    )
    return found[0] if found else None


async def list_open_places(
    tx: Tx, workspace: str | None, filters: Filters, *, after: Place | None, limit: int
) -> list[tuple[Place, str]]:
    """Places and ids of the open letters of a workspace (None: of all), in the order to redrive.

    By topic, partition and offset; those that wait behind another come after all others.
    """
    conditions = [OPEN, *filters.conditions()]
    arguments = filters.arguments() | {"limit": limit}
    if workspace is not None:
        conditions.append("workspace = :workspace")
        arguments["workspace"] = workspace
    if after is not None:
        conditions.append(
            '(behind IS NOT NULL, topic, part, "offset", lane)'
            " > (:after_waits, :after_topic, :after_part, :after_offset, :after_lane)"
        )
        arguments |= {f"after_{name}": value for name, value in after._asdict().items()}
    return await _places(tx, f"{where_all(conditions)}", arguments)


async def list_places(tx: Tx, ids: Sequence[str]) -> list[tuple[Place, str]]:
    """Places and ids of these letters, open or not, in the order to redrive."""
    arguments = {"ids": list(ids), "limit": len(ids)}
    return await _places(tx, " WHERE id = ANY(CAST(:ids AS uuid[]))", arguments)


async def _places(tx: Tx, where: str, arguments: Mapping[str, Any]) -> list[tuple[Place, str]]:
    found = await rows(
        tx,
        'SELECT behind IS NOT NULL AS waits, topic, part, "offset", lane, id FROM dead_letter'
        f'{where} ORDER BY waits, topic, part, "offset", lane LIMIT :limit',
        arguments,
    )
    return [
        (Place(row.waits, row.topic, row.part, row.offset, row.lane), str(row.id)) for row in found
    ]


def where_all(conditions: Sequence[str]) -> str:
    """A WHERE clause that asks for all of `conditions`; empty without any."""
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""
