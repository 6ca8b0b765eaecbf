"""What ingest is told at its start. Environment variables begin with INGEST_."""

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
        default=5.0, description="Longest a request waits for Kafka's acks, then 503, seconds."
    )
    ack_seconds_when_down: PositiveFloat = Field(
        default=2.0, description="The same while Kafka is known not to answer, seconds."
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
