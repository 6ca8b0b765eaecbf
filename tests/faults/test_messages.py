"""Mail servers that fail, workers that die, clocks that jump, webhooks that mean harm."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from deploy.local.waiting import wait_until
from tests.faults.messages import BASE, Office, office_of
from tests.faults.trial import Trial, row
from tests.support.hooks import Hook, hook_server, new_identity
from tests.support.smtp import Act, mail_server

FLAPS = (
    Act.TAKE, Act.GREYLIST_AT_RCPT, Act.CLOSING_AT_RCPT, Act.UNKNOWN_AT_RCPT, Act.REFUSE_DATA,
    Act.LATER_AFTER_DATA, Act.CLOSING_AFTER_DATA, Act.REFUSE_AFTER_DATA, Act.SILENT_AFTER_DATA,
    Act.HANG_UP_AFTER_DATA,
)  # fmt: skip


@contextmanager
def offices(trial: Trial, workers: int, *wrapper: str, **told: str) -> Iterator[Office]:
    """An office whose workers run, with these words for the sabotage; and its mail server."""
    with mail_server() as mail:
        with office_of(trial.world, mail, workers=workers, told={**BASE, **told}) as office:
            for worker in office.workers:
                worker.is_usually(wrapper)
                worker.start()
            yield office
        mail.release()


# --- 41 ------------------------------------------------------------------------------------------


def flap(trial: Trial, office: Office, count: int) -> None:
    """Plan messages, and let the server do something else with each try."""
    addresses = [*office.plan(count), *office.plan(count // 2, purpose="renewal")]
    for address in addresses:
        office.mail.will(address, *trial.chance.choices(FLAPS, k=3))
    assert office.await_ends(120), "some messages came to no end"


@row(
    41,
    "the mail server flaps: 4xx, 5xx, silence and hanging up after the letter",
    how="a scripted server does something else with each try, before and after DATA",
    heals_within_seconds=60,
)
def test_a_flapping_mail_server_never_gets_a_letter_twice(trial: Trial):
    with offices(trial, 1) as office:
        flap(trial, office, trial.scaled(smoke=20, full=120))
        acts = [got.act for got in office.mail.got]
        trial.fired(
            silent=acts.count(Act.SILENT_AFTER_DATA), hung_up=acts.count(Act.HANG_UP_AFTER_DATA)
        )
        assert office.violations() == []
    trial.holds("R7: each letter at most once, uncertain where nobody answered")

    with offices(trial, 1, "--without", "uncertainty") as control:
        flap(trial, control, 60)
        assert any("letters" in violation for violation in control.violations())
    trial.control_failed("uncertainty", "R7")


# --- 42 ------------------------------------------------------------------------------------------


def await_more(office: Office, letters: int) -> None:
    """Wait until the mail server has got more than so many."""
    wait_until(lambda: len(office.mail.got) > letters, timeout_seconds=20)


def kill_while_sending(trial: Trial, office: Office, count: int, kills: int) -> int:
    """Kill a worker again and again while all send; how many letters were without answer then."""
    for address in office.plan(count):
        office.mail.will(address, Act.SLOW)
    cut = 0
    for _ in range(kills):
        before = len(office.mail.got)
        await_more(office, before)
        trial.chance.choice(office.workers).kill()
        cut += 1
        time.sleep(trial.chance.uniform(0.0, 0.3))
    assert office.await_ends(120), "some messages came to no end"
    return cut


@row(
    42,
    "five workers, and kill -9 of one after the other while they send",
    how="SIGKILL while letters wait for their answer; leases of 3 s",
    heals_within_seconds=60,
)
def test_workers_that_die_while_they_send_send_nothing_twice(trial: Trial):
    few = {"CADENCE_HANDOVER_AT_ONCE": "8"}
    with offices(trial, 5, **few) as office:
        kills = kill_while_sending(trial, office, trial.scaled(smoke=60, full=400), 12)
        uncertain = [state for state, _ in office.states().values()].count("uncertain")
        trial.fired(kills=kills, uncertain=uncertain)
        assert office.violations() == []
    trial.holds("R7: at most once over five workers")

    with offices(trial, 5, "--without", "handing_over", **few) as control:
        kill_while_sending(trial, control, 200, 8)
        assert any("letters" in violation for violation in control.violations())
    trial.control_failed("handing_over", "R7")


# --- 43 ------------------------------------------------------------------------------------------


def send_by_a_wrong_clock(office: Office) -> int:
    """Plan messages for now and for an hour from now; how many of the later ones are out."""
    now, later = office.plan(10), office.plan(10, due_in="1 hour")
    assert office.await_ends(60), "what is due did not go out"
    wait_until(lambda: all(office.mail.got_by(address) for address in now), timeout_seconds=10)
    time.sleep(2.0)
    return sum(len(office.mail.got_by(address)) for address in later)


@row(
    43,
    "clocks of the workers that are wrong by two hours",
    how="the process's own clock two hours ahead, and two hours behind; the database's is right",
    heals_within_seconds=60,
)
def test_a_worker_with_a_wrong_clock_sends_nothing_early_and_nothing_twice(trial: Trial):
    for hours in ("2", "-2"):
        with offices(trial, 2, "--clock-hours", hours) as office:
            assert send_by_a_wrong_clock(office) == 0
            assert office.violations() == []
            trial.fired(**{f"clock_{hours}_hours": len(office.mail.got)})
    trial.holds("R7: by the database's clock alone")

    wrong = ("--clock-hours", "2", "--without", "database_clock")
    with offices(trial, 1, *wrong) as control:
        assert send_by_a_wrong_clock(control) > 0
    trial.control_failed("database_clock", "R7")


# --- 47 ------------------------------------------------------------------------------------------

MAILS = 60
HANGING = 60


def aim(office: Office, workspace: str, hook: Hook) -> None:
    """Let a workspace's webhooks go to that hook."""
    url = hook.url.replace("hooks.localhost", "127.0.0.1")
    office.session.execute(
        "INSERT INTO cadence.channel_target (workspace, kind, url)"
        f" VALUES ('{workspace}', 'webhook', '{url}')"
    )


