"""What cadence is told at its start. Environment variables begin with CADENCE_."""

from datetime import time

from pydantic import (
    AliasChoices,
    BaseModel,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SecretStr,
)
from pydantic_settings import SettingsConfigDict

from shared.settings import StoredServiceSettings

# Links of the shipped templates that a workspace names in its `words`.
LINKS = ("guide_url", "content_url", "help_url", "billing_url", "contract_url", "plan_url")


class SmtpProvider(BaseModel):
    """One way into the mail system."""

    name: str = Field(description="Named on every message that it took.")
    host: str = Field(description="Where it is.")
    port: int = Field(ge=1, le=65535, description="Its port.")
    username: str | None = Field(default=None, description="None: no authentication.")
    password: SecretStr | None = Field(default=None, description="Of that user.")
    use_tls: bool = Field(default=False, description="TLS from the first byte.")
    start_tls: bool | None = Field(default=None, description="None: where it is offered.")
    connections: PositiveInt = Field(default=16, description="Most connections of a process.")
    per_second: PositiveFloat = Field(default=500.0, description="Most letters of a process.")


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
    secrets: SecretStr = Field(
        min_length=16,
        description="Secrets behind public addresses and Message-IDs, separated by commas; the"
        " first names things and must stay, the last signs. Add one behind to replace the last.",
    )
    public_url: str = Field(
        default="http://127.0.0.1:8003",
        pattern=r"^https?://[^\s/]+$",
        description="Where people's mail programs reach this service; no slash at the end.",
    )
    smtp_host: str = Field(
        default="127.0.0.1",
        validation_alias=AliasChoices("SMTP_HOST"),
        description="The mail server, where smtp_providers names none.",
    )
    smtp_port: int = Field(
        default=8025,
        validation_alias=AliasChoices("SMTP_PORT"),
        description="Its port.",
    )
    smtp_providers: list[SmtpProvider] = Field(
        default_factory=list,
        description="Mail servers in the order in which they are asked, a JSON list. The next one"
        " only after a definite refusal.",
    )
    smtp_connect_seconds: PositiveFloat = Field(
        default=10.0, description="Longest wait for a connection."
    )
    smtp_command_seconds: PositiveFloat = Field(
        default=20.0, description="Longest wait for the reply to a command before the letter."
    )
    smtp_letter_seconds: PositiveFloat = Field(
        default=60.0,
        description="Longest wait for the reply to a letter; what takes longer is uncertain.",
    )
    sender_name: str = Field(default="Mainstay", description="As whom letters are sent.")
    mail_domain: str = Field(
        default="mainstay.localhost",
        description="Behind Message-IDs and list ids; what DKIM vouches for.",
    )
    list_address: str = Field(
        default="news@mainstay.localhost",
        description="From address of what people can unsubscribe from.",
    )
    notice_address: str = Field(
        default="notices@mainstay.localhost",
        description="From address of renewal and security notices: another one, so that the"
        " reputation of lists does not weigh on them.",
    )
    bounce_address: str = Field(
        default="bounces@mainstay.localhost", description="The envelope's sender."
    )
    reply_address: str | None = Field(default=None, description="Where replies go; None: to From.")
    dkim_selector: str = Field(default="mainstay", description="Name of the key in the DNS.")
    dkim_key: SecretStr | None = Field(
        default=None, description="RSA key as PEM; None: the mail server signs."
    )
    messages_per_second: PositiveFloat = Field(
        default=500.0, description="Most messages a second, all processes together."
    )
    domain_per_second: PositiveFloat = Field(
        default=100.0, description="Most mails a second to one domain, all processes together."
    )
    cap_per_day: PositiveInt | None = Field(
        default=2, description="Most messages to a person on a civil day of theirs; none: any."
    )
    cap_per_week: PositiveInt | None = Field(
        default=5, description="Most messages to a person in an ISO week of theirs; none: any."
    )
    cap_spacing_hours: NonNegativeFloat = Field(
        default=4.0, description="Least hours between two messages to a person."
    )
    quiet_from: time = Field(
        default=time(22), description="Slack is quiet from then on, in the person's zone."
    )
    quiet_to: time = Field(
        default=time(7), description="Until then; the same as quiet_from: never quiet."
    )
    handover_at_once: PositiveInt = Field(
        default=200, description="Most messages under way in a process."
    )
    lease_seconds: PositiveFloat = Field(
        default=240.0,
        description="What a process that died had claimed returns after so long.",
    )
    retry_waits_seconds: list[PositiveFloat] = Field(
        default=[60.0, 300.0, 1800.0, 7200.0],
        description="Waits before a message that was refused for now is tried again, in order;"
        " after the last one it is rejected.",
    )
    soft_bounce_days: PositiveFloat = Field(
        default=3.0, description="An address that bounced for now is left alone for so long."
    )
    hit_settle_seconds: PositiveFloat = Field(
        default=10.0,
        description="Who opened or clicked is decided so long after, when all that came with it"
        " is in.",
    )

    home_url: str = Field(
        default="http://127.0.0.1:8003",
        pattern=r"^https?://",
        description="Where links of the shipped templates lead while a workspace names no page.",
    )

    @property
    def words(self) -> dict[str, str]:
        """What templates may say where a workspace says nothing else."""
        return dict.fromkeys(LINKS, self.home_url)

    @property
    def secret_list(self) -> list[str]:
        """The secrets, the oldest first."""
        return [part for part in self.secrets.get_secret_value().split(",") if part]
