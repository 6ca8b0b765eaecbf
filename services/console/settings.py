"""What console is told at its start. Its own environment variables begin with CONSOLE_."""

from pydantic import AliasChoices, Field, PositiveFloat, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class ConsoleSettings(ServiceSettings):
    """The settings of console."""

    model_config = SettingsConfigDict(env_prefix="CONSOLE_", frozen=True, extra="ignore")

    port: int = Field(
        default=8000, ge=0, le=65535, description="Port to listen on; 0 lets the kernel choose."
    )
    health_url: str = Field(
        default="http://127.0.0.1:8002",
        validation_alias=AliasChoices("HEALTH_URL"),
        description="Where health answers.",
    )
    default_key: SecretStr | None = Field(
        default=None,
        description="Read key for visitors who have not signed in: for a laptop or a network in"
        " which everybody may see everything. None: everybody signs in.",
    )
    session_secret: SecretStr | None = Field(
        default=None,
        description="Seals the session cookies; the same for all replicas. None: drawn at the"
        " start, so that a restart signs everybody out.",
    )
    session_hours: PositiveFloat = Field(
        default=12.0, description="How long a sign-in lasts, hours."
    )
    secure_cookies: bool = Field(
        default=False, description="Send the session cookie over https only: true behind TLS."
    )
    answer_seconds: PositiveFloat = Field(
        default=10.0, description="Longest wait for another service's answer, seconds."
    )

    @field_validator("default_key", "session_secret", mode="after")
    @classmethod
    def _empty_is_none(cls, secret: SecretStr | None) -> SecretStr | None:
        """A variable that is set to nothing, as Compose does, counts as not set."""
        return secret if secret and secret.get_secret_value() else None
