"""The edge as a FastAPI tutorial shows it: pydantic models, aiokafka, an awaited ack per event.

Two routes, because two spellings are common: `/v1/batch` awaits event after event,
`/gathered/v1/batch` awaits all events of a request together. Both answer 200 only when Kafka has
acknowledged every event (acks=all), and key each record by its account. What the real edge does
beyond that (keys, repeats, personal fields, time correction, receipts) is left out, which favours
this form.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Literal

import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel, Field


class Library(BaseModel):
    """The SDK that sent an event."""

    name: str
    version: str


class Context(BaseModel):
    """Where an event comes from; `groupId` is the account."""

    groupId: str = Field(max_length=200)  # noqa: N815 - the SDKs' spelling
    library: Library | None = None


class Track(BaseModel):
    """One track call, in the fields that Segment's SDKs send."""

    type: Literal["track"]
    messageId: str = Field(max_length=100)  # noqa: N815
    userId: str | None = Field(default=None, max_length=200)  # noqa: N815
    anonymousId: str | None = Field(default=None, max_length=200)  # noqa: N815
    event: str = Field(min_length=1, max_length=200)
    timestamp: datetime
    context: Context
    properties: dict[str, Any] = {}
    integrations: dict[str, Any] = {}


class Batch(BaseModel):
    """What an SDK posts."""

    batch: list[Track] = Field(min_length=1, max_length=2500)
    sentAt: datetime | None = None  # noqa: N815


class Reply(BaseModel):
    """What it is told."""

    success: bool
    accepted: int
    rejected: list[Any]


def producer_of(request: Request) -> AIOKafkaProducer:
    """The application's producer."""
    return request.app.state.producer


Producer = Annotated[AIOKafkaProducer, Depends(producer_of)]


def build_app(*, bootstrap: str, topic: str) -> FastAPI:
    """The application; publishes to `topic`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
            app.state.producer = producer
            yield

    app = FastAPI(lifespan=lifespan)

    async def publish(producer: AIOKafkaProducer, event: Track) -> None:
        await producer.send_and_wait(
            topic, event.model_dump_json().encode(), key=event.context.groupId.encode()
        )

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/v1/batch")
    async def one_by_one(batch: Batch, producer: Producer) -> Reply:
        for event in batch.batch:
            await publish(producer, event)
        return Reply(success=True, accepted=len(batch.batch), rejected=[])

    @app.post("/gathered/v1/batch")
    async def gathered(batch: Batch, producer: Producer) -> Reply:
        await asyncio.gather(*[publish(producer, event) for event in batch.batch])
        return Reply(success=True, accepted=len(batch.batch), rejected=[])

    return app


def main() -> None:
    """Serve with uvicorn as its `standard` extra does: uvloop and httptools, no access log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    uvicorn.run(
        build_app(bootstrap=arguments.bootstrap, topic=arguments.topic),
        port=arguments.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
