"""What health gave up on: seen, applied after all or discarded, by its own workspace alone."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from deploy.local.layout import ROOT
from deploy.local.waiting import wait_until
from shared.events.base import Received
from shared.events.ingest import KeyIssued, UsageTracked
from tests.service.health.conftest import AWAIT_SECONDS, Tenant
from tests.support.letters import keep_letters
from tests.support.processes import ServiceProcess
from tests.unit.health.builders import received, used, wire

NOBODYS = "00000000-0000-4000-8000-000000000000"
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Manager:
    """A tenant that also has a manage key, and the database behind the service."""

    tenant: Tenant
    database_url: str

    @property
    def key(self) -> str:
        return f"manage-{self.tenant.key}"

    def post(self, path: str, body: Any = None, **parameters: Any) -> httpx.Response:
        return httpx.post(
            f"{self.tenant.url}/v1/dead-letters{path}",
            json=body,
            params=parameters,
            headers={"authorization": f"Bearer {self.key}"},
            timeout=20,
        )

    def get(self, path: str = "", **parameters: Any) -> httpx.Response:
        return self.tenant.get(f"/v1/dead-letters{path}", **parameters)

    def used(self, account: str, **where: Any) -> Received[Any]:
        """Use of an account of this workspace."""
        return used(AT, account=account, workspace=self.tenant.workspace, **where)

    def events(self) -> int:
        """Use of acme that is counted."""
        return self.tenant.events("acme", as_of="2026-03-10")

    def keep(self, *events: Received[Any], **options: Any) -> list[str]:
        """Letters of an earlier build."""
        return keep_letters(self.database_url, "health", events, **options)

    def broken(self) -> dict[str, Any]:
        """The letter of a record that breaks its contract, sent through Kafka."""
        event = self.used("broken")
        envelope = msgspec.structs.replace(event.envelope, data=msgspec.Raw(b'{"event":7}'))
        self.tenant.send(msgspec.structs.replace(event, envelope=envelope))
        known = wait_until(lambda: bool(self.get().json()["items"]), timeout_seconds=AWAIT_SECONDS)
        assert known
        letter: dict[str, Any] = self.get().json()["items"][0]
        assert base64.b64decode(letter["bytes"]) == wire(
            msgspec.structs.replace(event, envelope=envelope)
        )
        return letter


@pytest.fixture
def new_manager(new_tenant: Callable[[], Tenant], health: ServiceProcess) -> Callable[[], Manager]:
    """Makes workspaces with a manage key that works."""

    def make() -> Manager:
        tenant = new_tenant()
        manager = Manager(tenant, health.environment["DATABASE_URL_HEALTH"])
        issued = KeyIssued(
            key_id=f"m-{tenant.workspace}",
            prefix="ms_manage",
            sha256=sha256(manager.key.encode()).hexdigest(),
            scopes=["manage"],
            source="default",
        )
        tenant.send(received(issued, datetime.now(UTC), account=None, workspace=tenant.workspace))
        known = wait_until(
            lambda: manager.post(f"/{NOBODYS}/redrive").status_code == httpx.codes.NOT_FOUND,
            timeout_seconds=AWAIT_SECONDS,
        )
        assert known, health.last_lines()
        return manager

    return make


@pytest.fixture
def manager(new_manager: Callable[[], Manager]) -> Manager:
    return new_manager()


def outcomes(answer: httpx.Response) -> list[tuple[str, str]]:
    assert answer.status_code == httpx.codes.OK, answer.text
    return [(item["id"], item["outcome"]) for item in answer.json()["items"]]


def refusal(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert answer.json()["message"]
    return answer.status_code, answer.json()["code"]


# --- looking -------------------------------------------------------------------------------------


def test_a_broken_record_is_seen_with_its_reason_and_place(manager: Manager):
    letter = manager.broken()

    assert (letter["state"], letter["code"]) == ("open", "schema_violation")
    assert (letter["lane"], letter["topic"]) == ("live", UsageTracked.topic.name)
    assert (letter["event_type"], letter["key"]) == (
        UsageTracked.type,
        f"{manager.tenant.workspace}/broken",
    )
    assert letter["headers"] == [["content-type", "application/cloudevents+json"]]
    assert letter["offset"] >= 0
    assert letter["appended_at"] <= letter["dead_at"]
    assert letter["redriven_at"] is None
    assert manager.get(f"/{letter['id']}").json() == letter


def test_a_list_is_narrowed_by_each_filter(manager: Manager):
    (early,) = manager.keep(manager.used("a"), code="early", dead_at=AT)
    (late,) = manager.keep(manager.used("a"), code="late", dead_at=AT + timedelta(hours=1))
    manager.post(f"/{late}/discard", {"reason": "test"})

    def listed(**parameters: str) -> list[str]:
        return [item["id"] for item in manager.get(**parameters).json()["items"]]

    assert listed() == listed(state="all") == [late, early]
    assert listed(code="early") == listed(state="open") == [early]
    assert listed(state="discarded") == [late]
    assert listed(state="redriven") == listed(lane="history") == listed(type="no.such.v1") == []
    assert listed(lane="live", type=UsageTracked.type) == [late, early]
    assert listed(**{"from": "2026-03-02T09:00:00Z", "to": "2026-03-02T10:00:00Z"}) == [early]


def test_pages_follow_each_other(manager: Manager):
    letters = manager.keep(*(manager.used("a") for _ in range(5)))

    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = manager.get(limit=2, **cursor).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert sorted(seen) == sorted(letters)


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("", {"code": "a\0b"}),
        ("", {"state": "asleep"}),
        ("", {"from": "yesterday"}),
        ("", {"from": "0001-01-01T00:00:00+14:00"}),
        ("", {"cursor": "Zm9v"}),
        ("", {"limit": "501"}),
        ("/audit", {"cursor": "Zm9v"}),
        ("/audit", {"dead_letter": "no id"}),
    ],
)
def test_what_cannot_be_read_is_refused(manager: Manager, path: str, parameters: dict[str, str]):
    assert refusal(manager.get(path, **parameters)) == (422, "invalid_request")


# --- redrive -------------------------------------------------------------------------------------


def test_a_mended_letter_is_applied_and_shown_so(manager: Manager):
    (letter,) = manager.keep(manager.used("acme"))

    rehearsed = manager.post(f"/{letter}/redrive", dry_run=True)
    untouched = manager.events()
    redriven = manager.post(f"/{letter}/redrive")

    assert rehearsed.json()["outcome"] == redriven.json()["outcome"] == "applied"
    assert redriven.json()["status"] == "applied"
    assert (untouched, manager.events()) == (0, 1)
    shown = manager.get(f"/{letter}").json()
    assert (shown["state"], shown["redriven_by"]) == ("redriven", f"m-{manager.tenant.workspace}")
    assert refusal(manager.post(f"/{letter}/redrive")) == (409, "already_redriven")
    assert refusal(manager.post(f"/{letter}/redrive", dry_run=True)) == (409, "already_redriven")
    assert manager.events() == 1


def test_a_letter_that_is_still_broken_says_so_and_notes_the_try(manager: Manager):
    letter = manager.broken()["id"]

    rehearsed = manager.post(f"/{letter}/redrive", dry_run=True)
    before = manager.get(f"/{letter}").json()["last_tried_at"]
    redriven = manager.post(f"/{letter}/redrive")

    assert (rehearsed.json()["outcome"], rehearsed.json()["code"]) == (
        "still_broken",
        "schema_violation",
    )
    assert before is None
    assert refusal(redriven) == (422, "still_broken")
    assert "schema_violation" in redriven.json()["message"]
    assert manager.get(f"/{letter}").json()["last_tried_at"] is not None
    (entry,) = manager.get("/audit").json()["items"]
    assert (entry["dead_letter"], entry["action"], entry["outcome"], entry["by"]) == (
        letter,
        "redrive",
        "still_broken",
        f"m-{manager.tenant.workspace}",
    )


def test_letters_of_a_reason_are_redriven_together_some_at_a_time(manager: Manager):
    letters = manager.keep(*(manager.used("acme") for _ in range(3)), code="mended")
    manager.keep(manager.used("acme"), code="other")

    rehearsed = manager.post("/redrive", {"code": "mended", "dry_run": True})
    first = manager.post("/redrive", {"code": "mended", "limit": 2})
    second = manager.post(
        "/redrive", {"code": "mended", "limit": 2, "cursor": first.json()["next_cursor"]}
    )

    assert outcomes(rehearsed) == [(letter, "applied") for letter in letters]
    assert outcomes(first) == [(letter, "applied") for letter in letters[:2]]
    assert (first.json()["more"], second.json()["more"]) == (True, False)
    assert outcomes(second) == [(letters[2], "applied")]
    assert second.json()["next_cursor"] is None
    assert manager.events() == 3
    assert len(manager.get(state="open").json()["items"]) == 1


def test_all_letters_are_redriven_only_by_saying_so(manager: Manager):
    manager.keep(manager.used("acme"))

    assert refusal(manager.post("/redrive", {})) == (422, "invalid_request")
    assert refusal(manager.post("/redrive", {"dry_run": True})) == (422, "invalid_request")
    assert refusal(manager.post("/redrive", {"cod": "typo"})) == (422, "invalid_request")
    assert refusal(manager.post("/redrive", {"all": True, "cursor": "Zm9v"})) == (
        422,
        "invalid_request",
    )
    assert manager.events() == 0
    assert len(outcomes(manager.post("/redrive", {"all": True}))) == 1


def test_a_letter_behind_an_open_one_waits_for_it_or_for_its_end(manager: Manager):
    (first,) = manager.keep(manager.used("acme"))
    (second,) = manager.keep(manager.used("acme"), code="parked", behind=first)

    assert refusal(manager.post(f"/{second}/redrive")) == (409, "earlier_letter_open")
    discarded = manager.post(f"/{first}/discard", {"reason": "sent twice by hand"})
    redriven = manager.post(f"/{second}/redrive")

    assert discarded.json() == {"id": first, "state": "discarded"}
    assert redriven.json()["outcome"] == "applied"
    assert refusal(manager.post(f"/{first}/redrive")) == (409, "already_discarded")
    assert refusal(manager.post(f"/{first}/discard", {"reason": "x"})) == (409, "already_discarded")
    shown = manager.get(f"/{first}").json()
    assert (shown["state"], shown["discarded_by"]) == (
        "discarded",
        f"m-{manager.tenant.workspace}",
    )
    entries = manager.get("/audit", dead_letter=first).json()["items"]
    assert [(entry["action"], entry["message"]) for entry in entries] == [
        ("discard", "sent twice by hand")
    ]


def test_a_letter_of_a_lane_that_is_gone_is_refused(manager: Manager):
    (letter,) = manager.keep(manager.used("acme"), lane="retired")

    assert refusal(manager.post(f"/{letter}/redrive")) == (409, "lane_gone")


@pytest.mark.parametrize(
    "body", [None, {}, {"reason": ""}, {"reason": "a\0b"}, {"reason": "x", "by": "me"}]
)
def test_a_discard_needs_a_reason_and_nothing_else(manager: Manager, body: Any):
    (letter,) = manager.keep(manager.used("acme"))

    assert refusal(manager.post(f"/{letter}/discard", body)) == (422, "invalid_request")


def test_the_audit_comes_page_by_page_the_newest_first(manager: Manager):
    letters = manager.keep(*(manager.used("acme") for _ in range(3)))
    for letter in letters:
        manager.post(f"/{letter}/redrive")

    first = manager.get("/audit", limit=2).json()
    second = manager.get("/audit", limit=2, cursor=first["next_cursor"]).json()

    assert [entry["dead_letter"] for entry in first["items"]] == [letters[2], letters[1]]
    assert [entry["dead_letter"] for entry in second["items"]] == [letters[0]]
    assert second["next_cursor"] is None


# --- who may -------------------------------------------------------------------------------------


def test_a_read_key_may_look_and_not_decide(manager: Manager):
    (letter,) = manager.keep(manager.used("acme"))

    for path, body in (
        (f"/{letter}/redrive", None),
        (f"/{letter}/discard", {"reason": "x"}),
        ("/redrive", {"all": True}),
    ):
        answer = httpx.post(
            f"{manager.tenant.url}/v1/dead-letters{path}",
            json=body,
            headers={"authorization": f"Bearer {manager.tenant.key}"},
        )
        assert refusal(answer) == (403, "scope_missing")
    assert manager.get(f"/{letter}").json()["state"] == "open"


def test_another_workspaces_letter_looks_like_none(new_manager: Callable[[], Manager]):
    owner, stranger = new_manager(), new_manager()
    (theirs,) = owner.keep(owner.used("acme"))
    nobodys = str(uuid4())

    def asked(letter: str) -> list[tuple[int, str]]:
        answers = (
            stranger.get(f"/{letter}"),
            stranger.post(f"/{letter}/redrive"),
            stranger.post(f"/{letter}/redrive", dry_run=True),
            stranger.post(f"/{letter}/discard", {"reason": "x"}),
            stranger.get("/audit", dead_letter=letter),
        )
        return [(answer.status_code, answer.text.replace(letter, "ID")) for answer in answers]

    assert asked(theirs) == asked(nobodys)
    assert [status for status, _ in asked(theirs)] == [404, 404, 404, 404, 200]
    assert stranger.get().json()["items"] == []
    assert outcomes(stranger.post("/redrive", {"all": True})) == []
    assert owner.get(f"/{theirs}").json()["state"] == "open"


def test_ids_that_are_none_are_unknown(manager: Manager):
    for odd in ("no-uuid", "%00", "x" * 100):
        assert refusal(manager.get(f"/{odd}")) == (404, "dead_letter_unknown")
        assert refusal(manager.post(f"/{odd}/redrive")) == (404, "dead_letter_unknown")


# --- the command line ----------------------------------------------------------------------------


@pytest.fixture
def command(health: ServiceProcess) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a verb of `python -m services.health` beside the running service."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "services.health", *arguments],
            cwd=ROOT,
            env={**os.environ, **health.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_the_command_line_redrives_by_reason_and_names_who_did(
    manager: Manager, command: Callable[..., subprocess.CompletedProcess[str]]
):
    code = f"code_{uuid4().hex[:8]}"
    letters = manager.keep(*(manager.used("acme") for _ in range(3)), code=code)

    rehearsed = command("redrive", "--code", code, "--dry-run")
    untouched = manager.events()
    some = command("redrive", "--code", code, "--limit", "2", "--by", "ada")
    rest = command("redrive", "--code", code, "--by", "ada")

    assert (rehearsed.returncode, untouched) == (0, 0)
    assert "3 applied (dry run)" in rehearsed.stdout
    assert (some.returncode, "2 applied" in some.stdout) == (0, True)
    assert (rest.returncode, letters[2] in rest.stdout) == (0, True)
    assert manager.events() == 3
    assert {entry["by"] for entry in manager.get("/audit").json()["items"]} == {"ada"}


def test_the_command_line_tells_by_its_status_what_stays_broken(
    manager: Manager, command: Callable[..., subprocess.CompletedProcess[str]]
):
    broken = manager.broken()["id"]
    (mended,) = manager.keep(manager.used("acme"))

    both = command("redrive", broken, mended, "--by", "ada")
    again = command("redrive", mended, "--by", "ada")

    assert both.returncode == again.returncode == 1
    assert "1 applied, 1 still_broken" in both.stdout
    assert "already_redriven" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--by", "ada"), "--all"),
        (("--all",), "--by"),
        (("--all", "--code", "x", "--by", "ada"), "--all"),
        ((NOBODYS, "--code", "x", "--by", "ada"), "not by both"),
        (("no-uuid", "--by", "ada"), "no-uuid"),
        (("--from", "yesterday", "--by", "ada"), "yesterday"),
        (("--code", "x", "--limit", "0", "--by", "ada"), "less than 1"),
    ],
)
def test_the_command_line_does_nothing_by_accident(
    manager: Manager,
    command: Callable[..., subprocess.CompletedProcess[str]],
    arguments: tuple[str, ...],
    said: str,
):
    (letter,) = manager.keep(manager.used("acme"))

    done = command("redrive", *arguments)

    assert done.returncode == 2
    assert said in done.stderr
    assert manager.get(f"/{letter}").json()["state"] == "open"


def test_the_command_line_lists_and_discards(
    manager: Manager, command: Callable[..., subprocess.CompletedProcess[str]]
):
    code = f"code_{uuid4().hex[:8]}"
    (letter,) = manager.keep(manager.used("acme"), code=code)

    listed = command("dead-letters", "--code", code)
    discarded = command("discard", letter, "--by", "ada", "--reason", "sent by a test")
    left = command("dead-letters", "--code", code)
    unknown = command("discard", NOBODYS, "--by", "ada", "--reason", "x")

    heading, line = listed.stdout.splitlines()
    assert heading.startswith("ID ")
    assert line.index(code) == heading.index("CODE")
    assert (letter in line, manager.tenant.workspace in line) == (True, True)
    assert discarded.returncode == left.returncode == 0
    assert letter not in left.stdout
    assert (unknown.returncode, "dead_letter_unknown" in unknown.stderr) == (1, True)
    (entry,) = manager.get("/audit").json()["items"]
    assert (entry["by"], entry["message"]) == ("ada", "sent by a test")


def test_bodies_that_are_no_json_are_refused(manager: Manager):
    for body in (b"{", b'{"code": "\\ud800"}', json.dumps({"limit": 10**30}).encode()):
        answer = httpx.post(
            f"{manager.tenant.url}/v1/dead-letters/redrive",
            content=body,
            headers={
                "authorization": f"Bearer {manager.key}",
                "content-type": "application/json",
            },
        )
        assert refusal(answer) == (422, "invalid_request")
