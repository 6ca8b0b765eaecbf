"""What ingest is told at its start. Environment variables begin with INGEST_."""

from pathlib import Path

from pydantic import AliasChoices, Field, PositiveFloat, PositiveInt, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.settings import StoredServiceSettings


class IngestSettings(StoredServiceSettings):
    """The settings of ingest."""

    model_config = SettingsConfigDict(env_prefix="INGEST_", frozen=True, extra="ignore")

    port: int = Field(
        default=8001, ge=0, le=65535, description="Port to listen on; 0 lets the kernel choose."
    )
    database_url: SecretStr = Field(
        validation_alias=AliasChoices("DATABASE_URL_INGEST"),
        description="postgresql://role:password@host:port/database",
    )
    operator_key: SecretStr = Field(
        min_length=1,
        validation_alias=AliasChoices("OPERATOR_KEY"),
        description="The key that may create workspaces, and nothing else.",
    )
    ack_seconds: PositiveFloat = Field(
        default=5.0,
        description="Longest wait for Kafka's ack, seconds; then the spill takes the events.",
    )
    ack_seconds_without_spill: PositiveFloat = Field(
        default=1.5,
        description="The same while no spill can take the events; then 503.",
    )
    spill_directory: Path | None = Field(
        default=None,
        description="Where events stand while Kafka cannot take them, on a disk that outlives the"
        " process; of one process alone. Without it ingest answers 503 then.",
    )
    spill_bytes: PositiveInt = Field(
        default=1024 * 1024 * 1024,
        description="Most bytes that the spill takes; not ready from 80 % on, 503 when full.",
    )
    audit_seconds: PositiveFloat = Field(
        default=5.0,
        description="How often log ends and spill files are compared with what was acknowledged.",
    )
    retry_after_seconds: PositiveInt = Field(
        default=2, description="What a 503 tells clients to wait, seconds."
    )
    inflight_bytes: PositiveInt = Field(
        default=64 * 1024 * 1024,
        description="Most bytes held at once for bodies and for events without ack, then 503.",
    )
    recent_ids: PositiveInt = Field(
        default=250_000,
        description="Event ids remembered in each of two generations, to drop repeats at once.",
    )
    receipt_days: PositiveInt = Field(default=30, description="How long receipts are kept, days.")
    rejected_days: PositiveInt = Field(
        default=60, description="How long refused events are kept, days."
    )
