"""Who may speak for a workspace: signatures of webhooks, and their age."""

import base64
import hmac
from datetime import datetime, timedelta
from hashlib import sha256

import pytest

from services.ingest.model.signatures import InvalidSignature, check_standard, check_stripe
from tests.unit.ingest.builders import NOON
from tests.unit.ingest.stripe_objects import SECRET, seconds, signature

BODY = b'{"id":"evt_1"}'
OTHER = "whsec_b3RoZXI="


def stripe(header: str, *secrets: str, body: bytes = BODY, now: datetime = NOON) -> bool:
    """Whether the signature holds."""
    try:
        check_stripe(header, body, secrets or (SECRET,), now=now)
    except InvalidSignature:
        return False
    return True


def test_signature_of_the_body_by_the_secret_holds():
    assert stripe(signature(BODY, SECRET))


def test_stripes_own_scheme_is_kept_to_the_letter():
    """v1 is the hex HMAC-SHA256 of `<t>.<body>` under the whole secret, `whsec_` included."""
    signed = hmac.new(SECRET.encode(), b"1795348800." + BODY, sha256).hexdigest()

    assert stripe(f"t=1795348800,v1={signed}", now=datetime.fromtimestamp(1795348800, NOON.tzinfo))


@pytest.mark.parametrize("body", [b'{"id":"evt_2"}', BODY + b" ", b"", b'{ "id":"evt_1"}'])
def test_signature_of_other_bytes_does_not_hold(body: bytes):
    assert not stripe(signature(BODY, SECRET), body=body)


def test_signature_by_another_secret_does_not_hold():
    assert not stripe(signature(BODY, OTHER))


def test_any_secret_of_the_workspace_may_sign():
    assert stripe(signature(BODY, OTHER), SECRET, OTHER)
    assert stripe(signature(BODY, SECRET), SECRET, OTHER)


def test_any_signature_of_the_header_may_match():
    assert stripe(signature(BODY, "whsec_old", SECRET))


def test_workspace_without_secrets_takes_no_webhook():
    with pytest.raises(InvalidSignature):
        check_stripe(signature(BODY, SECRET), BODY, (), now=NOON)


def test_other_schemes_are_passed_over():
    stamp = seconds(NOON)
    signed = signature(BODY, SECRET).partition("v1=")[2]

    assert not stripe(f"t={stamp},v0={signed}")
    assert stripe(f"t={stamp},v0=abc,v1={signed}")


@pytest.mark.parametrize(("away", "holds"), [(0, True), (300, True), (301, False), (86_400, False)])
@pytest.mark.parametrize("side", [-1, 1])
def test_signature_holds_for_300_seconds_on_either_side(side: int, away: int, *, holds: bool):
    at = NOON + side * timedelta(seconds=away)

    assert stripe(signature(BODY, SECRET, at=at)) is holds


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=,v1=",
        "v1=00",
        "t=abc,v1=00",
        "t=-5,v1=00",
        "t=²,v1=00",
        f"t={'9' * 400},v1=00",
        "t=1795348800",
        ",,,===",
        "v1=é",
        "v1=é,t=1795348800",
    ],
)
def test_header_of_another_form_does_not_hold(header: str):
    assert not stripe(header)


def test_first_time_of_a_header_counts():
    signed = signature(BODY, SECRET).partition("v1=")[2]

    assert not stripe(f"t=1,t={seconds(NOON)},v1={signed}")


# --- Standard Webhooks ---------------------------------------------------------------------------

KEY = b"24 bytes of a real secret"
PACKED = "whsec_" + base64.b64encode(KEY).decode()


def standard_signature(body: bytes, *, key: bytes = KEY, at: datetime = NOON) -> str:
    signed = hmac.new(key, b"msg_1.%d." % seconds(at) + body, sha256).digest()
    return "v1," + base64.b64encode(signed).decode()


def standard(
    header: str,
    *secrets: str,
    message_id: str = "msg_1",
    timestamp: str = str(seconds(NOON)),
    now: datetime = NOON,
) -> bool:
    try:
        check_standard(message_id, timestamp, header, BODY, secrets or (PACKED,), now=now)
    except InvalidSignature:
        return False
    return True


def test_standard_signature_is_under_what_the_secret_packs():
    assert standard(standard_signature(BODY))
    assert not standard(standard_signature(BODY, key=PACKED.encode()))


def test_standard_secret_may_come_without_its_prefix():
    assert standard(standard_signature(BODY), PACKED.removeprefix("whsec_"))


def test_standard_secret_that_is_not_packed_is_the_key_itself():
    assert standard(standard_signature(BODY, key=b"no base64!"), "no base64!")


def test_example_of_the_standard_holds():
    """The test vector that the libraries of Standard Webhooks share."""
    check_standard(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "1614265330",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        now=datetime.fromtimestamp(1614265330, NOON.tzinfo),
    )


def test_any_of_several_standard_signatures_may_match():
    good = standard_signature(BODY)

    assert standard(f"v1,AAAA v1a,{good[3:]} {good}")
    assert not standard(f"v1,AAAA v1a,{good[3:]}")


def test_standard_signature_is_of_this_message_and_time():
    assert not standard(standard_signature(BODY), message_id="msg_2")
    assert not standard(standard_signature(BODY), message_id="")
    assert not standard(standard_signature(BODY), timestamp=str(seconds(NOON) - 1))


@pytest.mark.parametrize(("away", "holds"), [(300, True), (301, False)])
@pytest.mark.parametrize("side", [-1, 1])
def test_standard_signature_holds_for_300_seconds_on_either_side(
    side: int, away: int, *, holds: bool
):
    at = NOON + side * timedelta(seconds=away)

    signed = standard(standard_signature(BODY, at=at), timestamp=str(seconds(at)))

    assert signed is holds
