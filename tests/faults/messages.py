"""The oracle of messages: what the table says of each against what the mail server got."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from deploy.local.services import named
from deploy.local.waiting import wait_until
from tests.faults.fleet import Worker
from tests.faults.sessions import Session
from tests.faults.world import World
from tests.support.smtp import MailServer

ENDED = ("accepted", "rejected", "uncertain", "missed", "superseded", "dropped")
LEASE_SECONDS = 3.0
BASE = {
    "CADENCE_SECRETS": "secret-of-tests-1",
    "CADENCE_LEASE_SECONDS": str(LEASE_SECONDS),
    "CADENCE_RETRY_WAITS_SECONDS": "[0.2, 0.2, 0.2, 0.2]",
    "CADENCE_SMTP_LETTER_SECONDS": "1.0",
    "CADENCE_DOMAIN_PER_SECOND": "1000",
}


@dataclass(frozen=True)
class Office:
    """Cadence with tables of its own, its workers, and the mail server that they know."""

    session: Session
    mail: MailServer
    workers: Sequence[Worker]

    def plan(
        self, count: int, *, purpose: str = "onboarding", channel: str = "email",
        due_in: str = "0 s", workspace: str = "acme",
    ) -> Sequence[str]:  # fmt: skip
        """So many people and a message to each; their addresses."""
        begin = int(self.session.value("SELECT count(*) FROM cadence.person"))
        template = "renewal-notice" if purpose == "renewal" else "course-1"
        self.session.execute(
            "INSERT INTO cadence.person (workspace, user_id, email, name, locale)"
            f" SELECT '{workspace}', 'u-' || n, 'u-' || n || '@example.com', 'Kim', 'ko'"
            f" FROM generate_series({begin + 1}, {begin + count}) AS n"
        )
        self.session.execute(
            "INSERT INTO cadence.message (workspace, identity, user_id, program, step, template,"
            " channels, pillar, purpose, topic, occurrence_at, due_at, try_at, deadline, zone,"
            f" zone_source, tzdata, facts) SELECT '{workspace}', 'p/u-' || n || '/1', 'u-' || n,"
            f" 'p', '1', '{template}', '{{{channel}}}', 'onboarding', '{purpose}', 'onboarding',"
            f" at, at, at, at + interval '1 day', 'UTC', 'default', '2026f',"
            """ '{"renews_on": "2026-04-01", "guide_url": "https://example.com"}'"""
            f" FROM generate_series({begin + 1}, {begin + count}) AS n,"
            f" (SELECT now() + interval '{due_in}' AS at) AS clock"
        )
        return [f"u-{n}@example.com" for n in range(begin + 1, begin + count + 1)]

    def states(self) -> Mapping[str, tuple[str, str]]:
        """State and purpose of every message, by address."""
        found = self.session.rows(
            "SELECT user_id || '@example.com', state, purpose FROM cadence.message"
        )
        return {address: (state, purpose) for address, state, purpose in found}

    def await_ends(self, seconds: float) -> bool:
        """Wait until every message that is due has come to an end; whether that came about."""
        return wait_until(
            lambda: (
                not self.session.value(
                    "SELECT count(*) FROM cadence.message WHERE due_at <= now()"
                    f" AND NOT state = ANY(ARRAY{list(ENDED)})"
                )
            ),
            timeout_seconds=seconds,
        )

    def violations(self) -> list[str]:
        """R7: each at most once, but where it has to arrive; said to be out where it is."""
        states = self.states()
        may_be_out = Counter(got.recipient for got in self.mail.got if got.may_be_out)
        ids = Counter((got.recipient, got.message_id) for got in self.mail.got)
        twice = [
            f"{address} got {count} letters"
            for address, count in may_be_out.items()
            if count > 1 and states[address][1] != "renewal"
        ]
        other_ids = [address for address, count in Counter(a for a, _ in ids).items() if count > 1]
        unsaid = [
            f"{address} is {state} and {may_be_out[address]} letters are out"
            for address, (state, purpose) in states.items()
            if (state in ("accepted", "uncertain")) != bool(may_be_out[address])
            # A notice that nobody answered for may be refused when it comes again.
            and (purpose != "renewal" or not may_be_out[address])
        ]
        return [*twice, *(f"{address} got other Message-IDs" for address in other_ids), *unsaid]


@contextmanager
def office_of(
    world: World, mail: MailServer, *, workers: int = 1, told: Mapping[str, str] = BASE
) -> Iterator[Office]:
    """An office with so many workers, not started."""
    url = world.stack.fresh_database("cadence")
    service = named("cadence")
    environment = {
        **told,
        "KAFKA_BOOTSTRAP": world.kafka.bootstrap,
        service.database_variable: url,
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(mail.port),
    }
    made = [
        world.fleet.add(
            Worker(
                name=f"cadence-{number}",
                command=("services.cadence", "run", "--roles", "api,jobs"),
                environment=environment,
                port_variable=service.port_variable,
                home=world.home,
            )
        )
        for number in range(workers)
    ]
    database = urlsplit(url).path.removeprefix("/")
    try:
        with Session(world.postgres.administrator_url(database)) as session:
            yield Office(session, mail, made)
    finally:
        for worker in made:
            with suppress(ProcessLookupError):
                world.fleet.remove(worker)
        world.stack.drop_database("cadence", url)
