"""Hand-over: due messages from the table to a mail server, tracked and signed, one by one.

A worker of cadence as it runs, on the measured core; the sink and PostgreSQL, which keeps what it
commits, on the other.
"""

import asyncio
import sys
import time
from collections.abc import Callable

import asyncpg
import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.figures import Comparison, Measure
from bench.machine import cores, cpu_seconds, pinned
from bench.running import NotMeasurable, measured
from bench.stack import Stack, own_stack
from deploy.local import processes
from deploy.local.layout import ROOT
from deploy.local.ports import HOST, reserve
from deploy.local.waiting import wait_until

FULL = 10_000
QUICK = 2_000
LONGEST_SECONDS = 300.0
LOOK_SECONDS = 0.03
SECRETS = {"CADENCE_SECRETS": "secret-of-the-bench"}
MAINSTAY = "Mainstay"


def compare(*, rounds: int, letters: int, tell: Callable[[str], None]) -> list[Comparison]:
    """So many letters handed over, in each round. Raises NotMeasurable."""
    found = []
    with own_stack(cores()) as stack:
        for number in range(rounds):
            measure = _handed_over(stack, letters, number)
            tell(
                f"hand-over: {letters:,} letters in {measure.wall_seconds:.1f} s,"
                f" {letters / measure.wall_seconds:,.0f} a second"
            )
            found.append({MAINSTAY: measure})
    title = "letters handed over, tracked and signed, PostgreSQL's part apart"
    return [Comparison(title=title, rounds=found)]


def _handed_over(stack: Stack, letters: int, number: int) -> Measure:
    url = stack.create_migrated_database("cadence", SECRETS)
    smtp, page = reserve(), reserve()
    with pinned(stack.cores.others):
        sink = processes.start(
            [sys.executable, "-m", "deploy.sink",
             "--smtp-port", str(smtp.port), "--page-port", str(page.port)],
            mark=stack.home, log=stack.home / "log" / "sink.log", directory=ROOT,
        )  # fmt: skip
    try:
        _await_page(page.port)
        asyncio.run(_fill(url, letters))
        told = {
            **stack.environment("cadence", url),
            **SECRETS,
            "SMTP_HOST": HOST,
            "SMTP_PORT": str(smtp.port),
            "CADENCE_DKIM_KEY": _key(),
            "CADENCE_MESSAGES_PER_SECOND": "100000",
            "CADENCE_DOMAIN_PER_SECOND": "100000",
        }
        arguments = ("-m", "services.cadence", "run", "--roles", "jobs")
        with measured(stack, f"worker-{number}", arguments, told) as worker:
            return asyncio.run(_until_all_are_out(url, letters, worker.pid))
    finally:
        processes.stop(sink, wait_seconds=5)
        for port in (smtp, page):
            port.release()
        stack.drop_database(url)


async def _fill(url: str, letters: int) -> None:
    """People, and a message to each that is due."""
    connection = await asyncpg.connect(url, server_settings={"search_path": "cadence"})
    try:
        await connection.execute(
            "INSERT INTO person (workspace, user_id, account, email, name, locale)"
            " SELECT 'bench', 'u-' || n, 'a-' || n % 1000, 'u-' || n || '@example.com',"
            " 'Kim ' || n, CASE n % 2 WHEN 0 THEN 'ko' ELSE 'en' END"
            " FROM generate_series(1, $1::integer) AS n",
            letters,
        )
        await connection.execute(
            "INSERT INTO message (workspace, identity, user_id, account, program, step, template,"
            " channels, pillar, purpose, topic, occurrence_at, due_at, try_at, zone, zone_source,"
            " tzdata, facts) SELECT 'bench', 'weekly-course/u-' || n || '/2026-03-02', 'u-' || n,"
            " 'a-' || n % 1000, 'weekly-course', 'course-1', 'course-1', '{email}', 'onboarding',"
            " 'onboarding', 'onboarding', now(), now(), now(), 'UTC', 'default', '2026f',"
            """ '{"guide_url": "https://example.com/guide"}'"""
            " FROM generate_series(1, $1::integer) AS n",
            letters,
        )
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


async def _until_all_are_out(url: str, letters: int, worker: int) -> Measure:
    """From the first claim to the last letter accepted."""
    connection = await asyncpg.connect(url, server_settings={"search_path": "cadence"})
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            await _until(connection, "EXISTS (SELECT FROM message WHERE attempt > 0)")
            started, used = time.perf_counter(), cpu_seconds(worker)
            await _until(connection, "NOT EXISTS (SELECT FROM message WHERE ended_at IS NULL)")
            wall = time.perf_counter() - started
        accepted = await connection.fetchval("SELECT count(*) FROM message WHERE state='accepted'")
    except TimeoutError as error:
        raise NotMeasurable(f"not all letters were out after {LONGEST_SECONDS:.0f} s") from error
    finally:
        await connection.close()
    if accepted != letters:
        raise NotMeasurable(f"{accepted:,} of {letters:,} letters were accepted")
    return Measure(events=letters, cpu_seconds=cpu_seconds(worker) - used, wall_seconds=wall)


async def _until(connection: asyncpg.Connection, condition: str) -> None:
    """Look until the condition holds; the caller bounds it. The worker is another process."""
    while not await connection.fetchval(f"SELECT {condition}"):  # noqa: ASYNC110
        await asyncio.sleep(LOOK_SECONDS)


def _await_page(port: int) -> None:
    def answers() -> bool:
        try:
            return httpx.get(f"http://{HOST}:{port}/letters.json", timeout=2).is_success
        except httpx.TransportError:
            return False

    if not wait_until(answers, timeout_seconds=30):
        raise NotMeasurable("the sink does not answer")


def _key() -> str:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
