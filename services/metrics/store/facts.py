"""The facts, every record of each as it was sent: appended and read, never changed."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import text

from services.metrics.model.identity import FactName
from services.metrics.model.knowledge import Place, RawRecord, target_of
from services.metrics.model.state import PricedState, decoded, encoded
from shared.db import Tx, rows
from shared.events.billing import AnyFact, account_of


class NewRecord(NamedTuple):
    """A fact as an event has brought it now. `priced`: what a state comes to by itself."""

    event: str
    place: Place
    appended_at: datetime
    recorded_at: datetime
    raw: bytes
    fact: AnyFact
    named: Sequence[str]
    priced: PricedState | None

    @property
    def name(self) -> FactName:
        """Its identity."""
        return FactName(self.fact.source, self.fact.id)


class StateRow(NamedTuple):
    """A record of a subscription's state. `raw` only where objects have to price it."""

    name: FactName
    place: Place
    account: str
    recorded_at: datetime
    priced: PricedState | None
    raw: str | None


class FactType(StrEnum):
    """The types that are read by type: the others are read by account."""

    FX_RATE = "fx_rate"
    SALES_AND_MARKETING = "sales_and_marketing"
    ACQUISITION_COST = "acquisition_cost"
    NPS_RESPONSE = "nps_response"


RAW = 'f.source, f.id, f.part, f."offset", f.recorded_at, f.fact::text AS raw'

_encode = msgspec.json.Encoder().encode


async def append_records(tx: Tx, workspace: str, records: Sequence[NewRecord]) -> None:
    """Keep the records of one workspace."""
    await tx.execute(
        text(
            'INSERT INTO fact (workspace, source, id, part, "offset", type, account, target, named,'
            " recorded_at, fact, priced)"
            " SELECT :workspace, source, id, part, place, type, account, target,"
            " ARRAY(SELECT json_array_elements_text(CAST(named AS json))),"
            " recorded_at, CAST(fact AS json), priced FROM"
            " unnest(CAST(:sources AS text[]), CAST(:ids AS text[]), CAST(:parts AS integer[]),"
            " CAST(:offsets AS bigint[]), CAST(:types AS text[]), CAST(:accounts AS text[]),"
            " CAST(:targets AS text[]), CAST(:named AS text[]), CAST(:recorded AS timestamptz[]),"
            " CAST(:facts AS text[]), CAST(:priced AS bytea[]))"
            " AS u(source, id, part, place, type, account, target, named, recorded_at, fact,"
            " priced)"
        ),
        {
            "workspace": workspace,
            "sources": [record.fact.source for record in records],
            "ids": [record.fact.id for record in records],
            "parts": [record.place.part for record in records],
            "offsets": [record.place.offset for record in records],
            "types": [record.fact.__struct_config__.tag for record in records],
            "accounts": [account_of(record.fact) for record in records],
            "targets": [target_of(record.fact) for record in records],
            "named": [
                _encode(record.named).decode() if record.named else None for record in records
            ],
            "recorded": [record.recorded_at for record in records],
            "facts": [record.raw.decode() for record in records],
            "priced": [
                None if record.priced is None else encoded((record.priced,)) for record in records
            ],
        },
    )


async def list_known(tx: Tx, workspace: str, names: Collection[FactName]) -> set[FactName]:
    """Those of the facts that have been recorded before."""
    listed = sorted(names)
    found = await rows(
        tx,
        "SELECT u.source, u.id FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[]))"
        " AS u(source, id) WHERE EXISTS (SELECT FROM fact f WHERE f.workspace = :workspace"
        " AND f.source = u.source AND f.id = u.id)",
        {"workspace": workspace, **_names(listed)},
    )
    return {FactName(row.source, row.id) for row in found}


