"""Settings that every service has. A service's own class adds its fields and its prefix."""

from pydantic import AliasChoices, Field, PositiveFloat, PositiveInt, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class KafkaSettings(BaseSettings):
    """Where Kafka is, and the bounds within which we read from it."""

    model_config = SettingsConfigDict(env_prefix="KAFKA_", frozen=True)

    bootstrap: str = Field(
        default="127.0.0.1:19092",
        description="Kafka brokers, host:port, separated by commas.",
    )
    group_suffix: str = Field(
        default="",
        description="Sets the consumer groups of two installations apart that read the same topics"
        " into databases of their own: each has to see every record.",
    )
    idempotence: bool = Field(
        default=False,
        description="Producers number their batches. Not needed for order here, and a partition"
        " without leader then costs a rebuilt producer; ids absorb repeats either way.",
    )
    batch_records: PositiveInt = Field(
        default=20_000, description="Most records applied in one transaction."
    )
    batch_wait_ms: PositiveInt = Field(
        default=200, description="Longest wait for the first record of a batch, milliseconds."
    )
    fetch_bytes: PositiveInt = Field(
        default=8 * 1024 * 1024, description="Most bytes fetched at once, all partitions together."
    )
    batch_bytes: PositiveInt = Field(
        default=32 * 1024 * 1024,
        description="Most bytes of records applied in one transaction, decompressed.",
    )
    dedup_cache_bytes: PositiveInt = Field(
        default=256 * 1024 * 1024,
        description="Most bytes of event ids that a lane remembers between two batches, 16 an id;"
        " ids beyond that are read from the database again.",
    )
    dead_letters_in_a_row: PositiveInt = Field(
        default=100,
        description="So many dead letters in a row in a lane stop it: a bad deploy must not drain.",
    )
    watchdog_seconds: PositiveFloat = Field(
        default=60.0,
        description="A lane in which records wait and no offset moves for so long ends the"
        " process while Kafka and the database answer, seconds.",
    )


class DatabaseSettings(BaseSettings):
    """The bounds of a service's own database. Its address is declared by each service."""

    model_config = SettingsConfigDict(env_prefix="DATABASE_", frozen=True)

    pool_size: PositiveInt = Field(default=8, description="Connections kept open.")
    pool_wait_seconds: PositiveFloat = Field(
        default=2.0, description="Longest wait for a free connection, then 503, seconds."
    )
    statement_timeout_seconds: PositiveFloat = Field(
        default=10.0, description="Longest a statement may run, seconds."
    )
    lock_timeout_seconds: PositiveFloat = Field(
        default=2.0, description="Longest a statement may wait for a lock, seconds."
    )


class ServiceSettings(BaseSettings):
    """What every service is told at its start. All from the environment, nothing from code."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(ge=0, le=65535, description="Port to listen on; 0 lets the kernel choose.")
    log_level: str = Field(
        default="info",
        validation_alias=AliasChoices("LOG_LEVEL"),
        description="Least level that is logged: debug, info, warning or error.",
    )
    stop_seconds: PositiveFloat = Field(
        default=18.0, description="A stop that lasts longer is made a hard exit, seconds."
    )
    loop_stall_seconds: PositiveFloat = Field(
        default=10.0,
        description="An event loop that is blocked for so long ends the process, seconds.",
    )
    key_cache_seconds: PositiveFloat = Field(
        default=10.0,
        description="How long a key's answer is remembered; a revoked one lives on so long.",
    )
    kafka: KafkaSettings = Field(default_factory=KafkaSettings, description="Kafka.")
    database: DatabaseSettings = Field(
        default_factory=DatabaseSettings, description="Database bounds."
    )


class StoredServiceSettings(ServiceSettings):
    """Settings of a service that keeps a database of its own."""

    database_url: SecretStr = Field(description="postgresql://role:password@host:port/database")
