"""What cadence is told at its start. Environment variables begin with CADENCE_."""

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.settings import StoredServiceSettings


class CadenceSettings(StoredServiceSettings):
    """The settings of cadence."""

    model_config = SettingsConfigDict(env_prefix="CADENCE_", frozen=True, extra="ignore")

    port: int = Field(
        default=8003, ge=0, le=65535, description="Port to listen on; 0 lets the kernel choose."
    )
    database_url: SecretStr = Field(
        validation_alias=AliasChoices("DATABASE_URL_CADENCE"),
        description="postgresql://role:password@host:port/database",
    )
