"""`python -m services.metrics run|migrate`."""

import os
import socket
from pathlib import Path

from services.metrics.api import router
from services.metrics.handlers import LANES, LEDGER
from services.metrics.schedule import jobs
from services.metrics.settings import MetricsSettings
from services.metrics.store.closing import audit_all
from shared.bus.consumer import group_name
from shared.bus.kafka.ends import LogEnds
from shared.db import Database
from shared.service import Service, main


def build() -> Service:
    """The service, put together from its settings."""
    settings = MetricsSettings()
    ends = LogEnds(
        LEDGER.topics,
        client_id=f"metrics-tide@{socket.gethostname()}:{os.getpid()}",
        settings=settings.kafka,
    )
    return Service(
        name="metrics",
        description="The revenue ledger and every figure that is derived from it.",
        settings=settings,
        routers=(router,),
        database=Database(
            settings.database_url.get_secret_value(), schema="metrics", settings=settings.database
        ),
        migrations=Path(__file__).parent / "migrations",
        lanes=LANES,
        owned_tables=(
            "setting",
            "closed_month",
            "scheduled_movement",
            "rate_due",
            "offer",
            "tide",
            "contract_notice",
            "opportunity_told",
        ),
        audit=audit_all,
        jobs=jobs(settings, group=group_name("metrics", LEDGER), ends=ends),
    )


if __name__ == "__main__":
    main(build)
