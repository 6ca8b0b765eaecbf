"""Contracts of ingest: use, people and accounts, contracts, money, the workspace and its keys."""

from datetime import date, datetime
from typing import Annotated, Any, ClassVar

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

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
INTERACTIONS = Topic(
    name="ingest.interactions.v1",
    producer="ingest",
    description="What passed between an account's people and us: payments, and all from outside.",
    key=PERSON_KEY,
    partitions=12,
)
BILLING = Topic(
    name="ingest.billing.v1",
    producer="ingest",
    description="Billing facts, of our own form or read from a provider's webhook; repeats too.",
    key="<workspace>/<account>, else <workspace>/",
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

# Of a minor unit at most 12 decimals: so fine does a provider give prices. No sign, no exponent.
MONEY = r"^[0-9]{1,18}(\.[0-9]{1,12})?$"
Money = Annotated[str, Meta(pattern=MONEY, description="Decimal text, minor units.")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217, upper case.")]


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


class UserRemoved(InboundEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a person is no longer a seat of the account."""

    type: ClassVar[str] = "user.removed.v1"
    topic: ClassVar[Topic] = ACCOUNTS
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({"user": "u-42", "reason": "left"},)

    reason: str | None = None


class UserConsentChanged(
    InboundEvent, frozen=True, kw_only=True, omit_defaults=True, rename={"about": "topic"}
):
    """Published when a product says that a person may, or may not, be written to."""

    type: ClassVar[str] = "user.consent_changed.v1"
    topic: ClassVar[Topic] = ACCOUNTS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"user": "u-42", "topic": "nps", "granted": False},
    )

    about: Annotated[
        str, Meta(min_length=1, max_length=200, description="Topic of messages, or all.")
    ]
    granted: bool
    channel: Annotated[str | None, Meta(description="The one meant; absent: every one.")] = None


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


class OnboardingFee(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was charged for onboarding, or why nothing was (C5)."""

    charged: Money
    waived: bool
    reason: str
    currency: Currency


class DealClosed(InboundEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a sale is won: who sold it, how well it fits, how it is handed over."""

    type: ClassVar[str] = "deal.closed.v1"
    topic: ClassVar[Topic] = ACCOUNTS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "seller": "kim@example.com",
            "icp_score": 82.0,
            "purchased_at": "2026-01-05T09:00:00Z",
            "onboarding_fee": {
                "charged": "0",
                "waived": True,
                "reason": "asked for",
                "currency": "KRW",
            },
        },
    )

    seller: str
    icp_score: Annotated[float, Meta(ge=0, le=100, description="Fit, 0 to 100.")]
    purchased_at: datetime
    csm: Annotated[str | None, Meta(description="Staff e-mail.")] = None
    csm_assigned_at: datetime | None = None
    handoff_mode: Annotated[
        str | None, Meta(description="first_5_minutes or csm_before_purchase")
    ] = None
    target_aha: str | None = None
    onboarding_fee: OnboardingFee | None = None


class ContractUpserted(InboundEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a contract is made or changed: the whole of it as it now stands."""

    type: ClassVar[str] = "contract.upserted.v1"
    topic: ClassVar[Topic] = ACCOUNTS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "contract": "c-7",
            "starts_on": "2026-01-05",
            "term_months": 12,
            "auto_renew": True,
            "opt_out_days": 60,
            "seats": 40,
            "value": "48000000",
            "currency": "KRW",
        },
    )

    contract: Annotated[str, Meta(min_length=1, max_length=200, description="Its id.")]
    starts_on: date
    auto_renew: Annotated[bool, Meta(description="It renews with no event needed (C3).")]
    ends_on: Annotated[date | None, Meta(description="Its last day.")] = None
    term_months: Annotated[int, Meta(ge=1, le=1200)] | None = None
    notice_days: Annotated[int, Meta(ge=0, le=3660)] | None = None
    opt_out_days: Annotated[
        int, Meta(ge=0, le=3660, description="Days from the start in which it may be left (C4).")
    ] = 90
    seats: Annotated[int, Meta(ge=0)] | None = None
    value: Money | None = None
    currency: Currency | None = None

    def __post_init__(self) -> None:
        if self.ends_on is not None and self.ends_on < self.starts_on:
            raise ValueError(f"ends_on {self.ends_on} is before starts_on {self.starts_on}")


class ContractCancelled(InboundEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a contract is given notice of."""

    type: ClassVar[str] = "contract.cancelled.v1"
    topic: ClassVar[Topic] = ACCOUNTS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"contract": "c-7", "effective_on": "2026-12-31", "reason": "price"},
    )

    contract: Annotated[str, Meta(min_length=1, max_length=200, description="Its id.")]
    effective_on: Annotated[date, Meta(description="The first day without it.")]
    reason: Annotated[str, Meta(description="Why, a word of the churn reasons; unknown allowed.")]
    detail: str | None = None


class ConcessionGranted(InboundEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when something was given to an account, with what was got in return (N43)."""

    type: ClassVar[str] = "concession.granted.v1"
    topic: ClassVar[Topic] = ACCOUNTS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "kind": "fee_waiver",
            "value": "500000",
            "currency": "KRW",
            "in_return": "two-year term",
            "by": "kim@example.com",
        },
    )

    kind: Annotated[
        str,
        Meta(
            pattern="^(fee_waiver|discount|credit|free_month)$",
            description="fee_waiver, discount, credit or free_month",
        ),
    ]
    value: Money
    currency: Currency
    by: Annotated[str, Meta(description="Staff e-mail.")]
    in_return: str | None = None


class _Payment(InboundEvent, frozen=True, kw_only=True, omit_defaults=True):
    payment: Annotated[str, Meta(min_length=1, max_length=200, description="Its id.")]
    amount: Money
    currency: Currency
    invoice: str | None = None
    reason: str | None = None
    attempt: Annotated[int, Meta(ge=1, description="Which try it was, from 1.")] | None = None


class PaymentSucceeded(_Payment, frozen=True, kw_only=True, omit_defaults=True):
    """Published when an account has paid."""

    type: ClassVar[str] = "payment.succeeded.v1"
    topic: ClassVar[Topic] = INTERACTIONS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"payment": "in_1", "amount": "33000", "currency": "KRW", "invoice": "in_1"},
    )


