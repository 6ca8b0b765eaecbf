"""The Segment form (also RudderStack, Customer.io): from one sent event to one stamped event.

Main thing first: `stamp`. Below it a function for each of the six calls, and the table of track
names that are facts of their own and no use of the product.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import msgspec
from msgspec import UNSET, Raw, UnsetType

from services.ingest.model import limits, native, personal, times, traits, wire
from services.ingest.model.context import (
    NO_BATCH_CONTEXT,
    BatchContext,
    Context,
    Contexts,
    Identifier,
    Part,
)
from services.ingest.model.refusals import (
    MissingEvent,
    MissingIdentity,
    UnknownType,
)
from services.ingest.model.times import ClientClock, Moment
from services.ingest.model.wire import Stamped
from shared.events.base import Event, Topic, partition_key
from shared.events.ingest import (
    UNATTRIBUTED,
    USAGE,
    USAGE_HISTORY,
    AccountUpserted,
    UsagePageViewed,
    UsageScreenViewed,
    UsageTracked,
    UserAliased,
    UserIdentified,
)
from shared.events.refusals import SchemaViolation

FEATURE_CHARACTERS = 200


class Sent(msgspec.Struct, rename="camel"):
    """An event as it comes in. Times are of any type: a wrong one is flagged, not refused."""

    type: str | None = None
    message_id: str | None = None
    user_id: Identifier = None
    anonymous_id: Identifier = None
    group_id: Identifier = None
    previous_id: Identifier = None
    event: str | None = None
    name: str | None = None
    category: str | None = None
    timestamp: object = None
    original_timestamp: object = None
    sent_at: object = None
    properties: Part = UNSET
    traits: Part = UNSET
    context: Part = UNSET


class _Noticed(msgspec.Struct):
    """What is read from properties, beside carrying them on."""

    feature: object = None
    path: object = None
    groups: Part = msgspec.field(default=UNSET, name="$groups")


@dataclass(frozen=True, kw_only=True)
class Reception:
    """What all events of one request share."""

    workspace: str
    source: str
    received_at: datetime
    sent_at: object = None
    is_history: bool = False
    dialect: str = "segment"
    """The form that its events come in."""
    traceparent: str | None = None
    contexts: Contexts = field(default_factory=Contexts)
    batch_context: BatchContext = NO_BATCH_CONTEXT
    event_mapping: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "traceparent", wire.traceparent(self.traceparent or ""))
        common = wire.prefix(
            source=self.source,
            workspace=self.workspace,
            received_at=self.received_at,
            traceparent=self.traceparent,
        )
        object.__setattr__(self, "prefix", common)
        object.__setattr__(self, "clock", self.clock_of(self.sent_at))

    prefix: bytes = field(init=False)
    clock: ClientClock = field(init=False)

    def clock_of(self, sent_at: object) -> ClientClock:
        """What the client's clock shows when it says `sent_at`."""
        return times.client_clock(sent_at, received_at=self.received_at, is_history=self.is_history)


class Call(msgspec.Struct, frozen=True, gc=False):
    """One event with what is already read from it."""

    sent: Sent
    user: str | None
    anonymous: str | None
    context: Context
    clock: ClientClock
    moment: Moment
    message_id: str


class Fact(msgspec.Struct, frozen=True, gc=False):
    """What an event from outside turned out to say, and of which account."""

    event: Event
    account: str | None
    is_use: bool
    data: Part = UNSET
    """The event's data with fields that its contract does not know; UNSET where it has none."""


_decode_sent = msgspec.json.Decoder(Sent).decode
_decode_noticed = msgspec.json.Decoder(_Noticed | None).decode
_decode_groups = msgspec.json.Decoder(dict[str, Identifier]).decode
_encode = msgspec.json.Encoder().encode


def read(source: Raw | bytes, *, call: str | None = None) -> Sent:
    """The event of these bytes; `call` is its type where the path gives it.

    Raises SchemaViolation when a field is of the wrong type, msgspec.DecodeError or RecursionError
    when the bytes cannot be parsed at all.
    """
    try:
        sent = _decode_sent(source)
    except msgspec.ValidationError as error:
        raise SchemaViolation(str(error)) from error
    if call is not None:
        sent.type = call
    return sent


def stamp(sent: Sent, message_id: str, reception: Reception) -> Stamped:
    """The event as it goes to Kafka. Raises EventRefused when it cannot be accepted."""
    answer = CALLS.get(sent.type or "")
    if answer is None:
        raise UnknownType(f"type {sent.type!r:.100} is none of {', '.join(CALLS)}")
    user = identifier(sent.user_id, name="userId")
    anonymous = identifier(sent.anonymous_id, name="anonymousId")
    if user is None and anonymous is None:
        raise MissingIdentity("userId or anonymousId is required")
    clock = reception.clock if sent.sent_at is None else reception.clock_of(sent.sent_at)
    original = sent.original_timestamp if sent.original_timestamp is not None else sent.timestamp
    moment = times.moment(original, clock, received_at=reception.received_at)
    context = reception.contexts.read(sent.context, reception.batch_context)
    call = Call(sent, user, anonymous, context, clock, moment, message_id)
    return _stamped(answer(call, reception), call, reception)


