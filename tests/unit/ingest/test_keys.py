"""The form of API keys, and what workspaces may be called and set to."""

import pytest

from services.ingest.model import keys, workspace

SECRET = bytes(range(32))


def test_key_says_its_scope_and_its_id():
    key = keys.new_key("write", keys.key_id(b"12345678"), SECRET)

    assert key.startswith(keys.shown_prefix("write", keys.key_id(b"12345678")) + "_")
    assert keys.is_well_formed(key)


def test_every_secret_makes_another_key():
    assert keys.new_key("read", "id", SECRET) != keys.new_key("read", "id", SECRET[::-1])


@pytest.mark.parametrize("place", range(0, 60, 7))
def test_mistyped_key_is_told_by_its_checksum(place: int):
    key = keys.new_key("write", keys.key_id(b"12345678"), SECRET)
    other = "A" if key[place] != "A" else "B"

    assert not keys.is_well_formed(key[:place] + other + key[place + 1 :])


@pytest.mark.parametrize("text", ["", "ms_", "ms_write", "sk_live_1234567890", "ms_é", "x" * 5000])
def test_what_is_no_key_is_told(text: str):
    assert not keys.is_well_formed(text)


@pytest.mark.parametrize("text", ["a", "acme-2", "0", "a" * 63])
def test_id_of_a_workspace_is_accepted(text: str):
    assert workspace.workspace_id(text) == text


@pytest.mark.parametrize("text", ["", "a" * 64, "Acme", "a_b", "a/b", "a\n", "é"])
def test_id_that_is_none_is_refused(text: str):
    with pytest.raises(ValueError, match="lower-case"):
        workspace.workspace_id(text)


@pytest.mark.parametrize("text", ["krw", "KRW", "Eur"])
def test_currency_is_accepted_in_any_case(text: str):
    assert workspace.currency(text) == text.upper()


@pytest.mark.parametrize("text", ["xyz", "KR", "KRWW", "", "€"])
def test_currency_that_is_none_is_refused(text: str):
    with pytest.raises(ValueError, match="ISO 4217"):
        workspace.currency(text)


@pytest.mark.parametrize("text", ["Asia/Seoul", "UTC", "America/Argentina/Buenos_Aires"])
def test_zone_is_accepted(text: str):
    assert workspace.time_zone(text) == text


@pytest.mark.parametrize("text", ["Mars/Olympus", "", "asia/seoul", "../etc/passwd", "+09:00"])
def test_zone_that_is_none_is_refused(text: str):
    with pytest.raises(ValueError, match="IANA"):
        workspace.time_zone(text)


@pytest.mark.parametrize("text", ["0", "1", "0.80", "1.0", "5e-1"])
def test_margin_from_0_to_1_is_accepted(text: str):
    assert workspace.margin(text) == text


@pytest.mark.parametrize("text", ["-0.1", "1.01", "80%", "", "NaN", "Infinity"])
def test_margin_beyond_is_refused(text: str):
    with pytest.raises(ValueError, match="is"):
        workspace.margin(text)


@pytest.mark.parametrize("text", ["stripe", "standard", "a b", "", "/health", "x" * 65])
def test_source_that_would_be_mistaken_is_refused(text: str):
    with pytest.raises(ValueError, match="is"):
        workspace.source(text)


def test_mapping_names_native_types_with_or_without_version():
    assert workspace.event_mapping({"A": "user.signed_up.v1", "B": "ticket.opened"}) == {
        "A": "user.signed_up",
        "B": "ticket.opened",
    }
    with pytest.raises(ValueError, match=r"usage\.tracked"):
        workspace.event_mapping({"A": "usage.tracked"})
