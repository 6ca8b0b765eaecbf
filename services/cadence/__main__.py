"""`python -m services.cadence run|migrate`."""

from pathlib import Path

from services.cadence.api import router
from services.cadence.handlers import LANES
from services.cadence.settings import CadenceSettings
from shared.db import Database
from shared.service import Service, main


def build() -> Service:
    """The service, put together from its settings."""
    settings = CadenceSettings()
    return Service(
        name="cadence",
        description="Messages at their moment, contacts that stay due, plays and plans.",
        settings=settings,
        routers=(router,),
        database=Database(
            settings.database_url.get_secret_value(), schema="cadence", settings=settings.database
        ),
        migrations=Path(__file__).parent / "migrations",
        lanes=LANES,
    )


if __name__ == "__main__":
    main(build)
