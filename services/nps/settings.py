"""What nps is told at its start. Environment variables begin with NPS_."""

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.settings import StoredServiceSettings


class NpsSettings(StoredServiceSettings):
    """The settings of nps."""

    model_config = SettingsConfigDict(env_prefix="NPS_", frozen=True, extra="ignore")

    port: int = Field(
        default=8004, ge=0, le=65535, description="Port to listen on; 0 lets the kernel choose."
    )
    database_url: SecretStr = Field(
        validation_alias=AliasChoices("DATABASE_URL_NPS"),
        description="postgresql://role:password@host:port/database",
    )
