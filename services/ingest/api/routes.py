"""The paths of the edge as FastAPI knows them: documented here, answered by the edge itself.

The edge stands before FastAPI (`edge.Front`), so these functions are reached only where an app runs
without it; they then answer with the very same function.
"""

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.types import Receive, Scope, Send

from services.ingest.api.edge import ROUTES, Edge, send_reply
from shared.http import Problem

router = APIRouter(tags=["events"])


class SentEvent(BaseModel):
    """One event in Segment's form. Fields beyond these are read as ingest's documentation says."""

    model_config = ConfigDict(
        extra="allow",
        alias_generator=to_camel,
        json_schema_extra={
            "examples": [
                {
                    "type": "track",
                    "event": "Report Exported",
                    "userId": "u-42",
                    "messageId": "3ca6f0aa",
                    "timestamp": "2026-11-01T12:00:00.123Z",
                    "context": {"groupId": "acme"},
                    "properties": {"feature": "reports", "rows": 1200},
                }
            ]
        },
    )

    type: Literal["track", "identify", "group", "page", "screen", "alias"] = Field(
        description="The call; on a path of its own the path gives it."
    )
    message_id: str | None = Field(
        default=None, max_length=100, description="Your id; a repeat is counted once."
    )
    user_id: str | float | None = Field(
        default=None, description="The person; this or anonymousId is required."
    )
    anonymous_id: str | float | None = Field(
        default=None, description="The visitor before sign-up."
    )
    event: str | None = Field(default=None, description="track: what was done.")
    group_id: str | float | None = Field(default=None, description="group: the account.")
    previous_id: str | float | None = Field(
        default=None, description="alias: the id that userId replaces."
    )
    timestamp: str | None = Field(default=None, description="When it happened, ISO 8601.")
    properties: dict[str, Any] | None = Field(default=None, description="track, page, screen.")
    traits: dict[str, Any] | None = Field(default=None, description="identify, group.")
    context: dict[str, Any] | None = Field(
        default=None, description="`groupId` names the account; library, page, locale, ..."
    )


class SentBatch(BaseModel, alias_generator=to_camel):
    """Up to 2,500 events and 500 KB (on /v1/import 5 MiB), at most 32 KiB each."""

    batch: list[SentEvent] = Field(description="The events.")
    sent_at: str | None = Field(
        default=None, description="Your clock when you sent it: corrects the events' times."
    )
    context: dict[str, Any] | None = Field(
        default=None, description="Stands under each event's own context."
    )


class Rejection(BaseModel, alias_generator=to_camel):
    """An event that was not accepted. It is kept and can be seen in /v1/dead-letters."""

    index: int = Field(description="Its place in the batch, from 0.")
    message_id: str = Field(description="Its id, given by us where it had none.")
    code: str = Field(description="Stable reason.", examples=["missing_event"])
    message: str = Field(description="What is wrong, for people.")
    line: int | None = Field(default=None, description="NDJSON: its line, from 1.")


class AssignedId(BaseModel, alias_generator=to_camel):
    """The id we gave to an event that came without."""

    index: int = Field(description="Its place in the batch, from 0.")
    message_id: str = Field(description="Ask for its receipt by this.")


class Oddity(BaseModel, alias_generator=to_camel):
    """An event that was accepted though something about it is odd."""

    index: int = Field(description="Its place in the batch, from 0.")
    message_id: str = Field(description="The event's id.")
    code: str = Field(
        description="bad_timestamp: its time is none, so it counts as of when we received it.",
        examples=["bad_timestamp"],
    )


class Taken(BaseModel):
    """What became of the events. accepted + duplicates + rejected is the number sent."""

    success: bool = Field(description="True: whatever was accepted stands in Kafka.")
    accepted: int = Field(description="Events that are new and now stand in Kafka.")
    duplicates: int = Field(description="Events that stood there already.")
    rejected: list[Rejection] = Field(description="Events that were not accepted, one by one.")
    assigned: list[AssignedId] = Field(description="Ids given to events that came without.")
    warnings: list[Oddity] = Field(description="Accepted events that are odd all the same.")


class EdgeResponse(Response):
    """Lets the edge answer instead of FastAPI."""

    def __init__(self, edge: Edge, receive: Receive) -> None:
        super().__init__()
        self._edge = edge
        self._receive = receive

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the edge does."""
        await send_reply(await self._edge.answer(scope, self._receive), scope, send)


async def answer(request: Request) -> Response:
    """The edge's own answer."""
    return EdgeResponse(request.app.state.edge, request.receive)


def _documented(path: str, body: type[BaseModel], summary: str, description: str) -> None:
    schema = body.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = schema.pop("$defs", {})
    for name, definition in definitions.items():
        if name == "SentEvent":
            schema["properties"]["batch"]["items"] = definition
    router.add_api_route(
        path,
        answer,
        methods=["POST"],
        summary=summary,
        description=description,
        operation_id=path.strip("/").replace("/", "_"),
        response_model=Taken,
        responses={413: {"model": Problem}, 503: {"model": Problem}},
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}
        },
    )


_ANSWERED = (
    "200 means that every accepted event stands in Kafka (all replicas). An event that cannot be "
    "accepted is listed with its code and never costs its neighbours."
)
_documented("/v1/batch", SentBatch, "Take a batch of events", _ANSWERED)
_documented(
    "/v1/import",
    SentBatch,
    "Take history: times stand as given, never ahead of live events",
    _ANSWERED,
)
for _call in ("track", "identify", "group", "page", "screen", "alias"):
    _documented(f"/v1/{_call}", SentEvent, f"Take one {_call} event", _ANSWERED)
for _path in ROUTES.keys() - {route.path for route in router.routes if hasattr(route, "path")}:
    router.add_api_route(_path, answer, methods=["POST"], include_in_schema=False)
