"""`python -m services.health run|migrate`."""

from pathlib import Path

from services.health.api import router
from services.health.handlers import LANES
from services.health.settings import HealthSettings
from shared.db import Database
from shared.service import Service, main


def build() -> Service:
    """The service, put together from its settings."""
    settings = HealthSettings()
    return Service(
        name="health",
        description="How each account uses the product, what that says about it, and why.",
        settings=settings,
        routers=(router,),
        database=Database(
            settings.database_url.get_secret_value(), schema="health", settings=settings.database
        ),
        migrations=Path(__file__).parent / "migrations",
        lanes=LANES,
    )


if __name__ == "__main__":
    main(build)
