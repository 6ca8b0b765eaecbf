"""`python -m services.nps run|migrate`."""

from pathlib import Path

from services.nps.api import router
from services.nps.handlers import LANES
from services.nps.schedule import jobs
from services.nps.settings import NpsSettings
from shared.db import Database
from shared.service import Service, main


def build() -> Service:
    """The service, put together from its settings."""
    settings = NpsSettings()
    return Service(
        name="nps",
        description="Waves of one question, answers, their statistics and the loops they open.",
        settings=settings,
        routers=(router,),
        database=Database(
            settings.database_url.get_secret_value(), schema="nps", settings=settings.database
        ),
        migrations=Path(__file__).parent / "migrations",
        lanes=LANES,
        owned_tables=(
            "link_key",
            "wave",
            "wave_member",
            "invitation",
            "answer",
            "late_answer",
            "score_count",
            "account_count",
            "loop",
        ),
        jobs=jobs(settings),
    )


if __name__ == "__main__":
    main(build)
