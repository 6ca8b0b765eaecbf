"""Contracts of ingest: use of the product, people and accounts, the workspace and its keys."""

from datetime import datetime
from typing import Annotated, Any, ClassVar

from msgspec import UNSET, Meta, Raw, UnsetType

from shared.events.base import Event, Topic

ACCOUNT_KEY = "<workspace>/<account>"
PERSON_KEY = "<workspace>/<account>, else <workspace>/~<user or anonymous id>"
USAGE_PARTITIONS = 12  # the usage lanes share key and count, so that an id meets its repeat

USAGE = Topic(
    name="ingest.usage.v1",
    producer="ingest",
    description="Use of the product as it happens.",
    key=ACCOUNT_KEY,
    partitions=USAGE_PARTITIONS,
)
USAGE_HISTORY = Topic(
    name="ingest.usage.history.v1",
    producer="ingest",
    description="Use of the product from /v1/import. Read only while the live lane has no lag.",
    key=ACCOUNT_KEY,
    partitions=USAGE_PARTITIONS,
)
USAGE_OVERFLOW = Topic(
    name="ingest.usage.overflow.v1",
    producer="ingest",
    description="Use by an account over its burst, so that others in its partition go on.",
    key=ACCOUNT_KEY,
    partitions=USAGE_PARTITIONS,
)
UNATTRIBUTED = Topic(
    name="ingest.unattributed.v1",
    producer="ingest",
    description="Use by people whose account is not known yet.",
    key="<workspace>/~<user or anonymous id>",
    partitions=12,
)
ACCOUNTS = Topic(
    name="ingest.accounts.v1",
    producer="ingest",
    description="What is said of people and accounts.",
    key=PERSON_KEY,
    partitions=12,
)
REJECTED = Topic(
    name="ingest.rejected.v1",
    producer="ingest",
    description="Events that were refused, with their untouched bytes and the reason.",
    key="<workspace>/",
    partitions=3,
    retention_days=60,
)
WORKSPACES = Topic(
    name="ingest.workspaces.v1",
    producer="ingest",
    description="The settings of each workspace; the latest record of a key is all there is.",
    key="<workspace>/",
    partitions=1,
    compact=True,
)
KEYS = Topic(
    name="ingest.keys.v1",
    producer="ingest",
    description="API keys by hash; the latest record of a key id is all there is.",
    key="<workspace>/<key id>",
    partitions=1,
    compact=True,
)

User = Annotated[str | None, Meta(description="The person's id as sent; absent where none was.")]
Anonymous = Annotated[str | None, Meta(description="The visitor's id before sign-up, as sent.")]
Personal = Annotated[
    Raw | UnsetType,
    Meta(description="The only place for e-mail, name, phone, address and free text."),
]
AsSent = Annotated[Raw | UnsetType, Meta(description="A JSON object, byte for byte as sent.")]


class InboundEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What every event from outside may carry beside its own fields."""

    user: User = None
    anonymous: Anonymous = None
    personal: Personal = UNSET


class UsageTracked(InboundEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published for every track call: somebody used a feature of the product."""

    type: ClassVar[str] = "usage.tracked.v1"
    topic: ClassVar[Topic] = USAGE
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "user": "u-42",
            "event": "Report Exported",
            "feature": "reports",
            "properties": {"feature": "reports", "rows": 1200},
            "context": {"library": {"name": "analytics-python", "version": "2.4.0"}},
        },
    )

    event: Annotated[str, Meta(description="Name of what was done, as sent.")]
    feature: Annotated[str, Meta(description="properties.feature, else the event's name.")]
    properties: AsSent = UNSET
    context: AsSent = UNSET


class UsagePageViewed(InboundEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published for every page call: somebody looked at a page of the product."""

    type: ClassVar[str] = "usage.page_viewed.v1"
    topic: ClassVar[Topic] = USAGE
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "user": "u-42",
            "name": "Pricing",
            "feature": "Pricing",
            "properties": {"path": "/pricing"},
        },
    )

    name: str | None = None
    category: str | None = None
    feature: Annotated[
        str | None, Meta(description="properties.feature, else name, else the path.")
    ] = None
    properties: AsSent = UNSET
    context: AsSent = UNSET


class UsageScreenViewed(InboundEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published for every screen call: somebody looked at a screen of the app."""

    type: ClassVar[str] = "usage.screen_viewed.v1"
    topic: ClassVar[Topic] = USAGE
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"user": "u-42", "name": "Inbox", "feature": "Inbox"},
    )

    name: str | None = None
    category: str | None = None
    feature: str | None = None
    properties: AsSent = UNSET
    context: AsSent = UNSET


