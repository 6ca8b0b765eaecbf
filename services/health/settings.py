"""What health is told at its start."""

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.settings import StoredServiceSettings


class HealthSettings(StoredServiceSettings):
    """Settings of health: those of every service that keeps a database, under HEALTH_."""

    model_config = SettingsConfigDict(env_prefix="HEALTH_", frozen=True, extra="ignore")

    port: int = Field(default=8002, ge=0, le=65535, description="Port to listen on.")
    database_url: SecretStr = Field(
        validation_alias=AliasChoices("DATABASE_URL_HEALTH"),
        description="postgresql://role:password@host:port/database",
    )
