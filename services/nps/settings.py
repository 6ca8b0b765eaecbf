"""What nps is told at its start. Environment variables begin with NPS_."""

from pydantic import AliasChoices, Field, PositiveInt, SecretStr
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
    public_url: str = Field(
        default="http://127.0.0.1:8004",
        description="How people reach this service: what the links in their mails begin with.",
    )
    link_days: PositiveInt = Field(
        default=30,
        description="How long a link is open that names no end of its own, and how long after its"
        " end a late answer is still kept, days.",
    )
