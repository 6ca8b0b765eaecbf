"""What metrics is told at its start. Environment variables begin with METRICS_."""

from pydantic import AliasChoices, Field, SecretStr
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