class PaymentFailed(_Payment, frozen=True, kw_only=True, omit_defaults=True):
    """Published when an account's payment was refused; MRR does not move."""

    type: ClassVar[str] = "payment.failed.v1"
    topic: ClassVar[Topic] = INTERACTIONS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"payment": "in_1", "amount": "33000", "currency": "KRW", "attempt": 2},
    )


class PaymentRefunded(_Payment, frozen=True, kw_only=True, omit_defaults=True):
    """Published when money went back to an account; MRR does not move."""

    type: ClassVar[str] = "payment.refunded.v1"
    topic: ClassVar[Topic] = INTERACTIONS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"payment": "ch_1", "amount": "33000", "currency": "KRW"},
    )


class PaymentDisputed(_Payment, frozen=True, kw_only=True, omit_defaults=True):
    """Published when an account's bank asks a payment back."""

    type: ClassVar[str] = "payment.disputed.v1"
    topic: ClassVar[Topic] = INTERACTIONS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"payment": "ch_1", "amount": "33000", "currency": "KRW", "reason": "fraudulent"},
    )


class FeedbackReceived(InboundEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when somebody has said something of the product, also in public (N40)."""

    type: ClassVar[str] = "feedback.received.v1"
    topic: ClassVar[Topic] = INTERACTIONS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "user": "u-42",
            "feedback": "f-1",
            "kind": "public_review",
            "rating": 2.0,
            "source": "a review site",
            "personal": {"text": "Nobody answered me for a week."},
        },
    )

    feedback: Annotated[str, Meta(min_length=1, max_length=200, description="Its id.")]
    kind: Annotated[
        str,
        Meta(
            pattern="^(complaint|request|praise|public_review|return)$",
            description="complaint, request, praise, public_review or return",
        ),
    ]
    rating: Annotated[float | None, Meta(description="As given, on the source's scale.")] = None
    feature: Annotated[str | None, Meta(description="The feature that it speaks of.")] = None
    source: Annotated[str | None, Meta(description="Where it was said.")] = None


class ExternalReceived(InboundEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published for every verified Standard Webhook of a type that is none of ours."""

    type: ClassVar[str] = "external.received.v1"
    topic: ClassVar[Topic] = INTERACTIONS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "event": "invoice.sent",
            "payload": {"type": "invoice.sent", "data": {"invoice": "i-1"}},
        },
    )

    event: Annotated[str, Meta(description="Its type, as sent.")]
    payload: Annotated[Raw, Meta(description="The whole body, byte for byte as sent.")]


class Provider(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a billing provider told a fact."""

    event_type: str
    created: Annotated[datetime, Meta(description="When the provider made the event.")]
    previous_attributes: Annotated[
        Raw | UnsetType, Meta(description="What the changed fields were, as sent.")
    ] = UNSET
    api_version: str | None = None


class BillingFactRecorded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published for every billing fact, also for one that came before: the ledger tells them apart.

    So its id ends in a uuid of this acceptance.
    """

    type: ClassVar[str] = "billing.fact_recorded.v1"
    topic: ClassVar[Topic] = BILLING
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "fact": {
                "id": "f-1",
                "source": "native",
                "type": "fx_rate",
                "effective_at": "2026-01-01T00:00:00Z",
                "currency": "USD",
                "month": "2026-01",
                "rate": "1450.5",
            },
        },
    )

    fact: Annotated[Raw, Meta(description="The fact as the revenue ledger's contract has it.")]
    recorded_at: Annotated[
        datetime | None, Meta(description="When it was first known, as a manage key said.")
    ] = None
    provider: Provider | None = None


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
