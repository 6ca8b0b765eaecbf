"""What comes back: reports, hits, and what follows from them; how hand-overs end."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cadence.model.bounces import MOST_BYTES, Report, ReportKind, read_report
from services.cadence.model.caps import Purpose
from services.cadence.model.delivery import (
    Ended,
    Outcome,
    RetryPolicy,
    State,
    after,
    last_use,
    uncertain,
)
from services.cadence.model.hits import Hit, HitClass, HitKind, HitPolicy, classify
from services.cadence.model.suppression import Suppression, SuppressionReason, forbids, of_report

AT = datetime(2026, 3, 2, 8, 10, tzinfo=UTC)
BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36"
OURS = "<occ.abcdefghijklmnopqrstuv@acme.test>"
RETRY = RetryPolicy(waits_seconds=(60.0, 300.0))


def report(kind: str, part: str, returned: str = f"Message-ID: {OURS}") -> bytes:
    text = (
        'MIME-Version: 1.0\nContent-Type: multipart/report; boundary="b"\n\n'
        f"--b\nContent-Type: text/plain\n\nsorry\n--b\nContent-Type: {kind}\n\n{part}\n"
        f"--b\nContent-Type: message/rfc822\n\nFrom: a@b.c\n{returned}\n\nbody\n--b--\n"
    )
    return text.replace("\n", "\r\n").encode()


def failure(status: str, action: str = "failed") -> bytes:
    return report(
        "message/delivery-status",
        f"Reporting-MTA: dns; x.test\n\nFinal-Recipient: rfc822; kim@example.com\n"
        f"Action: {action}\nStatus: {status}\n",
    )


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        (failure("5.1.1"), Report(ReportKind.HARD_BOUNCE, OURS, "5.1.1")),
        (failure("5.1.1 (no such user)"), Report(ReportKind.HARD_BOUNCE, OURS, "5.1.1")),
        (failure("5.2.2"), Report(ReportKind.SOFT_BOUNCE, OURS, "5.2.2")),
        (failure("4.2.2"), Report(ReportKind.SOFT_BOUNCE, OURS, "4.2.2")),
        (failure("4.4.1", "delayed"), Report(ReportKind.DELAYED, OURS, "4.4.1")),
        (failure("2.0.0", "delivered"), Report(ReportKind.DELIVERED, OURS, "2.0.0")),
        (failure("?", "?"), Report(ReportKind.UNREADABLE, OURS, None)),
        (
            report("message/feedback-report", "Feedback-Type: abuse\nVersion: 1\n"),
            Report(ReportKind.COMPLAINT, OURS),
        ),
        (
            report("message/feedback-report", "Feedback-Type: not-spam\nVersion: 1\n"),
            Report(ReportKind.DELIVERED, OURS),
        ),
        (
            f"Auto-Submitted: auto-replied\r\nIn-Reply-To: {OURS}\r\n\r\naway".encode(),
            Report(ReportKind.AUTOMATIC_REPLY, OURS),
        ),
        ("Subject: 부재중입니다\r\n\r\n".encode(), Report(ReportKind.UNREADABLE)),
        (b"Subject: Automatic reply: hi\r\n\r\n", Report(ReportKind.AUTOMATIC_REPLY)),
        (b"\x00\xff\xfe--b", Report(ReportKind.UNREADABLE)),
        (b"x" * (MOST_BYTES + 1), Report(ReportKind.UNREADABLE)),
    ],
)
def test_a_report_says_what_it_says(raw: bytes, read: Report):
    assert read_report(raw) == read


@given(raw=st.binary(max_size=2_000))
@settings(max_examples=100)
def test_no_bytes_break_the_reader(raw: bytes):
    assert isinstance(read_report(failure("5.1.1")[:200] + raw).kind, ReportKind)


def test_only_what_says_so_suppresses():
    def reason(kind: ReportKind) -> SuppressionReason | None:
        suppression = of_report(kind, at=AT, soft_pause=timedelta(days=3))
        return suppression.reason if suppression else None

    assert {kind for kind in ReportKind if reason(kind) is not None} == {
        ReportKind.HARD_BOUNCE,
        ReportKind.SOFT_BOUNCE,
        ReportKind.COMPLAINT,
    }


@pytest.mark.parametrize(
    ("reason", "purpose", "forbidden"),
    [
        (SuppressionReason.UNSUBSCRIBE, Purpose.NEWSLETTER, True),
        (SuppressionReason.UNSUBSCRIBE, Purpose.RENEWAL, False),
        (SuppressionReason.COMPLAINT, Purpose.NEWSLETTER, True),
        (SuppressionReason.COMPLAINT, Purpose.SECURITY, False),
        (SuppressionReason.HARD_BOUNCE, Purpose.RENEWAL, True),
    ],
)
def test_a_dead_mailbox_gets_nothing_and_who_left_gets_notices(
    reason: SuppressionReason, purpose: Purpose, *, forbidden: bool
):
    suppression = Suppression(scope="all", reason=reason, at=AT)

    assert forbids(suppression, topic="newsletter", purpose=purpose, now=AT) is forbidden


@pytest.mark.parametrize(("seconds", "forbidden"), [(-1, True), (0, False), (1, False)])
def test_a_suppression_ends_at_its_instant(seconds: int, *, forbidden: bool):
    suppression = Suppression(
        scope="all", reason=SuppressionReason.SOFT_BOUNCE, at=AT, until=AT + timedelta(days=3)
    )
    now = AT + timedelta(days=3, seconds=seconds)

    assert forbids(suppression, topic="x", purpose=Purpose.FEATURE, now=now) is forbidden


def test_leaving_one_topic_leaves_the_others():
    suppression = Suppression(scope="news", reason=SuppressionReason.UNSUBSCRIBE, at=AT)

    assert forbids(suppression, topic="news", purpose=Purpose.NEWSLETTER, now=AT)
    assert not forbids(suppression, topic="course", purpose=Purpose.ONBOARDING, now=AT)


# --- hits ---


def hit(
    seconds: float = 3600,
    kind: HitKind = HitKind.CLICK,
    *,
    link: str = "l-1",
    method: str = "GET",
    agent: str = BROWSER,
    caller: bytes = b"a",
) -> Hit:
    at = AT + timedelta(seconds=seconds)
    return Hit(at=at, kind=kind, method=method, user_agent=agent, caller=caller, link=link)


@pytest.mark.parametrize(
    ("one", "others", "class_", "rule"),
    [
        (hit(), (), HitClass.HUMAN, "no_sign_of_a_machine"),
        (hit(method="HEAD"), (), HitClass.SCANNER, "head_request"),
        (hit(kind=HitKind.TRAP), (), HitClass.SCANNER, "hidden_link"),
        (hit(), (hit(3500, HitKind.TRAP),), HitClass.SCANNER, "same_caller_as_hidden_link"),
        (hit(), (hit(3500, HitKind.TRAP, caller=b"b"),), HitClass.HUMAN, "no_sign_of_a_machine"),
        (hit(), (hit(2999, HitKind.TRAP),), HitClass.HUMAN, "no_sign_of_a_machine"),
        (hit(), (hit(3600.9, link="l-2"),), HitClass.SCANNER, "several_links_at_once"),
        (hit(), (hit(3601.1, link="l-2"),), HitClass.HUMAN, "no_sign_of_a_machine"),
        (hit(), (hit(3600.5, link="l-1"),), HitClass.HUMAN, "no_sign_of_a_machine"),
        (hit(2.9), (), HitClass.SCANNER, "too_soon_after_delivery"),
        (hit(3), (), HitClass.HUMAN, "no_sign_of_a_machine"),
        (hit(2.9, HitKind.OPEN), (), HitClass.PROXY_PREFETCH, "too_soon_after_delivery"),
        (hit(agent=""), (), HitClass.UNKNOWN, "no_user_agent"),
        (hit(kind=HitKind.OPEN, agent="Mozilla/5.0"), (), HitClass.PROXY_PREFETCH,
         "says_nothing_but_mozilla"),
        (hit(kind=HitKind.OPEN, agent="Mozilla/5.0 (via ggpht.com GoogleImageProxy)"), (),
         HitClass.PROXY_PREFETCH, "known_proxy"),
        (hit(agent="python-requests/2.31"), (), HitClass.SCANNER, "known_machine"),
        (hit(agent="Barracuda Sentinel"), (), HitClass.SCANNER, "known_machine"),
        (hit(agent="Mozilla/5.0 (compatible; Googlebot/2.1)"), (), HitClass.SCANNER,
         "known_machine"),
    ],
)  # fmt: skip
def test_a_hit_gets_its_class_and_the_rule_that_decided(
    one: Hit, others: tuple[Hit, ...], class_: HitClass, rule: str
):
    verdict = classify(one, (one, *others), accepted_at=AT, policy=HitPolicy())

    assert (verdict.class_, verdict.rule) == (class_, rule)


def test_a_hit_of_a_letter_whose_end_nobody_knows_is_not_called_too_soon():
    one = hit(0)

    assert classify(one, (one,), accepted_at=None, policy=HitPolicy()).class_ is HitClass.HUMAN


# --- how hand-overs end ---


def followed(outcome: Outcome, *, attempt: int = 1, purpose: Purpose = Purpose.ONBOARDING,
             latest: timedelta = timedelta(hours=6)) -> tuple[State, datetime | None]:  # fmt: skip
    found = after(
        Ended(outcome=outcome, provider="a", said="451"),
        purpose=purpose,
        attempt=attempt,
        now=AT,
        latest=AT + latest,
        policy=RETRY,
    )
    return found.state, found.try_at


def test_a_no_for_now_waits_longer_each_time_and_ends():
    assert followed(Outcome.REFUSED_FOR_NOW) == (State.PLANNED, AT + timedelta(seconds=60))
    assert followed(Outcome.REFUSED_FOR_NOW, attempt=2)[1] == AT + timedelta(seconds=300)
    assert followed(Outcome.REFUSED_FOR_NOW, attempt=3) == (State.REJECTED, None)


@pytest.mark.parametrize(("seconds", "state"), [(60, State.PLANNED), (59, State.MISSED)])
def test_a_no_for_now_is_not_tried_again_after_the_last_use(seconds: int, state: State):
    assert followed(Outcome.REFUSED_FOR_NOW, latest=timedelta(seconds=seconds))[0] is state


@pytest.mark.parametrize("purpose", Purpose)
def test_only_renewal_and_security_go_again_where_nobody_answered(purpose: Purpose):
    again = followed(Outcome.UNKNOWN, purpose=purpose)[0] is State.PLANNED

    assert again is (purpose in {Purpose.RENEWAL, Purpose.SECURITY})


def test_an_uncertain_notice_goes_again_three_times_and_no_more():
    states = [
        uncertain(purpose=Purpose.RENEWAL, attempt=attempt, now=AT, policy=RETRY).state
        for attempt in (1, 2, 3, 4)
    ]

    assert states == [State.PLANNED, State.PLANNED, State.PLANNED, State.UNCERTAIN]


def test_the_last_use_is_the_deadline_where_there_is_one():
    grace = timedelta(hours=6)

    assert last_use(due_at=AT, grace=grace, deadline=None) == AT + grace
    assert last_use(due_at=AT, grace=grace, deadline=AT) == AT