def message_id_of(sent: Sent) -> str | None:
    """The client's own id of the event; None where it gave none."""
    if not sent.message_id:
        return None
    _check_short(sent.message_id, limits.MESSAGE_ID_CHARACTERS, name="messageId")
    return sent.message_id


def identifier(sent: Identifier, *, name: str) -> str | None:
    """An id as text: numbers are accepted, empty text means none."""
    if sent is None:
        return None
    text = sent if type(sent) is str else str(sent)
    _check_short(text, limits.ID_CHARACTERS, name=name)
    return text or None


def _stamped(fact: Fact, call: Call, reception: Reception) -> Stamped:
    event, account = fact.event, fact.account
    key = partition_key(reception.workspace, account, call.user or call.anonymous)
    event_id = f"{reception.source} {call.message_id}"
    warning = times.BAD_TIMESTAMP if call.moment.is_bad else None
    attributes = wire.Attributes(
        event_id,
        event.type,
        key,
        call.moment.at,
        account,
        call.message_id,
        call.moment.original,
        call.clock.sent_at,
        warning,
        event if isinstance(fact.data, UnsetType) else fact.data,
    )
    topic = _topic(fact, reception)
    payload = wire.spliced(reception.prefix, attributes)
    return Stamped(event_id, call.message_id, topic, key, payload, warning)


def _topic(fact: Fact, reception: Reception) -> Topic:
    if not fact.is_use:
        return fact.event.topic
    if fact.account is None:
        return UNATTRIBUTED
    return USAGE_HISTORY if reception.is_history else USAGE


def _check_short(text: str, most_characters: int, *, name: str) -> None:
    if len(text) > most_characters:
        raise SchemaViolation(f"{name} is longer than {most_characters} characters")
    if "\x00" in text:
        raise SchemaViolation(f"{name}: a text with NUL cannot be stored")


# --- the calls ----------------------------------------------------------------------------------


def track(call: Call, reception: Reception) -> Fact:
    """Somebody used a feature, or the name says that it is a fact of its own."""
    name = call.sent.event
    if not name:
        raise MissingEvent("a track call needs `event`")
    _check_short(name, limits.ID_CHARACTERS, name="event")
    told = native_track(name, reception)
    if told is not None:
        return told(call)
    noticed, properties, private = _properties(call)
    event = UsageTracked(
        user=call.user,
        anonymous=call.anonymous,
        personal=private,
        event=name,
        feature=_feature(noticed.feature, name) or name,
        properties=properties,
        context=call.context.carried,
    )
    return Fact(event, _account(call, noticed), is_use=True)


def page(call: Call, _: Reception) -> Fact:
    """Somebody looked at a page."""
    return _viewed(UsagePageViewed, call)


def screen(call: Call, _: Reception) -> Fact:
    """Somebody looked at a screen of the app."""
    return _viewed(UsageScreenViewed, call)


def identify(call: Call, _: Reception) -> Fact:
    """What is known of a person."""
    sent = call.context.traits
    both = _fields(sent, name="context.traits") | _fields(call.sent.traits, name="traits")
    rest, private = personal.parted(both, personal.PERSONAL_TRAITS)
    known = traits.read(rest, traits.USER_FIELDS)
    for field_name, part in (
        ("time_zone", call.context.time_zone),
        ("locale", call.context.locale),
    ):
        if field_name not in known and isinstance(part, Raw):
            known |= traits.read({field_name: part}, traits.USER_FIELDS)
    event = UserIdentified(
        user=call.user,
        anonymous=call.anonymous,
        personal=_person(private),
        traits=_as_sent(call.sent.traits, rest, both),
        **known,
    )
    return Fact(event, identifier(call.context.group_id, name="context.groupId"), is_use=False)


def group(call: Call, _: Reception) -> Fact:
    """What is known of an account; its user is a member."""
    account = identifier(call.sent.group_id, name="groupId")
    if account is None:
        raise SchemaViolation("a group call needs `groupId`")
    sent = _fields(call.sent.traits, name="traits")
    rest, private = personal.parted(sent, personal.PERSONAL_PROPERTIES)
    event = AccountUpserted(
        user=call.user,
        anonymous=call.anonymous,
        personal=personal.joined(traits.without_null(private)),
        traits=_as_sent(call.sent.traits, rest, sent),
        **traits.read(rest, traits.ACCOUNT_FIELDS),
    )
    return Fact(event, account, is_use=False)


def alias(call: Call, _: Reception) -> Fact:
    """Two ids are one person."""
    previous = identifier(call.sent.previous_id, name="previousId")
    if call.user is None:
        raise MissingIdentity("an alias call needs `userId`")
    if previous is None:
        raise SchemaViolation("an alias call needs `previousId`")
    event = UserAliased(user=call.user, anonymous=call.anonymous, previous_id=previous)
    return Fact(event, identifier(call.context.group_id, name="context.groupId"), is_use=False)


CALLS: Mapping[str, Callable[[Call, Reception], Fact]] = {
    "track": track,
    "identify": identify,
    "group": group,
    "page": page,
    "screen": screen,
    "alias": alias,
}


