"""Letters: headers, Message-ID, DKIM as a verifier sees it; addresses; tokens."""

import base64
from datetime import UTC, datetime
from email import message_from_bytes, policy

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cadence.channels.signing import Dkim
from services.cadence.model.addresses import AddressUnusable, address_hash, display_name, mailbox
from services.cadence.model.letters import Sender, Unsubscribe, Written, compose, message_id
from services.cadence.model.tokens import (
    TokenInvalid,
    Unsubscription,
    opaque,
    read_unsubscribe_token,
    unsubscribe_token,
)

SENDER = Sender(name="Acme", address="news@acme.test", domain="acme.test", bounces="b@acme.test")
AT = datetime(2026, 3, 2, 8, 10, tzinfo=UTC)
SAID = Unsubscription("acme", "course/u-1/2026-03-02", "u-1", "onboarding")


def letter(
    name: str = "Kim", subject: str = "Hello", url: str = "https://acme.test/u/" + "x" * 300
):
    return compose(
        Written(
            to_address="kim@example.com",
            to_name=name,
            subject=subject,
            text="안녕하세요\n.\nFrom here\n" + "긴 줄 " * 500,
            html="<p>안녕하세요</p>",
            locale="ko",
        ),
        sender=SENDER,
        identifier=message_id("secret", "acme", "course/u-1/2026-03-02", "acme.test"),
        sent_at=AT,
        unsubscribe=Unsubscribe(url=url, list_id="onboarding.acme.test"),
    )


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


def verifies(wire: bytes, key: rsa.RSAPrivateKey) -> bool:
    """Whether dkimpy's own verifier accepts it."""
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    return bool(dkim.verify(wire, dnsfunc=lambda *_, **__: record))


def signer(key: rsa.RSAPrivateKey) -> Dkim:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return Dkim.of_pem("acme.test", "s1", pem)


def test_a_long_one_click_address_stands_on_one_plain_line():
    url = "https://acme.test/u/" + "x" * 300

    lines = letter(url=url).split(b"\r\n")

    assert f"List-Unsubscribe: <{url}>".encode() in lines
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in lines


def test_a_letter_has_short_ascii_lines_and_both_forms():
    wire = letter()

    assert wire.isascii()
    assert max(map(len, wire.split(b"\r\n"))) <= 998
    parsed = message_from_bytes(wire, policy=policy.SMTP)
    assert [part.get_content_type() for part in parsed.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    assert parsed["Content-Language"] == "ko"


def test_the_same_identity_has_the_same_message_id_and_another_has_another():
    assert message_id("s", "acme", "a", "d.test") == message_id("s", "acme", "a", "d.test")
    different = {
        message_id("s", "acme", "a", "d.test"),
        message_id("s", "acme", "b", "d.test"),
        message_id("s", "acmea", "", "d.test"),
        message_id("t", "acme", "a", "d.test"),
    }
    assert len(different) == 4


def test_a_verifier_accepts_the_signature(key: rsa.RSAPrivateKey):
    assert verifies(signer(key).signed(letter(), at=int(AT.timestamp())), key)


@pytest.mark.parametrize(
    ("found", "put"),
    [
        (b"One-Click", b"One-Clack"),
        (b"Subject: Hello", b"Subject: Hallo"),
        (b"Subject:", b"List-Unsubscribe: <https://evil.test>\r\nSubject:"),
        (b"Subject:", b"From: evil@evil.test\r\nSubject:"),
        (b"Acme", b"Acne"),
    ],
)
def test_a_verifier_refuses_what_was_changed_or_added(
    key: rsa.RSAPrivateKey, found: bytes, put: bytes
):
    signed = signer(key).signed(letter(), at=int(AT.timestamp()))

    assert not verifies(signed.replace(found, put, 1), key)


@given(name=st.text(max_size=300), subject=st.text(max_size=300))
@settings(max_examples=60, deadline=None)
def test_no_name_and_no_subject_adds_a_header(name: str, subject: str):
    parsed = message_from_bytes(letter(name, subject), policy=policy.SMTP)

    assert sorted({header.lower() for header in parsed.keys()}) == [  # noqa: SIM118 - headers
        "auto-submitted", "content-language", "content-type", "date", "from", "list-id",
        "list-unsubscribe", "list-unsubscribe-post", "message-id", "mime-version", "subject", "to",
    ]  # fmt: skip
    assert [address.addr_spec for address in parsed["To"].addresses] == ["kim@example.com"]


@pytest.mark.parametrize(
    "text",
    [
        "a@b.com, evil@x.com",
        "a@b.com;evil@x.com",
        "Kim <a@b.com>",
        "a@b.com\nBcc: evil@x.com",
        "a\x00@b.com",
        "a@b",
        "@b.com",
        "a@@b.com",
        f"{'a' * 65}@b.com",
        f"{'a' * 300}@b.com",
        f"a@{'b' * 64}.com",
        "사람@example.com",
        "a\u202e@b.com",
        "",
    ],
)
def test_what_is_not_exactly_one_mailbox_is_refused(text: str):
    with pytest.raises(AddressUnusable):
        mailbox(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("kim@example.com", "kim@example.com"),
        (" Kim+x@Example.COM ", "Kim+x@example.com"),
        ("kim@bücher.example", "kim@xn--bcher-kva.example"),
        (f"{'a' * 64}@b.com", f"{'a' * 64}@b.com"),
    ],
)
def test_a_mailbox_comes_out_as_smtp_wants_it(text: str, address: str):
    assert mailbox(text) == address


def test_letter_case_makes_no_other_address_and_another_workspace_does():
    assert address_hash("acme", "Kim@Example.com") == address_hash("acme", "kim@example.com")
    assert address_hash("acme", "kim@example.com") != address_hash("beta", "kim@example.com")


def test_a_display_name_is_one_line_without_controls():
    assert display_name("Kim\r\nBcc: x\u202e\x00 Lee") == "Kim Bcc: x Lee"


def test_a_token_says_what_was_signed_also_after_a_new_secret():
    token = unsubscribe_token(["old"], SAID)

    assert read_unsubscribe_token(["old", "new"], token) == SAID


@pytest.mark.parametrize("secrets", [["new"], ["old2"]])
def test_a_token_of_a_secret_that_is_gone_says_nothing(secrets: list[str]):
    with pytest.raises(TokenInvalid):
        read_unsubscribe_token(secrets, unsubscribe_token(["old"], SAID))


@given(place=st.integers(0, 120), character=st.sampled_from("ABCabc123-_."))
@settings(max_examples=60)
def test_a_token_that_was_changed_anywhere_says_nothing_else(place: int, character: str):
    token = unsubscribe_token(["old"], SAID)
    place %= len(token)
    changed = token[:place] + character + token[place + 1 :]

    try:
        said = read_unsubscribe_token(["old"], changed)
    except TokenInvalid:
        return
    assert said == SAID


def test_names_of_different_parts_and_purposes_never_meet():
    names = {opaque("s", "p", "a", "bc"), opaque("s", "p", "ab", "c"), opaque("s", "q", "a", "bc")}

    assert len(names) == 3
    assert all(len(name) == 22 for name in names)
