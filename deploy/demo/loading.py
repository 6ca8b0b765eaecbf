"""Brings the company into a running Mainstay, through its public doors and nothing else."""

import asyncio
import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import msgspec

from deploy.demo.billing import facts, paying
from deploy.demo.customers import HISTORY_WEEKS, Customer, Person, customers
from deploy.demo.use import Use, use
from deploy.local import environment, layout
from deploy.local.errors import StackError
from deploy.local.progress import say, step
from deploy.local.waiting import wait_until
from importer.errors import ImportFault
from importer.history import Plan, import_file
from importer.mapping import ColumnMapping
from importer.progress import view

FOLDER = layout.HOME / "demo"
NEEDED = (
    "INGEST_URL",
    "HEALTH_URL",
    "METRICS_URL",
    "CONSOLE_URL",
    "MAIL_URL",
    "WRITE_KEY",
    "READ_KEY",
    "MANAGE_KEY",
)
CAUGHT_UP_SECONDS = 180.0
PAGE_ACCOUNTS = 500
FACTS_AT_ONCE = 500
COLUMNS = {"time": "at", "properties.rows": "rows"}  # the others bear their targets' names


@dataclass(frozen=True)
class Mainstay:
    """Where the running Mainstay is, and the keys of its demo workspace."""

    variables: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.variables[name]

    def post(self, path: str, body: Any) -> None:
        """Send to ingest with the write key. Raises StackError when it is refused."""
        answer = httpx.post(
            f"{self['INGEST_URL']}{path}", json=body, headers=self._key("WRITE_KEY"), timeout=30
        )
        if not answer.is_success or answer.json().get("rejected"):
            raise StackError(f"ingest refuses {path}: {answer.status_code} {answer.text[:300]}")

    def bill(self, told: Sequence[dict[str, Any]]) -> None:
        """Send billing facts with the write key. Raises StackError when one is refused."""
        answer = httpx.post(
            f"{self['INGEST_URL']}/v1/billing",
            json={"facts": told},
            headers=self._key("WRITE_KEY"),
            timeout=30,
        )
        results = answer.json().get("results", [{"status": "rejected"}])
        if not answer.is_success or any(one["status"] == "rejected" for one in results):
            raise StackError(f"ingest refuses facts: {answer.status_code} {answer.text[:300]}")

    def month(self, month: str) -> Mapping[str, Any] | None:
        """The revenue report of a month; None where the ledger does not have it yet."""
        answer = httpx.get(
            f"{self['METRICS_URL']}/v1/revenue/months",
            params={"from": month, "to": month},
            headers=self._key("READ_KEY"),
            timeout=30,
        )
        if not answer.is_success:
            raise StackError(f"metrics refuses: {answer.status_code} {answer.text[:300]}")
        report: Mapping[str, Any] | None = answer.json()["months"].get(month)
        return report

    def accounts(self) -> Iterator[Mapping[str, Any]]:
        """All accounts of the workspace as health lists them, the lowest score first."""
        cursor: str | None = None
        with httpx.Client(base_url=self["HEALTH_URL"], timeout=30) as health:
            while True:
                page = {"limit": PAGE_ACCOUNTS} | ({"cursor": cursor} if cursor else {})
                answer = health.get("/v1/accounts", params=page, headers=self._key("READ_KEY"))
                if not answer.is_success:
                    raise StackError(f"health refuses: {answer.status_code} {answer.text[:300]}")
                yield from answer.json()["items"]
                if (cursor := answer.json()["next_cursor"]) is None:
                    return

    def _key(self, name: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self[name]}"}


class Loaded(msgspec.Struct, frozen=True):
    """What an earlier run has brought in: into which workspace, seen from which day, until when."""

    workspace: str
    first_day: date
    through: datetime


def find_mainstay() -> Mainstay:
    """The running Mainstay, from the environment, else from `.local/env`."""
    written = environment.written()
    variables = {name: os.environ.get(name) or written.get(name, "") for name in NEEDED}
    if missing := [name for name, value in variables.items() if not value]:
        raise StackError(f"Mainstay is not up here ({', '.join(missing)} unknown): make up")
    return Mainstay(variables)


def load(mainstay: Mainstay, now: datetime) -> None:
    """Bring in all that is missing up to `now`. Interrupted or repeated, nothing is doubled."""
    try:
        _load(mainstay, now)
    except httpx.TransportError as error:
        raise StackError(f"Mainstay does not answer: {error} (make status)") from error
    except ImportFault as fault:
        raise StackError(f"the import stopped: {fault}") from fault


def _load(mainstay: Mainstay, now: datetime) -> None:
    earlier = _earlier(mainstay)
    first_day = earlier.first_day if earlier else now.date()
    company = customers(first_day)
    beginning = datetime.combine(first_day, time(), UTC) - timedelta(weeks=HISTORY_WEEKS)
    since = earlier.through if earlier and _knows_all(mainstay, company) else beginning
    if since == beginning:
        # Kept from the first moment: a run that goes on tomorrow must tell the same story.
        _keep(Loaded(_workspace(mainstay), first_day, beginning))
        _introduce(mainstay, company)
        _bill(mainstay, list(facts(company, first_day)), now)
    events = list(use(company, first_day, since=since, until=now))
    if events:
        _import(mainstay, events)
    _await(mainstay, company, events)
    _keep(Loaded(_workspace(mainstay), first_day, now))


