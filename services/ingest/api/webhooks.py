"""Webhooks: Stripe's, and those that follow Standard Webhooks.

A webhook whose signature holds is always answered 200, also where its content is of no use: else
its sender would try again for days. What cannot be used is kept as a dead letter with the reason.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from time import monotonic
from typing import NamedTuple
from uuid import uuid4

from starlette.types import Receive, Scope

from services.ingest.api.delivery import Delivery
from services.ingest.api.replies import JSON, Reply, encode
from services.ingest.api.requests import SENDERS, Headers, Held, Requests, query_key
from services.ingest.model import limits, signatures
from services.ingest.model import webhooks as webhook_form
from services.ingest.model.intake import Intake
from services.ingest.model.segment import Reception
from services.ingest.model.signatures import InvalidSignature
from services.ingest.model.webhooks import Taken
from services.ingest.settings import IngestSettings
from services.ingest.store import workspaces
from shared import auth, telemetry
from shared.clock import Clock
from shared.db import Database

PREFIX = "/webhooks/"


class WebhookSender(StrEnum):
    """Whose webhooks are taken; also the kind of their secrets, and their events' source."""

    STRIPE = "stripe"
    STANDARD = "standard"

    @property
    def form(self) -> str:
        """The form of its webhooks, for people."""
        return "Stripe" if self is WebhookSender.STRIPE else "Standard Webhooks"

    @property
    def route(self) -> str:
        """The path, without a key."""
        return f"{PREFIX}{self}"


class _Secrets(NamedTuple):
    until: float
    secrets: Sequence[str]


def sender_of(path: str) -> WebhookSender | None:
    """Whose webhooks come by this path: the sender's own, or with a key behind it."""
    if not path.startswith(PREFIX):
        return None
    name, _, key = path.removeprefix(PREFIX).partition("/")
    if "/" in key.removesuffix("/"):
        return None
    return next((sender for sender in WebhookSender if sender.value == name), None)


class Webhooks:
    """Takes webhooks, one event each."""

    def __init__(
        self,
        requests: Requests,
        settings: IngestSettings,
        database: Database,
        delivery: Delivery,
        clock: Clock,
    ) -> None:
        self._requests = requests
        self._cache_seconds = settings.key_cache_seconds
        self._database = database
        self._delivery = delivery
        self._clock = clock
        self._secrets: dict[tuple[str, WebhookSender], _Secrets] = {}

    async def take(self, webhook: WebhookSender, scope: Scope, receive: Receive) -> Reply:
        """The reply to one webhook. Raises InvalidSignature, MainstayError."""
        headers = dict(scope["headers"])
        sender = await self._requests.sender(_key(scope))
        workspace = sender.caller.workspace
        received_at = self._clock()
        held = Held(self._requests)
        try:
            body = await self._requests.raw_body(
                headers, receive, limit_bytes=limits.BODY_BYTES, held=held
            )
            await self._verify(webhook, workspace, headers, body, received_at)
            reception = Reception(
                workspace=workspace,
                source=webhook.value,
                received_at=received_at,
                traceparent=headers.get(b"traceparent", b"").decode("latin-1"),
                dialect=webhook.value,
            )
            taken = _taken(webhook, headers, body, reception)
            return await self._delivered(taken, reception, sender.caller.key_id)
        finally:
            held.release()

    async def _delivered(self, taken: Taken, reception: Reception, key_id: str) -> Reply:
        refused = [] if taken.refused is None else [taken.refused]
        intake = Intake(list(enumerate(taken.stamped)), refused, [])
        acks, repeats = self._delivery.hand_over(intake, reception, key_id)
        await self._delivery.stand(acks)
        _count(reception.source, taken, repeats)
        reply = {
            "success": True,
            "message_id": taken.message_id,
            "status": "accepted" if taken.refused is None else "rejected",
        }
        if taken.refused is not None:
            reply |= {"code": taken.refused.code, "message": taken.refused.message}
        return Reply(HTTPStatus.OK, encode(reply), JSON)

    # --- secrets ---

    async def _verify(
        self,
        webhook: WebhookSender,
        workspace: str,
        headers: Headers,
        body: bytes,
        now: datetime,
    ) -> None:
        """Raise InvalidSignature unless one of the workspace's secrets has signed the body."""
        known = self._secrets.get((workspace, webhook))
        if known is not None and known.until > monotonic():
            try:
                _check(webhook, headers, body, known.secrets, now)
            except InvalidSignature:
                pass  # a secret that was added a moment ago counts at once
            else:
                return
        async with self._database.transaction() as tx:
            secrets = await workspaces.list_webhook_secrets(tx, workspace, webhook.value)
        if len(self._secrets) >= SENDERS:
            self._secrets.clear()
        self._secrets[workspace, webhook] = _Secrets(monotonic() + self._cache_seconds, secrets)
        _check(webhook, headers, body, secrets, now)


def _key(scope: Scope) -> str:
    """The key behind the sender's path, else in the query. Raises MissingKey."""
    _, _, behind = scope["path"].removeprefix(PREFIX).partition("/")
    key = behind.strip("/") or query_key(scope, "key")
    if not key:
        raise auth.MissingKey("send the write key in the address: `?key=<key>`, or `/<key>`")
    return key


def _check(
    webhook: WebhookSender,
    headers: Headers,
    body: bytes,
    secrets: Sequence[str],
    now: datetime,
) -> None:
    if webhook is WebhookSender.STRIPE:
        signatures.check_stripe(_header(headers, b"stripe-signature"), body, secrets, now=now)
        return
    signatures.check_standard(
        _header(headers, b"webhook-id"),
        _header(headers, b"webhook-timestamp"),
        _header(headers, b"webhook-signature"),
        body,
        secrets,
        now=now,
    )


def _taken(webhook: WebhookSender, headers: Headers, body: bytes, reception: Reception) -> Taken:
    """What the verified body becomes."""
    if webhook is WebhookSender.STRIPE:
        return webhook_form.of_stripe(body, reception, new_id=_new_id)
    return webhook_form.of_standard(
        body,
        reception,
        message_id=_header(headers, b"webhook-id"),
        sent_at=datetime.fromtimestamp(int(_header(headers, b"webhook-timestamp")), UTC),
        new_id=_new_id,
    )


def _header(headers: Headers, name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1").strip()


def _new_id() -> str:
    return str(uuid4())


def _count(source: str, taken: Taken, repeats: int) -> None:
    accepted = len(taken.stamped) - repeats
    refused = 0 if taken.refused is None else 1
    telemetry.INGEST_ACKNOWLEDGED.inc(accepted + refused)
    for outcome, count in (("accepted", accepted), ("duplicate", repeats), ("rejected", refused)):
        if count:
            telemetry.INGEST_EVENTS.labels(source, outcome).inc(count)
    if taken.refused is not None:
        telemetry.INGEST_REJECTED.labels(taken.refused.code).inc()
