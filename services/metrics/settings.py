"""What metrics is told at its start. Environment variables begin with METRICS_."""

from pydantic import AliasChoices, Field, NonNegativeFloat, PositiveFloat, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.settings import StoredServiceSettings


class MetricsSettings(StoredServiceSettings):
    """The settings of metrics."""

    model_config = SettingsConfigDict(env_prefix="METRICS_", frozen=True, extra="ignore")

    port: int = Field(
        default=8005, ge=0, le=65535, description="Port to listen on; 0 lets the kernel choose."
    )
    database_url: SecretStr = Field(
        validation_alias=AliasChoices("DATABASE_URL_METRICS"),
        description="postgresql://role:password@host:port/database",
    )
    clock_skew_seconds: NonNegativeFloat = Field(
        default=1.0,
        description="How far the clocks of Kafka's brokers and of the database may differ:"
        " `known_until` stays so far behind, seconds.",
    )
    close_after_hours: NonNegativeFloat = Field(
        default=24.0,
        description="How long after its end a month is closed: late facts after that are listed"
        " as restatements, hours.",
    )
    close_every_seconds: PositiveFloat = Field(
        default=10.0,
        description="How often it is looked whether a month can be closed, of one workspace at a"
        " time, seconds.",
    )
