"""From which day on an earlier copy of an event is looked for: never later than it came."""

from datetime import UTC, date, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shared.bus.tables.inbox import probe_since, window_begin
from shared.events.base import Envelope, Received
from shared.events.ingest import UsageTracked

SENT_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def copy(*, received_at: datetime, sent_at: str | None, moved: timedelta) -> Received[UsageTracked]:
    """A copy of an event that happened as it was first sent, stamped when it was received."""
    return Received(
        envelope=Envelope(
            specversion="1.0",
            id="e",
            source="default",
            type=UsageTracked.type,
            time=SENT_AT + moved,
            workspace="w",
            partitionkey="w/a",
            originaltime=SENT_AT.isoformat(),
            sentat=sent_at,
            recordedtime=received_at,
            data=msgspec.Raw(b"{}"),
        ),
        event=UsageTracked(event="e", feature="e"),
        topic=UsageTracked.topic.name,
        partition=0,
        offset=0,
        appended_at=received_at,
    )


@given(
    later=st.timedeltas(timedelta(), timedelta(days=29)),
    form=st.sampled_from(["%Y-%m-%dT%H:%M:%S+00:00", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S"]),
)
def test_a_body_that_is_sent_again_unchanged_days_later_is_looked_for_where_it_came_first(
    later: timedelta, form: str
):
    # Its clock seems to be behind by as long as it lay, so that its events move by so much.
    repeat = copy(received_at=SENT_AT + later, sent_at=SENT_AT.strftime(form), moved=later)

    assert probe_since(repeat) <= SENT_AT.date()


def test_a_time_that_was_sent_in_a_form_of_its_own_is_not_relied_on():
    received_at = SENT_AT + timedelta(days=5)

    since = probe_since(
        copy(received_at=received_at, sent_at="2026-03-01T12:00:00z!", moved=timedelta(days=5))
    )

    assert since == window_begin(received_at.date())


def test_where_the_clocks_agree_two_days_are_looked_at():
    received_at = SENT_AT + timedelta(seconds=2)

    since = probe_since(
        copy(received_at=received_at, sent_at=SENT_AT.isoformat(), moved=timedelta(seconds=2))
    )

    assert since == date(2026, 2, 28)