# --- track names that are no use of the product ---------------------------------------------------


def signed_up(call: Call) -> Fact:
    """The person signed up when the event happened."""
    noticed, properties, private = _properties(call)
    event = UserIdentified(
        user=call.user,
        anonymous=call.anonymous,
        personal=private,
        signed_up_at=call.moment.at,
        traits=properties,
    )
    return Fact(event, _account(call, noticed), is_use=False)


def agreed(kind: type[Event], call: Call) -> Fact:
    """What was sold, agreed, given or paid: the properties are the fields of a native type."""
    noticed, _, _ = _properties(call)
    account = _account(call, noticed)
    fields = _fields(call.sent.properties, name="properties")
    told = native.read(kind, fields, account=account, user=call.user, anonymous=call.anonymous)
    return Fact(told.event, account, is_use=False, data=told.data)


def native_track(name: str, reception: Reception) -> Callable[[Call], Fact] | None:
    """What a track name means that is a fact of its own, by the workspace's mapping too."""
    return NATIVE_TRACKS.get(reception.event_mapping.get(name, name).lower())


# In lower case: the names match in any case. A native type is one row.
NATIVE_TRACKS: Mapping[str, Callable[[Call], Fact]] = {
    "signed up": signed_up,
    "user.signed_up": signed_up,
    "user.signed_up.v1": signed_up,
    **{
        name: partial(agreed, kind)
        for sent, kind in native.TYPES.items()
        for name in (sent, kind.type)
    },
}


# --- parts ---------------------------------------------------------------------------------------


def _viewed(kind: type[UsagePageViewed | UsageScreenViewed], call: Call) -> Fact:
    noticed, properties, private = _properties(call)
    name, category = call.sent.name, call.sent.category
    for said, field_name in ((name, "name"), (category, "category")):
        if said:
            limits.check_text(said, name=field_name)
    event = kind(
        user=call.user,
        anonymous=call.anonymous,
        personal=private,
        name=name,
        category=category,
        feature=_feature(noticed.feature, name, noticed.path),
        properties=properties,
        context=call.context.carried,
    )
    return Fact(event, _account(call, noticed), is_use=True)


NOTHING_NOTICED = _Noticed()


def _properties(call: Call) -> tuple[_Noticed, Part, Part]:
    """What is read from the properties, the properties to carry on, the personal ones apart."""
    properties = call.sent.properties
    if not isinstance(properties, Raw):
        return NOTHING_NOTICED, UNSET, UNSET
    try:
        noticed = _decode_noticed(properties)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SchemaViolation(f"properties: {error}") from error
    if noticed is None:
        return NOTHING_NOTICED, UNSET, UNSET
    if personal.may_hold(bytes(properties)):
        fields = personal.fields_of(properties)
        rest, private = personal.parted(fields, personal.PERSONAL_PROPERTIES)
        if private:
            return noticed, personal.joined(rest), personal.joined(traits.without_null(private))
    return noticed, properties, UNSET


def feature_of(properties: Raw) -> str | None:
    """The feature that the properties of a track call name; None where they name none."""
    noticed = _decode_noticed(properties)
    return _feature(noticed.feature) if noticed is not None else None


def _feature(*candidates: object) -> str | None:
    """The first text among the candidates, cut to what an index can hold."""
    for candidate in candidates:
        if type(candidate) is str and candidate:
            return candidate[:FEATURE_CHARACTERS]
    return None


def _account(call: Call, noticed: _Noticed) -> str | None:
    """The account of an event: context.groupId, else the group in PostHog's `$groups`."""
    account = identifier(call.context.group_id, name="context.groupId")
    if account is not None or not isinstance(noticed.groups, Raw):
        return account
    try:
        groups = _decode_groups(noticed.groups)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    named = [groups[kind] for kind in ACCOUNT_GROUPS if groups.get(kind)]
    return identifier(next(iter(named or groups.values()), None), name="$groups")


# PostHog lets its users name their group types; these mean an account, else the first one does.
ACCOUNT_GROUPS = ("account", "company", "organization", "workspace", "team")


def _fields(sent: Part, *, name: str) -> personal.Fields:
    if not isinstance(sent, Raw) or bytes(sent) == b"null":
        return {}
    try:
        return personal.fields_of(sent)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SchemaViolation(f"{name}: {error}") from error


def _as_sent(sent: Part, rest: personal.Fields, both: personal.Fields) -> Part:
    """The traits byte for byte where nothing was moved out of them or merged into them."""
    if isinstance(sent, Raw) and len(rest) == len(both) == len(_fields(sent, name="traits")):
        return sent if rest else UNSET
    return personal.joined(rest)


def _person(private: personal.Fields) -> Part:
    """The personal fields of an identify call; first and last name also make up `name`."""
    said = traits.without_null(private)
    email = said.get("email")
    if email is not None:
        traits.read({"email": email}, {"email": traits.Known(("email",), traits.text)})
    name = traits.full_name(said)
    if name is not None:
        said = {"name": Raw(_encode(name)), **said}
    return personal.joined(said)
