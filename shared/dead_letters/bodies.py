"""What the routes of dead letters are asked with, and what they answer."""

from base64 import b64encode
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.bus import tables
from shared.bus.tables import LetterState
from shared.bus.verdicts import Outcome, Verdict

LETTER = "5d0f6c1e-6a53-5c1b-9a3e-0f7f4f1f8a10"  # in examples
NO_NUL = r"^[^\x00]*$"  # PostgreSQL keeps no such text, so nothing is found by it


class DeadLetterView(BaseModel):
    """A record that a lane gave up, with the reason."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": LETTER,
                    "state": "open",
                    "event_id": "default 3ca6f0aa",
                    "event_type": "usage.tracked.v1",
                    "lane": "live",
                    "topic": "ingest.usage.v1",
                    "partition": 3,
                    "offset": 1199,
                    "key": "w1/acme",
                    "headers": [["content-type", "application/cloudevents+json"]],
                    "code": "schema_violation",
                    "message": "Expected `str`, got `int` - at `$.event`",
                    "error_class": None,
                    "code_version": "9c0d5be2a1f4",
                    "behind": None,
                    "bytes": "eyJpZCI6MX0=",
                    "size_bytes": 8,
                    "appended_at": "2026-11-24T09:00:00.123Z",
                    "dead_at": "2026-11-24T09:00:00.410Z",
                    "last_tried_at": None,
                    "redriven_at": None,
                    "redriven_by": None,
                    "discarded_at": None,
                    "discarded_by": None,
                }
            ]
        }
    )

    id: str = Field(description="Its id; the same however often the record is given up.")
    state: LetterState = Field(description="Whether it was decided about, and how.")
    event_id: str | None = Field(description="Id of the event; null where it could not be read.")
    event_type: str | None = Field(
        description="Type of the event; null where it could not be read.",
        examples=["usage.tracked.v1"],
    )
    lane: str = Field(description="The consumer loop that gave it up.", examples=["live"])
    topic: str = Field(description="Kafka topic.", examples=["ingest.usage.v1"])
    partition: int = Field(description="Partition of the topic.")
    offset: int = Field(description="Place in the partition.")
    key: str | None = Field(description="Record key: workspace and account.", examples=["w1/acme"])
    headers: list[tuple[str, str | None]] = Field(
        description="Record headers; the value is null where it is no text."
    )
    code: str = Field(
        description="Stable reason; `parked` where it only waits behind another of its key.",
        examples=["schema_violation"],
    )
    message: str = Field(description="What was wrong, for people.")
    error_class: str | None = Field(description="What the code raised; null where it did not.")
    code_version: str | None = Field(description="The code that gave it up.")
    behind: str | None = Field(
        description="The dead letter of its key that it waits for, in a lane that parks."
    )
    bytes: str | None = Field(
        description="The record as it stands in Kafka, base64. In a list null above 32 KiB."
    )
    size_bytes: int | None = Field(description="Size of the record's value.")
    appended_at: datetime | None = Field(description="When the broker took it.")
    dead_at: datetime = Field(description="When it was given up.")
    last_tried_at: datetime | None = Field(description="When a redrive last tried it.")
    redriven_at: datetime | None = Field(description="When it was applied after all.")
    redriven_by: str | None = Field(
        description="Key id of whoever redrove it, or an operator's name."
    )
    discarded_at: datetime | None = Field(description="When it was discarded.")
    discarded_by: str | None = Field(
        description="Key id of whoever discarded it, or an operator's name."
    )


class VerdictView(BaseModel):
    """What a redrive made of a dead letter, or would make of it."""

    id: str = Field(description="Id of the dead letter.")
    outcome: Outcome = Field(
        description="`duplicate`: its event was applied meanwhile, so nothing was left to do."
        " `refused`: it was not even tried."
    )
    code: str | None = Field(
        default=None,
        description="Stable reason of still_broken and refused.",
        examples=["earlier_letter_open"],
    )
    message: str | None = Field(default=None, description="That reason for people.")


class RedrivenView(VerdictView):
    """The answer about one dead letter."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": LETTER,
                    "outcome": "applied",
                    "code": None,
                    "message": None,
                    "status": "applied",
                }
            ]
        }
    )

    status: Outcome = Field(description="The same as `outcome`.")