class UserIdentified(InboundEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published for every identify call: what is now known of a person."""

    type: ClassVar[str] = "user.identified.v1"
    topic: ClassVar[Topic] = ACCOUNTS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "user": "u-42",
            "role": "champion",
            "signed_up_at": "2026-01-05T09:00:00Z",
            "traits": {"role": "champion"},
            "personal": {"email": "ada@example.com"},
        },
    )

    signed_up_at: Annotated[datetime | None, Meta(description="When the person signed up.")] = None
    time_zone: Annotated[str | None, Meta(description="IANA zone of the person.")] = None
    zone_kind: Annotated[str | None, Meta(description="learned or moved")] = None
    locale: str | None = None
    role: Annotated[str | None, Meta(description="user, admin, champion or sponsor")] = None
    email_opt_out: bool | None = None
    channels: Annotated[list[str] | None, Meta(description="Preferred channels, best first.")] = (
        None
    )
    traits: AsSent = UNSET


class UserAliased(InboundEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published for every alias call: two ids are one person."""

    type: ClassVar[str] = "user.aliased.v1"
    topic: ClassVar[Topic] = ACCOUNTS
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({"user": "u-42", "previous_id": "anon-7"},)

    previous_id: str


class AccountUpserted(InboundEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published for every group call. Only the fields it names change; its user is a member."""

    type: ClassVar[str] = "account.upserted.v1"
    topic: ClassVar[Topic] = ACCOUNTS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "name": "Acme",
            "plan": "team",
            "seats": 40,
            "tier": "important",
            "traits": {"plan": "team"},
        },
    )

    name: str | None = None
    plan: str | None = None
    tier: Annotated[str | None, Meta(description="standard, important or most_important")] = None
    segment: str | None = None
    tags: list[str] | None = None
    industry: str | None = None
    owner: Annotated[str | None, Meta(description="Staff e-mail of the account's owner.")] = None
    seller: str | None = None
    parent: Annotated[str | None, Meta(description="Id of the parent account.")] = None
    icp_score: Annotated[float, Meta(ge=0, le=100, description="Fit, 0 to 100.")] | None = None
    seats: Annotated[int, Meta(ge=0, description="Seats paid for.")] | None = None
    pricing_model: Annotated[str | None, Meta(description="seat or value")] = None
    acquisition_channel: str | None = None
    lifecycle_stage: str | None = None
    time_zone: str | None = None
    locale: str | None = None
    signed_up_at: datetime | None = None
    integrations: int | None = None
    external_ids: Annotated[
        dict[str, str] | None, Meta(description="Ids elsewhere: stripe, crm.")
    ] = None
    synthetic: Annotated[
        bool | None, Meta(description="A walk-through account, kept out of every metric.")
    ] = None
    traits: AsSent = UNSET


class EventRejected(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published before the reply for every event that is refused one by one."""

    type: ClassVar[str] = "ingest.event_rejected.v1"
    topic: ClassVar[Topic] = REJECTED
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "code": "missing_event",
            "message": "a track call needs `event`",
            "dialect": "segment",
            "bytes": "eyJ0eXBlIjoidHJhY2sifQ==",
        },
    )

    code: Annotated[str, Meta(description="Stable reason.")]
    message: str
    dialect: Annotated[str, Meta(description="Form the event came in: segment, ...")]
    bytes: Annotated[str, Meta(description="The event as sent, base64.")]
    key_id: str | None = None
    messageid: str | None = None


class WorkspaceConfigured(Event, frozen=True, kw_only=True, omit_defaults=False):
    """Published when a workspace is created or changed: all its settings but secrets."""

    type: ClassVar[str] = "workspace.configured.v1"
    topic: ClassVar[Topic] = WORKSPACES
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "id": "acme",
            "name": "Acme",
            "time_zone": "Asia/Seoul",
            "reporting_currency": "KRW",
            "locale": "ko",
            "gross_margin": "0.8",
            "silence_days": 90,
            "event_mapping": {"Seat Added": "account.upserted"},
            "changed": ["name"],
        },
    )

    id: Annotated[str, Meta(description="Lower-case letters, digits and -, at most 63.")]
    name: str
    time_zone: Annotated[str, Meta(description="IANA zone.")]
    reporting_currency: Annotated[str, Meta(description="ISO 4217, upper case.")]
    locale: str
    gross_margin: Annotated[str | None, Meta(description="Share of revenue, 0 to 1.")] = None
    silence_days: Annotated[int, Meta(ge=1, description="H: the silence you care about, days.")] = (
        90
    )
    event_mapping: Annotated[dict[str, str], Meta(description="Sent name to native type.")] = {}
    changed: Annotated[list[str], Meta(description="Settings this change named.")] = []


class KeyIssued(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published when an API key is made. The key itself never travels, only its hash."""

    type: ClassVar[str] = "workspace.key_issued.v1"
    topic: ClassVar[Topic] = KEYS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "key_id": "k1",
            "prefix": "ms_write_k1",
            "sha256": "00",
            "scopes": ["write"],
            "source": "default",
        },
    )

    key_id: str
    prefix: Annotated[str, Meta(description="The part that may be shown.")]
    sha256: Annotated[str, Meta(description="Hex SHA-256 of the whole key.")]
    scopes: Annotated[list[str], Meta(description="write, read, manage")]
    source: Annotated[str, Meta(description="Label of the events sent with it.")]
    expires_at: datetime | None = None


class KeyRevoked(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published when an API key is withdrawn; refused everywhere within 30 s.

    It also tells how the key was issued: compaction keeps only the last event of a key.
    """

    type: ClassVar[str] = "workspace.key_revoked.v1"
    topic: ClassVar[Topic] = KEYS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"key_id": "k1", "revoked_at": "2026-01-05T09:00:00Z"},
    )

    key_id: str
    revoked_at: datetime
    issued: Annotated[
        KeyIssued | None, Meta(description="As it was told then; absent in older events.")
    ] = None
    issued_at: datetime | None = None
