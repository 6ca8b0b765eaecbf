"""Contracts of cadence: messages and what people did with them, consents, lifecycle stages."""

from datetime import datetime
from typing import Annotated, Any, ClassVar

from msgspec import UNSET, Meta, Raw, UnsetType

from shared.events.base import Event, Topic

PERSON_KEY = "<workspace>/<account>, else <workspace>/~<user>"

DELIVERIES = Topic(
    name="cadence.deliveries.v1",
    producer="cadence",
    description="Messages: when each is due, what became of it, what the person did with it.",
    key=PERSON_KEY,
    partitions=12,
)
WORK = Topic(
    name="cadence.work.v1",
    producer="cadence",
    description="Lifecycle stages, consents, and the work of people with accounts.",
    key=PERSON_KEY,
    partitions=12,
)

User = Annotated[str, Meta(description="The person's id, as the product backend sent it.")]
Message = Annotated[
    str, Meta(description="Identity of the occurrence: program, person, civil date or step.")
]
Pillar = Annotated[str, Meta(description="website_research, onboarding, adoption or support (J2).")]
At = Annotated[datetime, Meta(description="When it happened.")]

ANCHOR = {
    "user": "u-42",
    "weekday": "MON",
    "local_time": "08:10",
    "zone": "Asia/Seoul",
    "zone_source": "user",
    "signed_up_at": "2025-02-02T23:10:00Z",
}
MESSAGE = {
    "message": "weekly-course/u-42/2025-02-10",
    "user": "u-42",
    "program": "weekly-course",
    "step": "invite-colleagues",
    "template": "course-invite-colleagues",
    "channel": "email",
    "pillar": "onboarding",
    "purpose": "onboarding",
}
DELIVERY = {**MESSAGE, "at": "2025-02-09T23:10:02Z", "due_at": "2025-02-09T23:10:00Z"}
HIT = {
    **MESSAGE,
    "at": "2025-02-09T23:41:00Z",
    "class": "human",
    "rule": "no_sign_of_a_machine",
}


class AnchorSet(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a person's weekly hour becomes known, or another one: by a sign-up that was
    corrected, or by a zone that was learned or moved to.
    """

    type: ClassVar[str] = "cadence.anchor_set.v1"
    topic: ClassVar[Topic] = DELIVERIES
    examples: ClassVar[tuple[dict[str, Any], ...]] = (ANCHOR,)

    user: User
    weekday: Annotated[str, Meta(description="MON to SUN, in the zone.")]
    local_time: Annotated[str, Meta(description="HH:MM of the sign-up in the zone; no seconds.")]
    zone: Annotated[str, Meta(description="IANA zone.")]
    zone_source: Annotated[str, Meta(description="user, account, workspace or default")]
    signed_up_at: datetime


class MessageEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What every event about a message says of it."""

    message: Message
    user: User
    program: Annotated[str, Meta(description="Id of the program that it is part of.")]
    step: Annotated[str, Meta(description="Id of the program's step.")]
    template: Annotated[str, Meta(description="Id of the template that it is written from.")]
    channel: Annotated[str, Meta(description="email, in_app, webhook or slack")]
    pillar: Pillar
    purpose: Annotated[
        str, Meta(description="onboarding, feature, newsletter, renewal, nps or notice")
    ]
    variant: Annotated[str | None, Meta(description="Variant drawn; absent: there is one.")] = None


class DueMoved(
    MessageEvent, frozen=True, kw_only=True, omit_defaults=True, rename={"from_": "from"}
):
    """Published when a message that is not yet sent becomes due at another instant."""

    type: ClassVar[str] = "cadence.due_moved.v1"
    topic: ClassVar[Topic] = DELIVERIES
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {**MESSAGE, "from": "2025-02-09T23:10:00Z", "to": "2025-02-10T16:10:00Z", "why": "zone"},
    )

    from_: datetime
    to: datetime
    why: Annotated[str, Meta(description="zone, tzdata or quiet")]


