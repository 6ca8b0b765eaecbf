"""The paths of the edge as FastAPI knows them: documented here, answered by the edge itself.

The edge stands before FastAPI (`edge.Front`), so these functions are reached only where an app runs
without it; they then answer with the very same function.
"""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from services.ingest.api import billing, calls
from services.ingest.api.edge import Edge
from services.ingest.api.forms import (
    FactResults,
    SentBatch,
    SentEvent,
    SentFacts,
    Taken,
    WebhookTaken,
)
from services.ingest.api.replies import send_reply
from services.ingest.api.webhooks import WebhookSender
from shared.http import Problem

router = APIRouter(tags=["events"])


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


def _documented(
    path: str,
    body: dict[str, Any],
    summary: str,
    description: str,
    *,
    replies: type[BaseModel] = Taken,
    parameters: list[dict[str, Any]] | None = None,
) -> None:
    router.add_api_route(
        path,
        answer,
        methods=["POST"],
        summary=summary,
        description=description,
        operation_id=path.strip("/").replace("/", "_"),
        response_model=replies,
        responses={413: {"model": Problem}, 503: {"model": Problem}},
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            **({"parameters": parameters} if parameters else {}),
        },
    )


def _schema(body: type[BaseModel], *, list_name: str | None = None) -> dict[str, Any]:
    """The schema of a body; what its list holds stands within it."""
    schema = body.model_json_schema(ref_template="#/components/schemas/{model}")
    for definition in schema.pop("$defs", {}).values():
        if list_name is not None:
            schema["properties"][list_name]["items"] = definition
    return schema


_ANSWERED = (
    "200 means that every accepted event stands in Kafka (all replicas). An event that cannot be "
    "accepted is listed with its code and never costs its neighbours."
)
_BATCH = _schema(SentBatch, list_name="batch")
_documented("/v1/batch", _BATCH, "Take a batch of events", _ANSWERED)
_documented(
    "/v1/import",
    _BATCH,
    "Take history: times stand as given, never ahead of live events",
    _ANSWERED,
)
for _call in ("track", "identify", "group", "page", "screen", "alias"):
    _documented(f"/v1/{_call}", _schema(SentEvent), f"Take one {_call} event", _ANSWERED)
_documented(
    billing.ROUTE,
    _schema(SentFacts, list_name="facts"),
    "Take facts for the revenue ledger",
    "Each fact is answered for itself, in the order sent; 200 means that the accepted ones stand in"
    " Kafka (all replicas). A repeat is accepted too: the ledger tells it from a conflict. With a"
    " manage key a fact may carry the `recorded_at` that it had elsewhere.",
    replies=FactResults,
)
_KEY = {
    "name": "key",
    "in": "query",
    "description": "A write key of the workspace; it may stand behind the path instead.",
    "schema": {"type": "string"},
}
_SIGNED = (
    "Signed with one of the workspace's secrets, at most 300 s ago: else 400 `invalid_signature`."
    " What is signed well is answered 200, also a repeat, an unknown type or what cannot be used;"
    " that is kept as a dead letter with the reason."
)
for _sender in WebhookSender:
    _documented(
        _sender.route,
        {"type": "object", "description": "The event as its sender has it."},
        f"Take a webhook: {_sender.form}",
        _SIGNED,
        replies=WebhookTaken,
        parameters=[_KEY],
    )
    router.add_api_route(
        f"{_sender.route}/{{key}}", answer, methods=["POST"], include_in_schema=False
    )
_KNOWN = {route.path for route in router.routes if hasattr(route, "path")}
for _path in (calls.ROUTES.keys() | billing.PATHS) - _KNOWN:
    router.add_api_route(_path, answer, methods=["POST"], include_in_schema=False)
