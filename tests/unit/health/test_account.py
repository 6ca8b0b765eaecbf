"""What was said of accounts and people: the later word stands, whatever comes first."""

from datetime import date
from itertools import permutations

from services.health.model.account import (
    MemberKey,
    Person,
    Seen,
    account_upserted,
    members_of,
    user_identified,
)
from shared.events.told import Profile
from tests.unit.health.builders import identified, instant, upserted, used


def profile_after(*events: object) -> dict[str, object]:
    profile: Profile = {}
    for event in events:
        profile, caused = account_upserted(profile, event)  # type: ignore[arg-type]
        assert caused == ()
    return {name: told.value for name, told in profile.items()}


def test_only_named_fields_change():
    profile = profile_after(
        upserted("2026-03-01", name="Acme", plan="team", seats=40),
        upserted("2026-03-02", plan="business"),
    )

    assert profile == {"name": "Acme", "plan": "business", "seats": 40}


def test_the_later_word_stands_in_every_order():
    events = [
        upserted("2026-03-01", name="Acme", owner="ann@example.com"),
        upserted("2026-03-02", name="Acme Ltd", tags=["new"]),
        upserted("2026-03-03", owner="bob@example.com"),
        upserted("2026-03-03", owner="cyd@example.com"),
    ]

    outcomes = [profile_after(*order) for order in permutations(events)]

    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert outcomes[0]["name"] == "Acme Ltd"


def test_a_value_that_is_false_or_zero_is_named():
    profile = profile_after(
        upserted("2026-03-01", seats=40, synthetic=True),
        upserted("2026-03-02", seats=0, synthetic=False),
    )

    assert profile == {"seats": 0, "synthetic": False}


def test_a_person_was_identified_when_the_earliest_event_says():
    later = identified("2026-03-02", user="ada", role="admin")
    earlier = identified("2026-03-01", user="ada", role="user")

    person, _ = user_identified(Person(profile={}), later)
    person, _ = user_identified(person, earlier)

    assert person.identified_at == instant("2026-03-01")
    assert person.profile["role"].value == "admin"


def test_whoever_is_named_with_an_account_is_its_member():
    batch = [
        used("2026-03-02", user="ada"),
        used("2026-03-05", user="ada"),
        used("2026-03-01", user=None),
        used("2026-03-01", user="bob", account=None),
    ]

    assert members_of(batch) == {
        MemberKey("w1", "acme", "ada"): Seen(date(2026, 3, 2), date(2026, 3, 5))
    }