async def list_records(tx: Tx, workspace: str, names: Iterable[FactName]) -> list[RawRecord]:
    """Every record of each of these facts, whichever account it was sent for."""
    found = await rows(
        tx,
        f"SELECT {RAW} FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[]))"
        " AS u(source, id) JOIN fact f ON f.workspace = :workspace AND f.source = u.source"
        ' AND f.id = u.id ORDER BY f.source, f.id, f.part, f."offset"',
        {"workspace": workspace, **_names(sorted(set(names)))},
    )
    return [_raw(row) for row in found]


async def append_contested(tx: Tx, workspace: str, names: Collection[FactName]) -> None:
    """Note facts of which records of different content came."""
    if names:
        await tx.execute(
            text(
                "INSERT INTO contested (workspace, source, id)"
                " SELECT :workspace, source, id FROM"
                " unnest(CAST(:sources AS text[]), CAST(:ids AS text[])) AS u(source, id)"
                " ON CONFLICT DO NOTHING"
            ),
            {"workspace": workspace, **_names(sorted(names))},
        )


async def list_contested(
    tx: Tx, workspace: str, *, known_at: datetime | None = None
) -> list[RawRecord]:
    """Every record of the contested facts, up to `known_at` if given."""
    found = await rows(
        tx,
        f"SELECT {RAW} FROM contested c JOIN fact f ON f.workspace = c.workspace"
        " AND f.source = c.source AND f.id = c.id WHERE c.workspace = :workspace"
        " AND (CAST(:known_at AS timestamptz) IS NULL OR f.recorded_at <= :known_at)"
        ' ORDER BY f.source, f.id, f.recorded_at, f.part, f."offset"',
        {"workspace": workspace, "known_at": known_at},
    )
    return [_raw(row) for row in found]


async def list_states(tx: Tx, workspace: str, accounts: Collection[str]) -> list[StateRow]:
    """The records of subscription states that were sent for these accounts."""
    found = await rows(
        tx,
        'SELECT source, id, part, "offset", account, recorded_at, priced,'
        " CASE WHEN priced IS NULL THEN fact::text END AS raw FROM fact"
        " WHERE workspace = :workspace AND account = ANY(CAST(:accounts AS text[]))"
        " AND type = 'subscription_state'",
        {"workspace": workspace, "accounts": sorted(accounts)},
    )
    return [
        StateRow(
            FactName(row[0], row[1]),
            Place(row[2], row[3]),
            row[4],
            row[5],
            None if row[6] is None else decoded(row[6])[0],
            row[7],
        )
        for row in found
    ]


async def list_raw_states(
    tx: Tx, workspace: str, accounts: Collection[str]
) -> dict[tuple[FactName, Place], str]:
    """What the records of these accounts' states say, word for word."""
    found = await rows(
        tx,
        f"SELECT {RAW} FROM fact f WHERE f.workspace = :workspace"
        " AND f.account = ANY(CAST(:accounts AS text[])) AND f.type = 'subscription_state'",
        {"workspace": workspace, "accounts": sorted(accounts)},
    )
    return {(record.name, record.place): record.raw for record in map(_raw, found)}


async def list_voids(tx: Tx, workspace: str, accounts: Collection[str]) -> list[RawRecord]:
    """The voids of the accounts' states, and the voids of these, as deep as they go."""
    return await _withdrawn(
        tx,
        "f.account = ANY(CAST(:accounts AS text[])) AND f.type = 'subscription_state'",
        {"workspace": workspace, "accounts": sorted(accounts)},
    )


async def list_voided(tx: Tx, workspace: str, names: Collection[FactName]) -> set[FactName]:
    """Those of the facts that some void speaks of, whichever came first."""
    found = await rows(
        tx,
        "SELECT DISTINCT v.source, v.target FROM fact v"
        " JOIN unnest(CAST(:sources AS text[]), CAST(:ids AS text[])) AS u(source, id)"
        " ON v.source = u.source AND v.target = u.id"
        " WHERE v.workspace = :workspace AND v.type = 'void' AND v.target IS NOT NULL",
        {"workspace": workspace, **_names(sorted(names))},
    )
    return {FactName(row.source, row.target) for row in found}