class DeliveryEvent(MessageEvent, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a message."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        DELIVERY,
        {
            **DELIVERY,
            "program": "nps",
            "purpose": "nps",
            "variant": "b",
            "reason": "capped",
            "winner": "renewal/u-42/c-1",
            "invitation": "i-9",
        },
    )

    at: At
    due_at: Annotated[datetime, Meta(description="When it was due, after quiet hours.")]
    reason: Annotated[str | None, Meta(description="Why so; absent: by plan.")] = None
    winner: Annotated[
        str | None, Meta(description="The message that it had to give way to under a cap.")
    ] = None
    invitation: Annotated[str | None, Meta(description="The survey invitation it carries.")] = None


class DeliveryHandedOver(DeliveryEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a message is about to be given to a provider: from here it may be out."""

    type: ClassVar[str] = "cadence.delivery_handed_over.v1"
    topic: ClassVar[Topic] = DELIVERIES


class DeliveryAccepted(DeliveryEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a provider, or the person's inbox, has taken a message."""

    type: ClassVar[str] = "cadence.delivery_accepted.v1"
    topic: ClassVar[Topic] = DELIVERIES


class DeliveryRejected(DeliveryEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a message was refused for good, at the door or later by a bounce."""

    type: ClassVar[str] = "cadence.delivery_rejected.v1"
    topic: ClassVar[Topic] = DELIVERIES


class DeliveryUncertain(DeliveryEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when nobody can know whether a message went out: no answer came to its end."""

    type: ClassVar[str] = "cadence.delivery_uncertain.v1"
    topic: ClassVar[Topic] = DELIVERIES


class DeliveryMissed(DeliveryEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a message could not go in time, and is too late now."""

    type: ClassVar[str] = "cadence.delivery_missed.v1"
    topic: ClassVar[Topic] = DELIVERIES


class DeliverySuperseded(DeliveryEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a later message of the same cadence takes the place of one not yet sent."""

    type: ClassVar[str] = "cadence.delivery_superseded.v1"
    topic: ClassVar[Topic] = DELIVERIES


class DeliveryDropped(DeliveryEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a message may not go: paused, churned, opted out, suppressed, over a cap."""

    type: ClassVar[str] = "cadence.delivery_dropped.v1"
    topic: ClassVar[Topic] = DELIVERIES


class HitEvent(
    MessageEvent, frozen=True, kw_only=True, omit_defaults=True, rename={"class_": "class"}
):
    """That something fetched what a message carries. Only the class `human` speaks of a person."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = (HIT,)

    at: At
    class_: Annotated[str, Meta(description="human, proxy_prefetch, scanner or unknown")]
    rule: Annotated[str, Meta(description="The rule that decided the class.")]


class Opened(HitEvent, frozen=True, kw_only=True, omit_defaults=True, rename={"class_": "class"}):
    """Published when a message's pixel is fetched. Never more than a sign: proxies fetch too."""

    type: ClassVar[str] = "cadence.opened.v1"
    topic: ClassVar[Topic] = DELIVERIES


class Clicked(HitEvent, frozen=True, kw_only=True, omit_defaults=True, rename={"class_": "class"}):
    """Published when a link of a message is followed."""

    type: ClassVar[str] = "cadence.clicked.v1"
    topic: ClassVar[Topic] = DELIVERIES
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({**HIT, "link": "l-2"},)

    link: Annotated[str | None, Meta(description="Opaque id of the link.")] = None


class Engaged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a person has used content, an asset or a training, or answered a quiz."""

    type: ClassVar[str] = "cadence.engaged.v1"
    topic: ClassVar[Topic] = DELIVERIES
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "user": "u-42",
            "kind": "quiz",
            "ref": "ability-exam/q-3",
            "pillar": "adoption",
            "at": "2025-02-10T01:00:00Z",
            "feature": "reports",
            "correct": False,
        },
    )

    user: User
    kind: Annotated[str, Meta(description="content, asset, training, quiz or campaign")]
    ref: Annotated[str, Meta(description="Id of the thing that was used.")]
    pillar: Pillar
    at: At
    feature: Annotated[str | None, Meta(description="The feature that it teaches.")] = None
    correct: Annotated[bool | None, Meta(description="Of a quiz: the answer was right.")] = None
    completed: Annotated[bool | None, Meta(description="It was gone through to its end.")] = None


class ConsentChanged(
    Event, frozen=True, kw_only=True, omit_defaults=True, rename={"about": "topic"}
):
    """Published when a person may, or may not any more, be written to about a topic."""

    type: ClassVar[str] = "cadence.consent_changed.v1"
    topic: ClassVar[Topic] = WORK
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "user": "u-42",
            "topic": "newsletter",
            "granted": False,
            "via": "unsubscribe",
            "at": "2025-02-10T01:00:00Z",
        },
    )

    user: User
    about: Annotated[str, Meta(description="Topic of messages, or all.")]
    granted: bool
    via: Annotated[str, Meta(description="unsubscribe, complaint, bounce, import or staff")]
    at: At
    channel: Annotated[str | None, Meta(description="The one meant; absent: every one.")] = None


class StageChanged(Event, frozen=True, kw_only=True, omit_defaults=True, rename={"from_": "from"}):
    """Published when an account enters another lifecycle stage."""

    type: ClassVar[str] = "cadence.stage_changed.v1"
    topic: ClassVar[Topic] = WORK
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "from": "implementation",
            "to": "adoption",
            "because": "onboarded",
            "at": "2025-02-10T01:00:00Z",
        },
    )

    from_: Annotated[
        str,
        Meta(
            description="prospect, handoff, kickoff, implementation, training, launch, review, "
            "adoption, advancement, renewal, advocacy or churned"
        ),
    ]
    to: Annotated[str, Meta(description="As `from`.")]
    because: Annotated[str, Meta(description="The fact that moved it.")]
    at: At


class TouchLogged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published for every contact with an account, whoever told of it: the one that others read."""

    type: ClassVar[str] = "cadence.touch_logged.v1"
    topic: ClassVar[Topic] = WORK
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "contact": "t-1",
            "kind": "call",
            "direction": "out",
            "by": "kim@vendor.example",
            "at": "2025-02-10T01:00:00Z",
            "user": "u-42",
            "human": True,
        },
    )

    contact: Annotated[str, Meta(description="Its id.")]
    kind: Annotated[str, Meta(description="call, meeting, personal_mail or chat")]
    direction: Annotated[str, Meta(description="in or out")]
    by: Annotated[str, Meta(description="Staff e-mail.")]
    at: At
    human: Annotated[bool, Meta(description="A person spoke to a person: no ritual mail (C9).")]
    role: str | None = None
    quality: Annotated[str | None, Meta(description="ritual or tailored")] = None
    user: Annotated[str | None, Meta(description="The person; absent: the account at large.")] = (
        None
    )
    personal: Annotated[Raw | UnsetType, Meta(description="notes, in the caller's words.")] = UNSET


class OwnerChanged(Event, frozen=True, kw_only=True, omit_defaults=True, rename={"from_": "from"}):
    """Published when an account gets another owner."""

    type: ClassVar[str] = "cadence.owner_changed.v1"
    topic: ClassVar[Topic] = WORK
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"from": "ana@vendor.example", "to": "kim@vendor.example", "by": "lead@vendor.example"},
    )

    from_: Annotated[str | None, Meta(description="Staff e-mail; absent: nobody's.")] = None
    to: Annotated[str, Meta(description="Staff e-mail.")]
    by: Annotated[str, Meta(description="Who said so.")]
    override: Annotated[bool | None, Meta(description="Against the rule that assigns.")] = None
