"""Personal fields: moved out of properties and traits into `data.personal`, their only place.

Values stay byte for byte as sent; only their place changes.
"""

from collections.abc import Mapping

import msgspec
from msgspec import UNSET, Raw, UnsetType

Fields = dict[str, Raw]

# As sent, in lower case -> as carried on.
PERSONAL_PROPERTIES: dict[str, str] = {
    "email": "email",
    "phone": "phone",
    "address": "address",
    "ip": "ip",
}
PERSONAL_TRAITS: dict[str, str] = PERSONAL_PROPERTIES | {
    "name": "name",
    "first_name": "first_name",
    "firstname": "first_name",
    "last_name": "last_name",
    "lastname": "last_name",
    "middle_name": "middle_name",
    "middlename": "middle_name",
    "full_name": "full_name",
    "fullname": "full_name",
    "nickname": "nickname",
    "username": "username",
    "user_name": "username",
    "birthday": "birthday",
    "birth_date": "birthday",
    "birthdate": "birthday",
    "date_of_birth": "birthday",
    "age": "age",
    "gender": "gender",
    "avatar": "avatar",
    "phone_number": "phone_number",
    "phonenumber": "phone_number",
    "description": "description",
}

_encode = msgspec.json.Encoder().encode
_decode_fields = msgspec.json.Decoder(Fields).decode


def fields_of(part: Raw | bytes) -> Fields:
    """The members of a JSON object, each value as its source bytes."""
    return _decode_fields(part)


def parted(fields: Fields, personal_names: Mapping[str, str]) -> tuple[Fields, Fields]:
    """`fields` without the personal ones, and the personal ones under the names we carry."""
    rest: Fields = {}
    personal: Fields = {}
    for name, value in fields.items():
        carried = personal_names.get(name.lower())
        if carried is None:
            rest[name] = value
        else:
            personal[carried] = value
    return rest, personal


def joined(fields: Fields) -> Raw | UnsetType:
    """One JSON object of `fields`; UNSET where there are none."""
    return Raw(_encode(fields)) if fields else UNSET


def may_hold(properties: bytes) -> bool:
    """Whether `properties` may name a personal field; False is sure, True has to be looked at."""
    lowered = properties.lower()
    return any(name in lowered for name in _QUOTED) or (b"\\" in lowered and b"\\u00" in lowered)


# An escape of an ASCII letter could hide a name; `may_hold` then has it read.
_QUOTED = tuple(f'"{name}"'.encode() for name in PERSONAL_PROPERTIES)
