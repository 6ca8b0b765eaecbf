"""`python -m services.cadence run|migrate`."""

from datetime import timedelta
from pathlib import Path

from services.cadence.api import public_router, router
from services.cadence.channels.assembly import house, post
from services.cadence.channels.outbound import Outbound
from services.cadence.handlers import LANES
from services.cadence.model.caps import Caps
from services.cadence.model.delivery import RetryPolicy
from services.cadence.model.eligibility import Attention
from services.cadence.model.hits import HitPolicy
from services.cadence.model.quiet import QuietHours
from services.cadence.schedule.handover import Handover, HandoverPolicy
from services.cadence.schedule.planning import Planner
from services.cadence.schedule.tracking import tracking_job
from services.cadence.settings import CadenceSettings
from shared.db import Database
from shared.service import Service, main


def build() -> Service:
    """The service, put together from its settings."""
    settings = CadenceSettings()
    database = Database(
        settings.database_url.get_secret_value(), schema="cadence", settings=settings.database
    )
    handover = Handover(
        database=database,
        post=post(settings),
        outbound=Outbound(),
        house=house(settings),
        policy=HandoverPolicy(
            per_second=settings.messages_per_second,
            domain_per_second=settings.domain_per_second,
            at_once=settings.handover_at_once,
            lease=timedelta(seconds=settings.lease_seconds),
            attention=Attention(
                caps=Caps(
                    per_day=settings.cap_per_day,
                    per_week=settings.cap_per_week,
                    spacing=timedelta(hours=settings.cap_spacing_hours),
                ),
                quiet=QuietHours(settings.quiet_from, settings.quiet_to),
            ),
            retry=RetryPolicy(waits_seconds=settings.retry_waits_seconds),
        ),
    )
    return Service(
        name="cadence",
        description="Messages at their moment, contacts that stay due, plays and plans.",
        settings=settings,
        routers=(router, public_router),
        database=database,
        migrations=Path(__file__).parent / "migrations",
        lanes=LANES,
        owned_tables=(
            "message",
            "letter",
            "link",
            "hit",
            "suppression",
            "inbox_item",
            "bounce_report",
            "send_allowance",
            "channel_target",
            "template",
            "consent",
            "journey",
            "decision",
            "anchor",
            "planning",
            "messaging_settings",
            "pause",
            "program",
        ),
        jobs=(
            Planner(words=settings.words).job,
            tracking_job(settle=timedelta(seconds=settings.hit_settle_seconds), policy=HitPolicy()),
        ),
        workers=(handover.run,),
    )


if __name__ == "__main__":
    main(build)