def _keep(loaded: Loaded) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "loaded.json").write_bytes(msgspec.json.encode(loaded))


def _earlier(mainstay: Mainstay) -> Loaded | None:
    """What was loaded into this very workspace before; None for nothing."""
    try:
        found = msgspec.json.decode((FOLDER / "loaded.json").read_bytes(), type=Loaded)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    return found if found.workspace == _workspace(mainstay) else None


def _workspace(mainstay: Mainstay) -> str:
    """Tells this workspace from one that was made after a reset, without keeping the key."""
    told = f"{mainstay['INGEST_URL']} {mainstay['WRITE_KEY']}"
    return sha256(told.encode()).hexdigest()[:16]


def _knows_all(mainstay: Mainstay, company: Sequence[Customer]) -> bool:
    known = {item["account"] for item in mainstay.accounts()}
    return known >= {customer.account for customer in company}


def _introduce(mainstay: Mainstay, company: Sequence[Customer]) -> None:
    """Say who the accounts and their people are."""
    with step("customers", "telling of accounts and people") as outcome:
        calls = [call for customer in company for call in _calls(customer)]
        mainstay.post("/v1/batch", {"batch": calls})
        people = sum(len(customer.people) for customer in company)
        outcome.append(f"{len(company)} accounts, {people} people")


def _bill(mainstay: Mainstay, billed: Sequence[dict[str, Any]], now: datetime) -> None:
    """Say what they pay. Told once more, the ledger ignores it."""
    this_month = f"{now:%Y-%m}"

    def booked() -> bool:
        month = mainstay.month(this_month)
        return month is not None and month["customers_end"] == paying(billed)

    with step("billing", "telling of subscriptions and spend") as outcome:
        for start in range(0, len(billed), FACTS_AT_ONCE):
            mainstay.bill(billed[start : start + FACTS_AT_ONCE])
        if not wait_until(booked, timeout_seconds=CAUGHT_UP_SECONDS):
            raise StackError(f"metrics has not caught up within {CAUGHT_UP_SECONDS:.0f} s")
        outcome.append(f"{len(billed)} facts")


def _calls(customer: Customer) -> Iterator[dict[str, Any]]:
    signed_up_at = _midnight(customer.signed_up_on)
    yield {
        "type": "group",
        "messageId": f"demo-group-{customer.account}-{customer.signed_up_on}",
        "timestamp": signed_up_at,
        "groupId": customer.account,
        "userId": customer.people[0].user,
        "traits": {
            "name": customer.name,
            "plan": customer.plan,
            "segment": customer.segment,
            "tier": customer.tier,
            "owner": customer.owner,
            "industry": customer.industry,
            "seats": customer.seats,
            "time_zone": customer.time_zone,
            "lifecycle_stage": "adoption",
            "created_at": signed_up_at,
        },
    }
    for person in customer.people:
        yield _identify(customer, person)


def _identify(customer: Customer, person: Person) -> dict[str, Any]:
    signed_up_at = _midnight(person.signed_up_on)
    return {
        "type": "identify",
        "messageId": f"demo-identify-{person.user}-{person.signed_up_on}",
        "timestamp": signed_up_at,
        "userId": person.user,
        "context": {"groupId": customer.account},
        "traits": {
            "name": person.name,
            "email": person.email,
            "role": person.role,
            "time_zone": customer.time_zone,
            "created_at": signed_up_at,
        },
    }


def _midnight(day: date) -> str:
    return f"{day}T00:00:00Z"


def _import(mainstay: Mainstay, events: Sequence[Use]) -> None:
    """Write the use as a file, and let the importer bring it in as it would any other."""
    path = FOLDER / "use.csv"
    _write(path, events)
    plan = Plan(
        url=mainstay["INGEST_URL"],
        key=mainstay["WRITE_KEY"],
        mapping=ColumnMapping(columns=COLUMNS),
    )
    with view("  use") as progress:  # it shows how far it is, so this is no `step`
        finished = asyncio.run(import_file(path, plan, progress))
    totals = finished.totals
    if totals.rejected:
        raise StackError(f"{totals.rejected} events were refused, see {finished.rejects}")
    told = f"{totals.accepted:,} events new, {totals.duplicates:,} known"
    say(f"  {'use':<11} {told}  ({finished.seconds:.1f} s)")


def _write(path: Path, events: Sequence[Use]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("at", "account", "user", "event", "feature", "rows"))
        writer.writerows(
            (
                event.at.isoformat(),
                event.account,
                event.user,
                event.event,
                event.feature,
                event.rows,
            )
            for event in events
        )


def _await(mainstay: Mainstay, company: Sequence[Customer], events: Sequence[Use]) -> None:
    """Wait until health lists every account, each with its newest event: order is kept."""
    newest: dict[str, datetime | None] = {customer.account: None for customer in company}
    newest |= {event.account: event.at for event in events}

    def caught_up() -> bool:
        known = {item["account"]: item["last_event_at"] for item in mainstay.accounts()}
        return all(
            account in known and (at is None or _reached(known[account], at))
            for account, at in newest.items()
        )

    with step("health", "scoring"):
        if not wait_until(caught_up, timeout_seconds=CAUGHT_UP_SECONDS):
            raise StackError(f"health has not caught up within {CAUGHT_UP_SECONDS:.0f} s")


def _reached(told: str | None, at: datetime) -> bool:
    return told is not None and datetime.fromisoformat(told) >= at
