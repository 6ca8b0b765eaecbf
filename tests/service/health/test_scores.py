"""From events in Kafka to scores over HTTP, through the running service."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from math import exp, log
from random import Random

import pytest

from deploy.local.waiting import wait_until
from services.health.model.score import habit_of, scale_of, usage_health
from shared.events.ingest import USAGE_HISTORY, USAGE_OVERFLOW
from tests.service.health.conftest import AWAIT_SECONDS, Tenant
from tests.unit.health.builders import active, identified, instant, upserted, used

DAYS = ("2026-01-05", "2026-01-14", "2026-02-02", "2026-02-03")


def expected(*days: str, at: str, silence_days: int = 90) -> float:
    scale = scale_of(silence_days)
    habit = habit_of([active(day) for day in days], scale)
    assert habit is not None
    return usage_health(habit, instant(at), scale)


def test_events_become_a_score_with_reasons_that_add_up(tenant: Tenant):
    tenant.send(*(used(f"{day}T12:00", workspace=tenant.workspace, event_id=day) for day in DAYS))
    tenant.wait_for_events("acme", len(DAYS), "2026-03-01")

    body = tenant.get("/v1/accounts/acme/score", as_of="2026-03-01").json()

    assert body["score"] == body["usage_health"] == expected(*DAYS, at="2026-03-01")
    assert body["band"] == "amber"
    assert body["coverage"] == 1
    assert sum(part["points"] for part in body["contributions"]) == pytest.approx(body["score"])
    assert body["contributions"][0]["words"] == (
        "3 active weeks of the last 13; usually every 6 days, now 25"
    )
    assert body["events"] == list(reversed(DAYS))
    assert body["freshness"]["last_event_at"] == "2026-02-03T12:00:00Z"
    assert body["override"] is None


def test_an_event_counts_behind_its_instant_and_not_at_it(tenant: Tenant):
    tenant.send(used("2026-03-02T12:00", workspace=tenant.workspace))
    tenant.wait_for_events("acme", 1, "2026-03-03")

    at = tenant.get("/v1/accounts/acme/score", as_of="2026-03-02T12:00:00Z").json()
    behind = tenant.get("/v1/accounts/acme/score", as_of="2026-03-02T12:00:00.000001Z").json()

    assert (at["score"], at["band"], at["coverage"]) == (None, "unknown", 0)
    assert behind["score"] == pytest.approx(100 / (1 + exp(1.8 - 2.25 * log(1.5))), abs=1e-6)


def test_late_and_shuffled_events_of_all_lanes_give_the_same_score(tenant: Tenant):
    days = [f"{instant('2025-06-01') + timedelta(days=3 * n):%Y-%m-%d}" for n in range(60)]
    events = [used(f"{day}T12:00", workspace=tenant.workspace) for day in days]
    Random(7).shuffle(events)

    tenant.send(*events[:20])
    tenant.send(*events[20:40], topic=USAGE_HISTORY.name)
    tenant.send(*events[40:], topic=USAGE_OVERFLOW.name)
    tenant.wait_for_events("acme", len(days), "2025-11-29")

    assert tenant.health("acme", "2025-12-15") == expected(*days, at="2025-12-15")


def test_a_second_delivery_changes_nothing(tenant: Tenant):
    event = used("2026-03-02T12:00", workspace=tenant.workspace, event_id="default once")
    tenant.send(event, event)
    tenant.send(event, topic=USAGE_HISTORY.name)
    tenant.send(event, used("2026-03-03T12:00", workspace=tenant.workspace))
    tenant.send(used("2026-03-04T12:00", workspace=tenant.workspace), topic=USAGE_HISTORY.name)

    tenant.wait_for_events("acme", 3, "2026-03-05")

    assert tenant.events("acme", "2026-03-05") == 3


def test_workspaces_with_the_same_account_id_never_see_each_other(
    new_tenant: Callable[[], Tenant],
):
    one, other = new_tenant(), new_tenant()
    one.send(used("2026-03-02T12:00", workspace=one.workspace))
    other.send(
        used("2025-03-02T12:00", workspace=other.workspace),
        used("2026-03-01T12:00", workspace=other.workspace, account="theirs"),
    )
    one.wait_for_events("acme", 1, "2026-03-03")
    other.wait_for_events("theirs", 1, "2026-03-03")

    assert one.health("acme", "2026-03-03") == expected("2026-03-02", at="2026-03-03")
    assert other.health("acme", "2026-03-03") == expected("2025-03-02", at="2026-03-03")
    theirs, nobodys = one.get("/v1/accounts/theirs"), one.get("/v1/accounts/nobodys")
    assert (theirs.status_code, theirs.json()["code"]) == (404, "account_unknown")
    assert theirs.text.replace("theirs", "nobodys") == nobodys.text


def test_another_silence_rescales_every_score(tenant: Tenant):
    tenant.send(*(used(f"{day}T12:00", workspace=tenant.workspace) for day in DAYS))
    tenant.wait_for_events("acme", len(DAYS), "2026-03-01")

    tenant.configure(silence_days=45)

    wanted = expected(*DAYS, at="2026-03-01", silence_days=45)
    assert wait_until(
        lambda: tenant.health("acme", "2026-03-01") == wanted, timeout_seconds=AWAIT_SECONDS
    )
    tenant.send(used("2026-03-02T12:00", workspace=tenant.workspace))
    tenant.wait_for_events("acme", len(DAYS) + 1, "2026-03-03")
    assert tenant.health("acme", "2026-03-03") == expected(
        *DAYS, "2026-03-02", at="2026-03-03", silence_days=45
    )


def test_all_scores_come_as_csv_with_t_as_given_and_full_precision(tenant: Tenant):
    accounts = [f"a{number:04}" for number in range(1100)]
    tenant.send(
        *(used("2026-03-02T12:00", workspace=tenant.workspace, account=a) for a in accounts),
        used("2026-03-20T12:00", workspace=tenant.workspace, account="later"),
        used("2026-03-02T12:00", workspace=tenant.workspace, account="=1+1"),
        used("2026-03-02T12:00", workspace=tenant.workspace, account="walk", synthetic=True),
    )
    for account in (*accounts[::100], "later", "=1+1"):
        tenant.wait_for_events(account, 1, "2026-03-21")
    assert wait_until(
        lambda: len(tenant.get("/v1/scores", as_of="2026-03-10").json()["items"]) == 1101,
        timeout_seconds=AWAIT_SECONDS,
    )

    answer = tenant.get("/v1/scores", as_of="2026-03-10T00:00:00+00:00", format="csv")
    listed = list(csv.DictReader(io.StringIO(answer.text)))

    assert answer.headers["content-type"].startswith("text/csv")
    assert [line["account"] for line in listed] == ["'=1+1", *accounts]
    assert {line["t"] for line in listed} == {"2026-03-10T00:00:00+00:00"}
    assert {line["usage_health"] for line in listed} == {
        repr(expected("2026-03-02", at="2026-03-10"))
    }
    assert {(line["score"], line["band"]) for line in listed} == {
        (listed[0]["usage_health"], "red")
    }


def test_scores_before_the_newest_event_are_those_of_then(tenant: Tenant):
    tenant.send(*(used(f"{day}T12:00", workspace=tenant.workspace) for day in DAYS))
    tenant.wait_for_events("acme", len(DAYS), "2026-03-01")

    (then,) = tenant.get("/v1/scores", as_of="2026-01-20").json()["items"]

    assert then["usage_health"] == expected(*DAYS[:2], at="2026-01-20")
    assert tenant.get("/v1/scores", as_of="2026-01-05").json() == {"items": []}


def test_history_shows_the_score_at_every_step(tenant: Tenant):
    tenant.send(*(used(f"{day}T12:00", workspace=tenant.workspace) for day in DAYS))
    tenant.wait_for_events("acme", len(DAYS), "2026-03-01")

    items = tenant.get(
        "/v1/accounts/acme/score/history",
        **{"from": "2026-01-01", "to": "2026-03-01", "step": "1d"},
    ).json()["items"]

    assert len(items) == 60
    assert (items[0]["t"], items[0]["score"]) == ("2026-01-01T00:00:00Z", None)
    assert all(item["usage_health"] == tenant.health("acme", item["t"]) for item in items[3::8])


@pytest.mark.parametrize(
    ("path", "parameters", "said"),
    [
        ("/v1/accounts/acme/score", {"as_of": "yesterday"}, "as_of"),
        ("/v1/accounts/acme/score", {"as_of": "2026-02-30"}, "as_of"),
        ("/v1/scores", {"as_of": "0001-01-01T00:00:00+14:00"}, "as_of"),
        ("/v1/scores", {"as_of": "20260301"}, "as_of"),
        ("/v1/accounts/acme", {"as_of": "0001-01-01"}, "as_of"),
        ("/v1/accounts", {"text": "\0"}, "text"),
        ("/v1/accounts", {"cursor": "é"}, "cursor"),
        ("/v1/accounts", {"cursor": "e30"}, "cursor"),
        ("/v1/scores", {"format": "xml"}, "format"),
        ("/v1/accounts", {"cursor": "?"}, "cursor"),
        ("/v1/accounts", {"sort": "size"}, "sort"),
        ("/v1/accounts", {"limit": 501}, "limit"),
        ("/v1/accounts/acme/score/history", {"step": "0d"}, "step"),
        ("/v1/accounts/acme/score/history", {"from": "2000-01-01", "step": "1h"}, "step"),
        ("/v1/accounts/acme/score/history", {"from": "2026-01-02", "to": "2026-01-01"}, "from"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_named(
    tenant: Tenant, path: str, parameters: dict[str, str], said: str
):
    answer = tenant.get(path, **parameters)

    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_request"
    assert said in answer.json()["message"]


def test_without_a_key_nothing_is_shown(tenant: Tenant):
    stranger = Tenant(tenant.workspace, "wrong", tenant.bootstrap, tenant.url)

    for path in ("/v1/accounts", "/v1/accounts/acme", "/v1/scores", "/v1/accounts/acme/score"):
        assert stranger.get(path).json()["code"] == "invalid_key"


def test_accounts_come_by_score_page_by_page_and_filtered(tenant: Tenant):
    where = {"workspace": tenant.workspace}
    for number in range(1, 6):
        day = instant("2026-03-01T12:00") - timedelta(days=number)
        tenant.send(
            *(used(day - timedelta(days=7 * n), account=f"a{number}", **where) for n in range(3))
        )
    tenant.send(
        upserted("2026-01-01", name="Zeta", owner="ann@x.io", where={**where, "account": "a2"}),
        upserted("2026-01-02", segment="smb", where={**where, "account": "a2"}),
        upserted("2026-01-01", name="Silent", where={**where, "account": "silent"}),
        upserted("2026-01-01", synthetic=True, where={**where, "account": "walk"}),
    )
    for number in range(1, 6):
        tenant.wait_for_events(f"a{number}", 3, "2026-03-01")
    assert wait_until(
        lambda: tenant.get("/v1/accounts/walk").is_success, timeout_seconds=AWAIT_SECONDS
    )

    pages, cursor = [], None
    while True:
        page = tenant.get(
            "/v1/accounts",
            **({"as_of": "2026-03-01", "limit": 2} | ({"cursor": cursor} if cursor else {})),
        ).json()
        pages.append([item["account"] for item in page["items"]])
        if (cursor := page["next_cursor"]) is None:
            break
    assert pages == [["a5", "a4"], ["a3", "a2"], ["a1", "silent"]]

    def listed(**query: str) -> list[str]:
        found = tenant.get("/v1/accounts", as_of="2026-03-01", **query).json()["items"]
        return [item["account"] for item in found]

    assert listed(sort="-score")[:2] == ["a1", "a2"]
    assert listed(sort="name")[:2] == ["silent", "a2"]
    assert listed(sort="-last_event")[:2] == ["a1", "a2"]
    assert listed(owner="ann@x.io") == listed(segment="smb") == listed(text="ZET") == ["a2"]
    assert listed(band="unknown") == ["silent"]
    (silent,) = tenant.get("/v1/accounts", band="unknown").json()["items"]
    assert (silent["score"], silent["reason"]) == (None, "no use of the product so far")


def test_an_account_is_shown_with_its_people_and_its_use(tenant: Tenant):
    where = {"workspace": tenant.workspace}
    tenant.send(
        upserted("2026-01-02", name="Acme", seats=40, user="ada", where=where),
        upserted("2026-01-01", name="Acme Inc", plan="team", where=where),
        identified("2026-02-01", user="ada", role="champion", where={**where, "account": None}),
    )
    tenant.send(
        used("2026-02-20T12:00", user="ada", feature="reports", **where),
        used("2026-02-27T12:00", user="ada", feature="reports", **where),
        used("2026-02-28T12:00", user="bob", feature="boards", **where),
        used("2026-02-28T13:00", user="ada", feature="boards", **where),
        used("2026-03-01T00:00", user="eve", feature="later", **where),
    )
    tenant.wait_for_events("acme", 5, "2026-03-02")

    def person_is_known() -> bool:
        users = tenant.get("/v1/accounts/acme", as_of="2026-03-01").json()["users"]
        return {user["user"]: user["role"] for user in users} == {"ada": "champion", "bob": None}

    assert wait_until(person_is_known, timeout_seconds=AWAIT_SECONDS)
    body = tenant.get("/v1/accounts/acme", as_of="2026-03-01").json()

    profile = {name: value for name, value in body["profile"].items() if value is not None}
    assert profile == {"name": "Acme", "plan": "team", "seats": 40}
    assert body["users_total"] == 2
    ada = next(user for user in body["users"] if user["user"] == "ada")
    assert ada == {
        "user": "ada",
        "role": "champion",
        "signed_up_at": "2026-02-01T00:00:00Z",
        "first_seen_on": "2026-01-02",
        "last_seen_on": "2026-02-28",
        "events": 3,
    }
    usage = body["usage"]
    assert (usage["events"], usage["active_days"], usage["active_users"]) == (4, 3, 2)
    assert usage["top_user"] == {"user": "ada", "share": 0.75}
    assert usage["breadth"] == 2
    assert usage["strip"][-2:] == [
        {"day": "2026-02-27", "events": 1},
        {"day": "2026-02-28", "events": 2},
    ]
    assert len(usage["strip"]) == 182
    assert body["score"]["score"] == tenant.health("acme", "2026-03-01")
    unknown = ("signals", "onboarding", "contract", "nps", "mrr", "contacts")
    assert all(body[part] is None for part in unknown)


def test_an_account_id_may_hold_slashes(tenant: Tenant):
    tenant.send(used("2026-03-02T12:00", account="eu/acme", workspace=tenant.workspace))

    tenant.wait_for_events("eu/acme", 1, "2026-03-03")

    assert tenant.health("eu%2Facme", "2026-03-03") == expected("2026-03-02", at="2026-03-03")