class RunView(BaseModel):
    """What became of the dead letters that were meant, in the order of the log."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {"id": LETTER, "outcome": "applied", "code": None, "message": None},
                        {
                            "id": "0b7d4c39-8d56-5c0e-8a4b-2b6a3f9e1c77",
                            "outcome": "still_broken",
                            "code": "schema_violation",
                            "message": "Expected `str`, got `int` - at `$.event`",
                        },
                    ],
                    "more": False,
                    "next_cursor": None,
                }
            ]
        }
    )

    items: list[VerdictView] = Field(description="One for each letter that was looked at.")
    more: bool = Field(description="Whether more are meant than this answer speaks of.")
    next_cursor: str | None = Field(
        description="Send it as `cursor` to go on behind the last item; null at the end."
    )


class RedriveBody(BaseModel):
    """Which open dead letters are meant: those that meet everything given."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"code": "schema_violation", "from": "2026-11-01T00:00:00Z", "dry_run": True}
            ]
        },
    )

    code: str | None = Field(default=None, description="Reason.", pattern=NO_NUL, max_length=200)
    lane: str | None = Field(default=None, description="Lane.", pattern=NO_NUL, max_length=200)
    type: str | None = Field(
        default=None, description="Type of the event.", pattern=NO_NUL, max_length=200
    )
    from_: str | None = Field(
        default=None, alias="from", max_length=40, description="Given up at or after, RFC 3339."
    )
    to: str | None = Field(default=None, max_length=40, description="Given up before, RFC 3339.")
    all: bool = Field(default=False, description="Has to be true where nothing else is given.")
    dry_run: bool = Field(
        default=False,
        description="Only say what would happen: nothing is written or published. Each letter meets"
        " the state that those before it in this answer would leave.",
    )
    limit: int = Field(default=100, ge=1, le=500, description="Most letters to look at.")
    cursor: str | None = Field(
        default=None, max_length=512, description="`next_cursor` of the answer before."
    )


class DiscardBody(BaseModel):
    """Why a record shall never be applied."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "sent by a test"}]}
    )

    reason: str = Field(
        min_length=1, max_length=500, pattern=NO_NUL, description="For the audit, in words."
    )


class DiscardedView(BaseModel):
    """A dead letter was discarded."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": LETTER, "state": "discarded"}]}
    )

    id: str = Field(description="Id of the dead letter.")
    state: LetterState = Field(description="discarded.")


class AuditView(BaseModel):
    """Somebody redrove or discarded a dead letter."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "at": "2026-11-24T10:00:00Z",
                    "by": "k-7",
                    "action": "redrive",
                    "dead_letter": LETTER,
                    "outcome": "applied",
                    "message": None,
                }
            ]
        }
    )

    at: datetime = Field(description="When.")
    by: str = Field(description="Key id, or an operator's name.")
    action: Literal["redrive", "discard"] = Field(description="What was asked for.")
    dead_letter: str = Field(description="Id of the dead letter.")
    outcome: str = Field(
        description="applied, duplicate, still_broken or discarded.", examples=["applied"]
    )
    message: str | None = Field(description="Why it is still broken, or why it was discarded.")


def letter_view(row: Any) -> DeadLetterView:
    """A letter as a query answered it."""
    return DeadLetterView(
        id=str(row.id),
        state=tables.state_of(row),
        event_id=row.event_id,
        event_type=row.event_type,
        lane=row.lane,
        topic=row.topic,
        partition=row.part,
        offset=row.offset,
        key=None if row.key is None else bytes(row.key).decode("utf-8", "replace"),
        headers=[(name, said) for name, said, *_ in row.headers],
        code=row.code,
        message=row.message,
        error_class=row.error_class,
        code_version=row.code_version,
        behind=None if row.behind is None else str(row.behind),
        bytes=None if row.value is None else b64encode(row.value).decode(),
        size_bytes=row.size_bytes,
        appended_at=row.appended_at,
        dead_at=row.dead_at,
        last_tried_at=row.last_tried_at,
        redriven_at=row.redriven_at,
        redriven_by=row.redriven_by,
        discarded_at=row.discarded_at,
        discarded_by=row.discarded_by,
    )


def verdict_view(verdict: Verdict) -> VerdictView:
    """What became of one of several letters."""
    return VerdictView(
        id=verdict.id, outcome=verdict.outcome, code=verdict.code, message=verdict.message
    )


def redriven_view(verdict: Verdict) -> RedrivenView:
    """What became of the letter that was asked about."""
    return RedrivenView(
        id=verdict.id,
        outcome=verdict.outcome,
        code=verdict.code,
        message=verdict.message,
        status=verdict.outcome,
    )


def audit_view(row: Any) -> AuditView:
    """An entry of the audit as a query answered it."""
    return AuditView(
        at=row.at,
        by=row.by,
        action=row.action,
        dead_letter=str(row.dead_letter),
        outcome=row.outcome,
        message=row.message,
    )
