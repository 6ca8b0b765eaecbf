"""What the edge is sent and what it answers, as its documentation shows them."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


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


class SentFact(BaseModel):
    """One billing fact. Its further fields depend on its type: the revenue ledger's page has them.

    Amounts are decimal text in minor units, never a number with a point.
    """

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "subscription_state",
                    "id": "sub-7 2026-01-05",
                    "effective_at": "2026-01-05T00:00:00Z",
                    "account": "acme-inc",
                    "subscription": "sub-7",
                    "status": "active",
                    "currency": "KRW",
                    "items": [
                        {
                            "price": "team-monthly",
                            "interval": "month",
                            "quantity": 40,
                            "unit_amount": "11000",
                        }
                    ],
                },
                {
                    "type": "fx_rate",
                    "id": "usd 2026-01",
                    "currency": "USD",
                    "month": "2026-01",
                    "rate": "1450.5",
                },
                {"type": "void", "id": "void-1", "target": "sub-7 2026-01-05"},
            ]
        },
    )

    type: Literal[
        "subscription_state",
        "fx_rate",
        "void",
        "sales_and_marketing",
        "provider_object",
        "acquisition_cost",
        "nps_response",
        "refund",
        "credit_note",
        "invoice_item",
        "usage",
    ] = Field(description="What kind of fact it is.")
    id: str = Field(description="Your id; with `source` it is the fact's identity.")
    source: str = Field(default="native", description="Where it comes from.")
    effective_at: datetime | None = Field(
        default=None, description="From when on it is true; required of a subscription_state."
    )
    recorded_at: datetime | None = Field(
        default=None,
        description="When it was first known: of a migration, and only with a manage key.",
    )
    account: str | None = Field(default=None, description="The account it is about.")


class SentFacts(BaseModel):
    """Up to 500 facts, in any order."""

    facts: list[SentFact] = Field(description="The facts.")


class FactResult(BaseModel):
    """What became of one fact."""

    id: str | None = Field(description="The fact's id; null where it has none that can be read.")
    message_id: str = Field(description="Ask for its receipt by this.")
    status: Literal["accepted", "rejected", "spilled"] = Field(
        description="accepted: in Kafka; spilled: on disk, soon in Kafka; rejected: see `code`."
    )
    code: str | None = Field(
        default=None, description="Stable reason.", examples=["negative_quantity"]
    )
    message: str | None = Field(default=None, description="What is wrong, for people.")
    topic: str = Field(description="Kafka topic.")
    partition: int = Field(description="Partition of the topic.")
    offset: int | None = Field(description="Place in it; null while it waits in the spill.")


class FactResults(BaseModel):
    """One result per fact, in the order sent."""

    results: list[FactResult] = Field(description="What became of each.")


class WebhookTaken(BaseModel):
    """What became of a webhook whose signature holds."""

    success: bool = Field(description="True: it need not be sent again.")
    message_id: str = Field(description="Ask for its receipt by this: the sender's own id.")
    status: Literal["accepted", "rejected"] = Field(
        description="rejected: of no use, kept as a dead letter with the reason."
    )
    code: str | None = Field(default=None, description="Stable reason.", examples=["unused_type"])
    message: str | None = Field(default=None, description="What is wrong, for people.")
