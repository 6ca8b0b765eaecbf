"""The same life seen by the plan and by the live scheduler."""

from datetime import UTC, datetime, timedelta

from services.cadence.model import occurrences
from services.cadence.model.anchor import ZoneEvent
from services.cadence.model.occurrences import Facts, Policy, Standing
from services.cadence.model.quiet import QuietHours
from services.cadence.model.spans import Span
from services.cadence.model.zones import ZoneChain, ZoneKind
from shared.zones import packaged
from tests.anchors.live import SPACING, Life, Log, live

DATABASE = packaged()
# Far east and far west, both hemispheres' summer times, half and quarter hours, gaps at midnight.
PLACES = (
    "UTC",
    "Asia/Seoul",
    "America/New_York",
    "America/Los_Angeles",
    "Europe/London",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Cairo",
    "Pacific/Kiritimati",
    "Pacific/Apia",
)
ZONES = {name: DATABASE.zone(name) for name in PLACES}
FIRST = datetime(2025, 2, 20, tzinfo=UTC)  # the clocks of America and Europe change soon after
WEEKS = 9


def planned(life: Life, horizon: Span) -> Log:
    found = occurrences.plan(
        Facts(
            signed_up_at=life.signed_up_at,
            known_at=life.known_at,
            zones=ZoneChain(user=life.zone),
            zone_events=[ZoneEvent(at, ZoneKind(kind), zone) for at, kind, zone in life.moves],
            standing=Standing(
                pauses=[Span(*pause) for pause in life.pauses],
                churned_at=life.churned_at,
                reactivated_at=life.reactivated_at,
            ),
        ),
        Policy(
            grace=life.grace,
            spacing=SPACING,
            quiet=None if life.quiet is None else QuietHours(*life.quiet),
        ),
        horizon,
        DATABASE,
        outages=[Span(*outage) for outage in life.outages],
    )
    sent = [
        (each.send_at, each.late)
        for each in found
        if each.send_at is not None and each.send_at in horizon
    ]
    return Log(
        sends=[at for at, _ in sent],
        late=[at for at, late in sent if late],
        skips=[(each.on, each.due_at, each.skip.value) for each in found if each.skip is not None],
    )


def agree(life: Life) -> None:
    horizon = Span(FIRST, FIRST + timedelta(weeks=WEEKS))
    # What is late at the end of the horizon is decided after it.
    decided = horizon.ends_at + timedelta(weeks=12)
    lived = live(life, decided, ZONES)

    seen = planned(life, horizon)

    assert seen.sends == [at for at in lived.sends if at in horizon]
    assert seen.late == [at for at in lived.late if at in horizon]
    assert sorted(seen.skips) == sorted(skip for skip in lived.skips if skip[1] in horizon)
