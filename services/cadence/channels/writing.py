"""A message in words: its template filled in, its links counted, its letter signed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.cadence.channels.signing import Signer
from services.cadence.model.delivery import OUTSIDE_CONSENT
from services.cadence.model.eligibility import Recipient
from services.cadence.model.letters import Sender, Unsubscribe, Written, compose, message_id
from services.cadence.model.message import Message
from services.cadence.model.templates import (
    Filled,
    Source,
    compile_template,
    with_links,
    with_marks,
)
from services.cadence.model.tokens import Unsubscription, opaque, unsubscribe_token
from services.cadence.store.letters import Link, StoredLetter

LINKS, TRAPS = "cadence.link", "cadence.trap"


@dataclass(frozen=True, kw_only=True)
class House:
    """Who writes: names, addresses and secrets. `secrets`: the newest, the last, signs."""

    public_url: str
    secrets: Sequence[str]
    list_sender: Sender
    notice_sender: Sender
    signer: Signer | None


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A message written for one person, its links named."""

    filled: Filled
    links: Sequence[Link]
    unsubscribe_url: str


def draft(message: Message, recipient: Recipient, source: Source, house: House) -> Draft:
    """The message in words. Raises TemplateRefused."""
    url = _unsubscribe_url(message, house)
    filled = compile_template(source).fill(_words(message, recipient, url))
    # The oldest secret: a link keeps its name when a newer one comes.
    names = [
        opaque(house.secrets[0], LINKS, *message.key, str(place))
        for place in range(len(filled.targets))
    ]
    links = [
        Link(name, *message.key, place, target)
        for place, (name, target) in enumerate(zip(names, filled.targets, strict=True))
        if target is not None
    ]
    addressed = with_links(filled, [f"{house.public_url}/t/c/{name}" for name in names])
    return Draft(filled=addressed, links=links, unsubscribe_url=url)


def letter(
    message: Message, recipient: Recipient, drafted: Draft, house: House, *, at: datetime
) -> tuple[StoredLetter, Sequence[Link]]:
    """The draft as a letter, marked, signed, and all its links. Raises AddressUnusable."""
    is_list = message.purpose not in OUTSIDE_CONSENT
    sender = house.list_sender if is_list else house.notice_sender
    trap = Link(
        opaque(house.secrets[0], TRAPS, *message.key), *message.key, -1, house.public_url, True
    )
    identifier = message_id(house.secrets[0], *message.key, sender.domain)
    wire = compose(
        Written(
            to_address=recipient.email or "",
            to_name=recipient.name,
            subject=drafted.filled.subject,
            text=drafted.filled.text,
            html=with_marks(
                drafted.filled.html,
                pixel=f"{house.public_url}/t/o/{message.token}",
                trap=f"{house.public_url}/t/c/{trap.token}",
            ),
            locale=recipient.locale,
        ),
        sender=sender,
        identifier=identifier,
        sent_at=at,
        unsubscribe=Unsubscribe(
            url=drafted.unsubscribe_url, list_id=f"{message.topic}.{sender.domain}"
        )
        if is_list
        else None,
    )
    signed = wire if house.signer is None else house.signer.signed(wire, at=int(at.timestamp()))
    stored = StoredLetter(
        workspace=message.workspace,
        identity=message.identity,
        message_id=identifier,
        subject=drafted.filled.subject,
        wire=signed,
    )
    return stored, [*drafted.links, trap]


def _words(message: Message, recipient: Recipient, unsubscribe_url: str) -> Mapping[str, Any]:
    return {
        **message.facts,
        "person": {"name": recipient.name, "id": recipient.user, "locale": recipient.locale},
        "account": {"id": message.account},
        "topic": message.topic,
        "unsubscribe_url": unsubscribe_url,
    }


def _unsubscribe_url(message: Message, house: House) -> str:
    said = Unsubscription(message.workspace, message.identity, message.user, message.topic)
    return f"{house.public_url}/u/{unsubscribe_token(house.secrets, said)}"
