"""The HTTP door of a service: its app, what /ready looks at, and the server around it."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from types import MappingProxyType

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from shared import auth, dead_letters
from shared.bus.consumer import Consumer
from shared.clock import utc_now
from shared.http import Check, Counted, build_app
from shared.service.value import Service

KAFKA = "kafka"  # the check of whatever needs it, beside the lanes


def app_of(
    service: Service,
    consumers: Sequence[Consumer] = (),
    checks: Mapping[str, Check] = MappingProxyType({}),
) -> FastAPI:
    """The service's HTTP door as a FastAPI app. `checks`: what /ready looks at beside its own."""
    lanes = {f"lane {consumer.lane.name}": _lane_check(consumer) for consumer in consumers}
    stopped = {f"lane {consumer.lane.name}": _stopped_check(consumer) for consumer in consumers}
    of_kafka = {name: check for name, check in checks.items() if name == KAFKA} | lanes
    decisive = {name: check for name, check in checks.items() if name != KAFKA}
    app = build_app(
        title=f"Mainstay {service.name}",
        description=service.description,
        checks={**decisive, **service.checks, **(of_kafka if service.needs_kafka else stopped)},
        remarks={} if service.needs_kafka else of_kafka,
        lifespan=service.lifespan or (lambda _: nullcontext()),
    )
    app.state.settings = service.settings
    app.state.clock = utc_now
    if service.database is not None:
        app.state.database = service.database
        app.state.keys = auth.Keys(
            service.database, cache_seconds=service.settings.key_cache_seconds
        )
    for name, value in service.state.items():
        setattr(app.state, name, value)
    for router in service.routers:
        app.include_router(router)
    if service.lanes:
        app.include_router(dead_letters.judging(service.name, service.lanes))
        if service.shows_dead_letters:
            app.include_router(dead_letters.showing)
    return app


def _lane_check(consumer: Consumer) -> Check:
    def check() -> str | None:
        state = consumer.state
        if stopped := _stopped_check(consumer)():
            return stopped
        if state.waiting_for:
            return f"waits for {state.waiting_for}"
        if not state.connected:
            return "Kafka does not answer"
        return None if state.placed else "has no partitions yet"

    return check


def _stopped_check(consumer: Consumer) -> Check:
    def check() -> str | None:
        because = consumer.state.stopped_because
        return f"stopped: {because}" if because else None

    return check


def server_of(
    service: Service, consumers: Sequence[Consumer], checks: Mapping[str, Check]
) -> uvicorn.Server:
    """The server of a service's app, with the hot route's short cut before it."""
    app: ASGIApp = Counted(app_of(service, consumers, checks), service=service.name)
    if service.front is not None:
        app = service.front(app)
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=service.settings.host,
            port=service.settings.port,
            loop="none",
            http="httptools",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=10,
        )
    )


async def serve(server: uvicorn.Server, stopping: asyncio.Event) -> None:
    """Serve until `stopping`; the signals are ours, so uvicorn's own capture is left out."""
    serving = asyncio.create_task(server._serve())  # noqa: SLF001
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await serving
    waiting.cancel()
    if not stopping.is_set():
        raise RuntimeError("the HTTP server ended by itself: is its port taken?")
