"""Personal fields have one place, `data.personal`, and stand nowhere else."""

from typing import Any

import pytest

from tests.unit.ingest.builders import data_of, only, refusal, track


def identify(traits: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": "u", "messageId": "m", "traits": traits, **fields}


@pytest.mark.parametrize("name", ["email", "phone", "address", "ip", "Email", "PHONE"])
def test_personal_property_of_use_is_moved(name: str):
    data = data_of(only(track(properties={name: "secret", "rows": 1})))

    assert data["personal"] == {name.lower(): "secret"}
    assert data["properties"] == {"rows": 1}


def test_name_of_a_property_cannot_hide_behind_an_escape():
    source = b'{"type":"track","event":"E","userId":"u","properties":{"\\u0065mail":"a@b.c","n":1}}'

    data = data_of(only(source))

    assert data["personal"] == {"email": "a@b.c"}
    assert data["properties"] == {"n": 1}


def test_values_keep_their_bytes_when_they_move():
    source = (
        b'{"type":"track","event":"E","userId":"u",'
        b'"properties":{"n": 1.50,"address":{ "city":"S\\u00e3o" },"m":[ ]}}'
    )

    event = only(source)

    assert bytes(event.event.personal) == b'{"address":{ "city":"S\\u00e3o" }}'
    assert bytes(event.event.properties) == b'{"n":1.50,"m":[ ]}'


def test_word_email_in_a_value_moves_nothing():
    data = data_of(only(track(properties={"channel": "email", "email_count": 2})))

    assert "personal" not in data
    assert data["properties"] == {"channel": "email", "email_count": 2}


@pytest.mark.parametrize(
    "name",
    [
        "email", "name", "firstName", "first_name", "lastName", "phone", "address", "ip",
        "birthday", "avatar", "username", "description", "age", "gender",
    ],
)  # fmt: skip
def test_personal_trait_is_moved(name: str):
    data = data_of(only(identify({name: "secret", "plan": "team"})))

    assert "secret" in data["personal"].values()
    assert data["traits"] == {"plan": "team"}


def test_first_and_last_name_make_up_the_name():
    data = data_of(only(identify({"firstName": "Ada", "last_name": "Lovelace"})))

    assert data["personal"] == {
        "name": "Ada Lovelace",
        "first_name": "Ada",
        "last_name": "Lovelace",
    }


def test_sent_name_is_not_replaced_by_its_parts():
    assert data_of(only(identify({"name": "Ada L.", "firstName": "Ada"})))["personal"]["name"] == (
        "Ada L."
    )


def test_null_says_nothing_of_a_person():
    assert "personal" not in data_of(only(identify({"email": None, "plan": "x"})))


def test_email_that_is_no_text_is_refused():
    assert refusal(identify({"email": 5})) == "schema_violation"


def test_name_of_an_account_is_not_personal_but_its_email_is():
    event = only(
        {"type": "group", "userId": "u", "groupId": "g", "traits": {"name": "Acme", "email": "a@b"}}
    )

    assert event.event.name == "Acme"
    assert data_of(event)["personal"] == {"email": "a@b"}
    assert data_of(event)["traits"] == {"name": "Acme"}


def test_traits_of_the_context_count_for_a_person():
    event = only(identify({"plan": "x"}, context={"traits": {"email": "a@b", "plan": "y"}}))

    assert data_of(event)["personal"] == {"email": "a@b"}
    assert data_of(event)["traits"] == {"plan": "x"}
