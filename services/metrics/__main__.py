"""`python -m services.metrics run|migrate`."""

from pathlib import Path

from services.metrics.api import router
from services.metrics.handlers import LANES
from services.metrics.settings import MetricsSettings
from shared.db import Database
from shared.service import Service, main


def build() -> Service:
    """The service, put together from its settings."""
    settings = MetricsSettings()
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
    )


if __name__ == "__main__":
    main(build)