async def list_voids_of_objects(
    tx: Tx, workspace: str, names: Collection[FactName]
) -> list[RawRecord]:
    """The voids of facts that describe objects, and the voids of these, as deep as they go."""
    if not names:
        return []
    return await _withdrawn(
        tx,
        "(f.source, f.id) IN"
        " (SELECT * FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[])))",
        {"workspace": workspace, **_names(sorted(names))},
    )


async def _withdrawn(tx: Tx, which: str, arguments: Mapping[str, Any]) -> list[RawRecord]:
    found = await rows(
        tx,
        "WITH RECURSIVE withdrawn AS ("
        " SELECT v.source, v.id FROM fact f JOIN fact v ON v.workspace = f.workspace"
        "   AND v.source = f.source AND v.target = f.id AND v.type = 'void'"
        f"   WHERE f.workspace = :workspace AND {which}"
        " UNION SELECT v.source, v.id FROM withdrawn w JOIN fact v ON v.workspace = :workspace"
        "   AND v.source = w.source AND v.target = w.id AND v.type = 'void')"
        f" SELECT {RAW} FROM withdrawn w JOIN fact f ON f.workspace = :workspace"
        " AND f.source = w.source AND f.id = w.id AND f.type = 'void'",
        arguments,
    )
    return [_raw(row) for row in found]


async def list_objects(tx: Tx, workspace: str, object_ids: Collection[str]) -> list[RawRecord]:
    """The records that describe these objects of providers."""
    if not object_ids:
        return []
    found = await rows(
        tx,
        f"SELECT {RAW} FROM fact f WHERE f.workspace = :workspace"
        " AND f.target = ANY(CAST(:targets AS text[])) AND f.type = 'provider_object'",
        {"workspace": workspace, "targets": sorted(object_ids)},
    )
    return [_raw(row) for row in found]


async def list_schedules(tx: Tx, workspace: str) -> list[RawRecord]:
    """The records that describe subscription schedules of Stripe's, whose ids say what they are."""
    found = await rows(
        tx,
        f"SELECT {RAW} FROM fact f WHERE f.workspace = :workspace AND f.source = 'stripe'"
        " AND f.target >= 'sub_sched_' AND f.target < 'sub_sched`'"
        " AND f.type = 'provider_object'",
        {"workspace": workspace},
    )
    return [_raw(row) for row in found]


class Reached(NamedTuple):
    """What voids withdraw, or give back by voiding a void."""

    accounts: set[str]
    object_ids: set[str]
    rates: set[tuple[str, str]]
    """Currency and month, as told."""


async def list_reached(tx: Tx, workspace: str, voids: Collection[FactName]) -> Reached:
    """The accounts whose states these voids withdraw, and the objects and rates they withdraw."""
    found = await rows(
        tx,
        "WITH RECURSIVE reached AS ("
        " SELECT f.source, f.id, f.target, f.type, f.account FROM"
        "   unnest(CAST(:sources AS text[]), CAST(:ids AS text[])) AS u(source, id)"
        "   JOIN fact f ON f.workspace = :workspace AND f.source = u.source AND f.id = u.id"
        " UNION SELECT f.source, f.id, f.target, f.type, f.account FROM reached r"
        "   JOIN fact f ON f.workspace = :workspace AND f.source = r.source"
        "   AND f.id = r.target WHERE r.type = 'void')"
        " SELECT DISTINCT r.type, r.account, r.target, f.fact ->> 'currency' AS currency,"
        " f.fact ->> 'month' AS month FROM reached r LEFT JOIN fact f ON r.type = 'fx_rate'"
        "   AND f.workspace = :workspace AND f.source = r.source AND f.id = r.id"
        " WHERE r.type IN ('subscription_state', 'provider_object', 'fx_rate')",
        {"workspace": workspace, **_names(sorted(voids))},
    )
    return Reached(
        {row.account for row in found if row.type == "subscription_state"},
        {row.target for row in found if row.type == "provider_object"},
        {(row.currency, row.month) for row in found if row.type == "fx_rate"},
    )