@row(
    47,
    "webhooks that hang, fail, lead elsewhere, answer without end, or point inside",
    how="a TLS server of ours at a loopback address, reached only with the check of addresses off",
    heals_within_seconds=90,
)
def test_a_hostile_webhook_holds_nobody_else_up_and_reaches_nothing_inside(trial: Trial):
    with ExitStack() as hooks:
        acts = ("hang", "500", "redirect", "flood")
        identity = new_identity(trial.world.home)
        hostile = {act: hooks.enter_context(hook_server(act, identity)) for act in acts}

        with offices(trial, 1) as office:
            aim(office, "inside", hostile["500"])
            office.plan(10, channel="webhook", workspace="inside")
            assert office.await_ends(60)
            assert hostile["500"].got == []
            assert {state for state, _ in office.states().values()} == {"rejected"}
        trial.holds("an address inside is never connected to")

        reaching = ("--without", "public_addresses")
        with offices(trial, 1, *reaching, SSL_CERT_FILE=str(identity[1])) as control:
            for act, hook in hostile.items():
                aim(control, act, hook)
                control.plan(HANGING, channel="webhook", workspace=act)
            mails = control.plan(MAILS)
            began = time.monotonic()
            assert wait_until(
                lambda: all(control.mail.got_by(address) for address in mails), timeout_seconds=30
            )
            others_seconds = time.monotonic() - began
            trial.fired(**{act: len(hook.got) for act, hook in hostile.items()})
            assert not any(hook.followed for hook in hostile.values())
        trial.holds(f"mails of another workspace are out in {others_seconds:.1f} s")
        trial.control_failed("public_addresses", "addresses inside are reached")
