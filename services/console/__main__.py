"""`python -m services.console run`."""

from services.console.api import router
from services.console.client import HealthClient
from services.console.front import Front
from services.console.session import Sessions
from services.console.settings import ConsoleSettings
from shared.service import Service, main


def build() -> Service:
    """The service, put together from its settings."""
    settings = ConsoleSettings()
    health = HealthClient(settings)
    return Service(
        name="console",
        description="The web pages that people look at.",
        settings=settings,
        routers=(router,),
        checks={"health": health.trouble},
        state={"sessions": Sessions(settings), "health": health},
        lifespan=lambda _: health.watched(),
        front=Front,
    )


if __name__ == "__main__":
    main(build)