async def list_accounts_naming(
    tx: Tx, workspace: str, object_ids: Collection[str], *, source: str
) -> set[str]:
    """The accounts whose states name one of these objects, or that are one, a customer of it."""
    if not object_ids:
        return set()
    found = await rows(
        tx,
        "SELECT DISTINCT account FROM fact WHERE workspace = :workspace"
        " AND named && CAST(:named AS text[]) UNION SELECT account FROM fact"
        " WHERE workspace = :workspace AND account = ANY(CAST(:named AS text[]))"
        " AND type = 'subscription_state' AND source = :source",
        {"workspace": workspace, "named": sorted(object_ids), "source": source},
    )
    return {row.account for row in found}


async def list_discounts_of(tx: Tx, workspace: str, coupons: Collection[str]) -> set[str]:
    """Ids of the discounts that only name one of these coupons."""
    if not coupons:
        return set()
    found = await rows(
        tx,
        "SELECT DISTINCT target FROM fact WHERE workspace = :workspace"
        " AND type = 'provider_object' AND account IS NULL"
        " AND coalesce(fact #>> '{object,source,coupon}', fact #>> '{object,coupon}')"
        "   = ANY(CAST(:coupons AS text[]))",
        {"workspace": workspace, "coupons": sorted(coupons)},
    )
    return {row.target for row in found}


async def list_accounts_of(
    tx: Tx, workspace: str, names: Collection[FactName]
) -> dict[str, datetime]:
    """The accounts that states under these names were sent for, each with since when."""
    if not names:
        return {}
    found = await rows(
        tx,
        "SELECT f.account, min(f.recorded_at) AS since FROM"
        " unnest(CAST(:sources AS text[]), CAST(:ids AS text[])) AS u(source, id)"
        " JOIN fact f ON f.workspace = :workspace AND f.source = u.source AND f.id = u.id"
        " WHERE f.account IS NOT NULL GROUP BY f.account",
        {"workspace": workspace, **_names(sorted(names))},
    )
    return {row.account: row.since for row in found}


async def list_of_types(
    tx: Tx, workspace: str, types: Sequence[FactType], *, known_at: datetime | None = None
) -> list[RawRecord]:
    """Records of facts of these types and of their voids, up to `known_at` if given."""
    # Written out, for the index that holds these few types alone.
    which = f"f.type IN ({', '.join(repr(str(kind)) for kind in types)})"
    found = await rows(
        tx,
        f"SELECT {RAW} FROM fact f WHERE f.workspace = :workspace AND {which}",
        {"workspace": workspace},
    )
    voids = await _withdrawn(tx, which, {"workspace": workspace}) if found else []
    return [
        record
        for record in (*map(_raw, found), *voids)
        if known_at is None or record.recorded_at <= known_at
    ]


async def count_beyond_first(tx: Tx, workspace: str, *, known_at: datetime) -> int:
    """Records beyond the first of their facts, of those recorded up to `known_at`."""
    (found,) = await rows(
        tx,
        "SELECT count(*) - count(DISTINCT (source, id)) AS beyond FROM fact"
        " WHERE workspace = :workspace AND recorded_at <= :known_at",
        {"workspace": workspace, "known_at": known_at},
    )
    return int(found.beyond)


def _names(names: Sequence[FactName]) -> dict[str, list[str]]:
    return {"sources": [name.source for name in names], "ids": [name.id for name in names]}


def _raw(row: Any) -> RawRecord:
    return RawRecord(
        FactName(row.source, row.id), Place(row.part, row.offset), row.recorded_at, row.raw
    )
