"""Requests stay within the edge's limits and keep every account's order."""

from collections import defaultdict

from importer.batches import (
    MOST_BODY_BYTES,
    MOST_EVENTS,
    MOST_WAITING_ROWS,
    Batch,
    Batcher,
    Entry,
)


def entry(row: int, size: int = 10) -> Entry:
    return Entry(row, row + 1, f"m-{row}", b"x" * size)


def dealt(batcher: Batcher, accounts: list[str], size: int = 10) -> list[Batch]:
    batches = [
        batch
        for row, account in enumerate(accounts, start=1)
        for batch in batcher.add(account, entry(row, size))
    ]
    return [*batches, *batcher.rest()]


def test_request_holds_as_many_events_as_the_edge_takes_and_no_more():
    batches = dealt(Batcher(1), ["acme"] * (MOST_EVENTS + 1))

    assert [len(batch.entries) for batch in batches] == [MOST_EVENTS, 1]


def test_request_stays_within_the_bytes_that_the_edge_takes():
    batches = dealt(Batcher(1), ["acme"] * 500, size=30_000)

    assert all(batch.body_bytes <= MOST_BODY_BYTES for batch in batches)
    assert sum(len(batch.entries) for batch in batches) == 500


def test_rows_of_an_account_stay_in_order_in_one_lane():
    accounts = [f"a-{row % 7}" for row in range(20_000)]

    batches = dealt(Batcher(4), accounts)

    rows_of_lane: dict[int, list[int]] = defaultdict(list)
    for batch in batches:
        rows_of_lane[batch.lane].extend(found.row for found in batch.entries)
    lane_of = {row: lane for lane, rows in rows_of_lane.items() for row in rows}
    assert all(rows == sorted(rows) for rows in rows_of_lane.values())
    for account in set(accounts):
        assert len({lane_of[row] for row, of in enumerate(accounts, 1) if of == account}) == 1


def test_seldom_account_does_not_wait_for_ever():
    seldom, *often = ["seldom", *["often"] * MOST_WAITING_ROWS]
    batcher = Batcher(8)
    first = list(batcher.add(seldom, entry(1)))

    later = [
        batch
        for row, account in enumerate(often, start=2)
        for batch in batcher.add(account, entry(row))
    ]

    assert first == []
    assert any(found.row == 1 for batch in later for found in batch.entries)
