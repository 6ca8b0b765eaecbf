"""`python -m services.ingest run|migrate`."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from services.ingest.api import receipts, routes, workspaces
from services.ingest.api.audit import Audit
from services.ingest.api.delivery import Delivery
from services.ingest.api.edge import Edge, Front
from services.ingest.api.spilled import SpilledReceipts
from services.ingest.handlers import LANES
from services.ingest.schedule import jobs
from services.ingest.settings import IngestSettings
from shared.clock import utc_now
from shared.db import Database
from shared.service import Service, main


def build() -> Service:
    """The service, put together from its settings."""
    settings = IngestSettings()
    database = Database(
        settings.database_url.get_secret_value(), schema="ingest", settings=settings.database
    )
    client_id = f"ingest-edge@{socket.gethostname()}:{os.getpid()}"
    receipts_of_spilled = SpilledReceipts(database)
    delivery = Delivery(settings, client_id=client_id, noted=receipts_of_spilled.note)
    audit = Audit(settings, delivery, client_id=f"{client_id}:audit")
    edge = Edge(settings, database, delivery, utc_now)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        receipts_of_spilled.start()
        await edge.start()
        audit.start()
        yield
        await audit.stop()
        await edge.stop()
        await receipts_of_spilled.stop()

    return Service(
        name="ingest",
        description="Takes events in: 200 means that they stand in Kafka, or on disk until then.",
        settings=settings,
        routers=(routes.router, workspaces.router, receipts.router),
        database=database,
        migrations=Path(__file__).parent / "migrations",
        lanes=LANES,
        shows_dead_letters=False,
        owned_tables=("workspace", "api_key", "webhook_secret", "spilled_receipt"),
        outliving_tables=("progress", "rejected_event"),
        jobs=jobs(settings),
        needs_kafka=False,  # the edge has its spill; "kafka writer" says where it has none
        checks={
            "kafka writer": delivery.why_not_ready,
            "spill": delivery.why_spill_not_ready,
            "durability": audit.why_not_ready,
        },
        state={"edge": edge},
        prepare=delivery.open_spill,
        lifespan=lifespan,
        front=lambda app: Front(app, edge),
    )


if __name__ == "__main__":
    main(build)
