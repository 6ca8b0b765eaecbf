"""The road of one message: claimed under a lease, handed over, ended. Never twice.

Each step is committed before the next begins: the claim before anything is looked at, `handed_over`
before the first byte of the letter. Who dies in between leaves a row that says how far it came.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from services.cadence.channels import webhook
from services.cadence.channels.gathering import Gathering
from services.cadence.channels.outbound import Outbound
from services.cadence.channels.smtp import Fenced, Post, Posted
from services.cadence.channels.writing import Draft, House, draft, letter
from services.cadence.model.addresses import AddressUnusable, address_hash, domain_of, mailbox
from services.cadence.model.announcing import delivery, said_of, told_of_person
from services.cadence.model.caps import Claim
from services.cadence.model.delivery import (
    Ended,
    Next,
    Outcome,
    RetryPolicy,
    State,
    after,
    last_use,
    uncertain,
)
from services.cadence.model.eligibility import (
    EMAIL,
    IN_APP,
    Attention,
    Decision,
    Due,
    Recipient,
    decide,
    give_way,
)
from services.cadence.model.message import Message, Step
from services.cadence.model.planning import Decided
from services.cadence.model.suppression import Suppression
from services.cadence.model.templates import Source, TemplateRefused
from services.cadence.store import (
    decisions,
    inbox,
    letters,
    messages,
    recipients,
    standing,
    suppressions,
    templates,
)
from services.cadence.store.letters import Link, StoredLetter
from shared import telemetry
from shared.bus.record import outgoing
from shared.bus.stop import pause
from shared.bus.tables import append_outbox
from shared.db import Database, Tx
from shared.errors import MainstayError, TransientError
from shared.events.base import Caused
from shared.events.told import PersonId
from shared.zones import packaged

log = structlog.get_logger()

Key = tuple[str, str]
# What a civil day and an ISO week around an instant can reach to.
A_WEEK = timedelta(days=8)
# What is looked at before a message goes, in this order.
RULES = (
    "removed, churned or paused",
    "in time",
    "consent",
    "suppression and channels",
    "quiet hours",
    "caps",
)


@dataclass(frozen=True, kw_only=True)
class HandoverPolicy:
    """The bounds within which messages go out. Rates hold for all processes together."""

    per_second: float = 500.0
    domain_per_second: float = 100.0
    at_once: int = 200  # most under way in this process
    claimed_at_once: int = 100
    slow_of_a_workspace: int = 20  # most webhooks under way of one workspace
    lease: timedelta = timedelta(seconds=240)
    look_seconds: float = 0.5
    most_attempts: int = 20  # a message that was lost with its worker so often is given up
    stop_seconds: float = 10.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    attention: Attention = field(default_factory=Attention)


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A message that may go out, with all that it needs."""

    message: Message
    recipient: Recipient
    channel: str
    source: Source | None
    written: StoredLetter | None


@dataclass(frozen=True, kw_only=True)
class _HandingOver:
    step: Step
    written: StoredLetter | None
    links: Sequence[Link]


class Handover:
    """Hands over what is due, until it is asked to stop."""

    def __init__(
        self,
        *,
        database: Database,
        post: Post,
        outbound: Outbound,
        house: House,
        policy: HandoverPolicy,
    ) -> None:
        self._database = database
        self._post = post
        self._outbound = outbound
        self._house = house
        self._policy = policy
        self._zones = packaged()
        self._handed: set[Key] = set()
        self._under_way: dict[asyncio.Task[None], Ready] = {}
        self._handing = Gathering(self._save_handing)
        self._ending = Gathering(self._save_ended)

    async def run(self, stopping: asyncio.Event) -> None:
        """Look for due messages until `stopping` is set; then wait for those under way."""
        while not stopping.is_set():
            try:
                found = await self.turn()
            except MainstayError as error:
                log.warning("handover_waits", code=error.code, error=str(error))
                found = 0
            if not found:
                await pause(stopping, self._policy.look_seconds)
        await self.finish(self._policy.stop_seconds)
        await self._post.close()

    async def turn(self) -> int:
        """Begin to hand over what is due, as far as there is room; how many were claimed."""
        room = self._policy.at_once - len(self._under_way)
        if room <= 0:
            await asyncio.wait(self._under_way, timeout=1.0, return_when="FIRST_COMPLETED")
            return 1
        async with self._database.transaction() as tx:
            claimed, ready = await self._claim(tx, min(room, self._policy.claimed_at_once))
        for one in ready:
            task = asyncio.create_task(self._hand_over(one))
            self._under_way[task] = one
            task.add_done_callback(self._under_way.pop)
        telemetry.MESSAGES_UNDER_WAY.set(len(self._under_way))
        return claimed

    async def finish(self, seconds: float) -> None:
        """Wait for what is under way; what takes longer is left to its lease."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=seconds)
            for task in late:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*late, return_exceptions=True)

    # --- claim ---

    async def _claim(self, tx: Tx, room: int) -> tuple[int, Sequence[Ready]]:
        """Claim what is due, and say at once what must not go out."""
        now = await messages.get_now(tx)
        await self._return_lost(tx, now)
        await self._end_lost(tx, now)
        policy = self._policy
        allowed = await messages.take_allowance(
            tx, "all", wanted=room, per_second=policy.per_second, burst=policy.per_second, now=now
        )
        claimed = await messages.claim_due(tx, now=now, limit=allowed, lease=policy.lease)
        if not claimed:
            await messages.give_back_allowance(tx, "all", allowed)
            return 0, ()
        looked_at = await _look(tx, claimed, now)
        attention = await standing.list_attention(
            tx, {message.workspace for message in claimed}, self._policy.attention
        )
        decided = self._decide(claimed, looked_at, attention, now)
        await decisions.append_decisions(
            tx,
            [
                _why_not(message, decision)
                for message in claimed
                if (decision := decided[message.key]).channel is None
            ],
            now=now,
            tzdata=self._zones.version,
        )
        refused = [
            Step(
                message=message,
                next=Next(state=decision.state, reason=decision.reason),
                winner=decision.winner,
            )
            for message in claimed
            if (decision := decided[message.key]).state is not None
        ]
        await _end(tx, refused, now)
        await messages.put_back(
            tx,
            [
                _waiting(message, until, decision.reason, decision.winner)
                for message in claimed
                if (until := (decision := decided[message.key]).wait_until) is not None
            ],
        )
        going = [message for message in claimed if decided[message.key].channel is not None]
        ready = await self._ready(tx, going, decided, looked_at, now)
        # What is too late, or must not go, costs nobody else their turn.
        await messages.give_back_allowance(tx, "all", allowed - len(ready))
        return len(claimed), ready

    def _decide(
        self,
        claimed: Sequence[Message],
        known: "_Known",
        attention: Mapping[str, Attention],
        now: datetime,
    ) -> Mapping[Key, Decision]:
        """What to do with each: the newest word on the person, then on all that the person gets."""
        decided: dict[Key, Decision] = {}
        for message in claimed:
            others = known.claims.setdefault(
                (message.workspace, message.user), messages.Claims([], [])
            )
            claim = Claim(message.identity, now, message.purpose, good_until=_latest(message))
            decision = give_way(
                _decided(message, known, now),
                claim,
                sent=others.sent,
                planned=others.planned,
                policy=attention[message.workspace],
                zone=self._zone(message.zone),
            )
            decided[message.key] = decision
            if decision.channel is not None:
                others.sent.append(claim)
        return decided

    def _zone(self, name: str) -> ZoneInfo:
        """The person's zone; UTC for one that this machine's tzdata does not know."""
        return self._zones.zone(name if self._zones.knows(name) else "UTC")

    async def _return_lost(self, tx: Tx, now: datetime) -> None:
        """Plan again what somebody claimed and never handed over, but not for ever."""
        given_up = await messages.return_expired(
            tx,
            now=now,
            limit=self._policy.claimed_at_once,
            most_attempts=self._policy.most_attempts,
        )
        lost = Next(state=State.REJECTED, reason="workers_lost")
        await _end(tx, [Step(message=message, next=lost) for message in given_up], now)

    async def _end_lost(self, tx: Tx, now: datetime) -> None:
        """End what somebody handed over and never said how it ended."""
        lost = await messages.claim_expired(tx, now=now, limit=self._policy.claimed_at_once)
        steps = [
            Step(message=message, next=_next_of_lost(message, now, self._policy.retry))
            for message in lost
        ]
        await _end(tx, steps, now)

    async def _ready(
        self,
        tx: Tx,
        going: Sequence[Message],
        decided: Mapping[Key, Decision],
        looked_at: "_Known",
        now: datetime,
    ) -> Sequence[Ready]:
        going = await self._within_bounds(tx, going, decided, looked_at, now)
        written = await letters.list_letters(tx, [message.key for message in going])
        wanted = {
            message.key: (message.workspace, message.template, looked_at.of(message).locale)
            for message in going
        }
        sources = await templates.list_sources(tx, list(wanted.values()))
        return [
            Ready(
                message=message,
                recipient=looked_at.of(message),
                channel=decided[message.key].channel or EMAIL,
                source=sources.get(wanted[message.key]),
                written=written.get(message.key),
            )
            for message in going
        ]

    async def _within_bounds(
        self,
        tx: Tx,
        going: Sequence[Message],
        decided: Mapping[Key, Decision],
        looked_at: "_Known",
        now: datetime,
    ) -> Sequence[Message]:
        """Those that may go now; the rest waits while its domain or its webhooks are full."""
        slow = Counter(
            ready.message.workspace
            for ready in self._under_way.values()
            if ready.channel not in (EMAIL, IN_APP)
        )
        by_domain: dict[str, list[Message]] = {}
        kept: list[Message] = []
        waiting: list[Message] = []
        for message in going:
            channel = decided[message.key].channel
            if channel == EMAIL:
                domain = domain_of(looked_at.of(message).email or "")
                by_domain.setdefault(domain, []).append(message)
            elif channel != IN_APP and slow[message.workspace] >= self._policy.slow_of_a_workspace:
                waiting.append(message)
            else:
                slow[message.workspace] += channel != IN_APP
                kept.append(message)
        for domain, mails in sorted(by_domain.items()):
            allowed = await messages.take_allowance(
                tx,
                f"domain {domain}",
                wanted=len(mails),
                per_second=self._policy.domain_per_second,
                burst=self._policy.domain_per_second,
                now=now,
            )
            kept += mails[:allowed]
            waiting += mails[allowed:]
        later = now + timedelta(seconds=1)
        await messages.put_back(tx, [_waiting(each, later, "rate", None) for each in waiting])
        return kept

    # --- one message ---

    async def _hand_over(self, ready: Ready) -> None:
        message = ready.message
        try:
            ended = await self._sent(ready)
        except Fenced:
            log.info("handover_fenced", workspace=message.workspace)
            return
        except TransientError as error:
            # The claim is given back by its lease; what was handed over stays uncertain.
            log.warning("handover_waits", code=error.code, error=str(error))
            return
        except Exception:
            # A bug in one message must not end the others, nor come again for ever.
            log.exception("handover_failed", workspace=message.workspace)
            is_out = message.key in self._handed
            outcome = Outcome.UNKNOWN if is_out else Outcome.REFUSED
            ended = Ended(outcome=outcome, provider="", said="fault")
        finally:
            self._handed.discard(message.key)
        with suppress(TransientError):
            await self._ending.ask((ready, ended))

    async def _sent(self, ready: Ready) -> Ended:
        """How it ended. Raises Fenced where somebody else has it by now."""
        try:
            if ready.channel == EMAIL:
                return await self._mailed(ready)
            if ready.source is None:
                raise TemplateRefused(f"there is no template {ready.message.template!r}")
            drafted = draft(ready.message, ready.recipient, ready.source, self._house)
            if ready.channel == IN_APP:
                return await self._laid_in_inbox(ready, drafted)
            return await self._webhook(ready, drafted)
        except (TemplateRefused, AddressUnusable) as refused:
            return Ended(outcome=Outcome.REFUSED, provider="", said=refused.code)

    async def _mailed(self, ready: Ready) -> Ended:
        recipient = mailbox(ready.recipient.email or "")
        written, links = ready.written, tuple[Link, ...]()
        if written is None:
            if ready.source is None:
                raise TemplateRefused(f"there is no template {ready.message.template!r}")
            drafted = draft(ready.message, ready.recipient, ready.source, self._house)
            written, found = letter(
                ready.message, ready.recipient, drafted, self._house, at=ready.message.due_at
            )
            links = tuple(found)
        posted = Posted(
            sender=self._house.list_sender.bounces, recipient=recipient, letter=written.wire
        )

        async def before_data(provider: str) -> bool:
            return await self._handing.ask(_handing(ready, provider, written, links))

        return await self._post.deliver(posted, before_data)

    async def _laid_in_inbox(self, ready: Ready, drafted: Draft) -> Ended:
        if not await self._handing.ask(_handing(ready, IN_APP, None, drafted.links)):
            raise Fenced(IN_APP)
        async with self._database.transaction() as tx:
            await inbox.append_item(
                tx,
                ready.message,
                title=drafted.filled.subject,
                body_html=drafted.filled.html,
                body_text=drafted.filled.text,
            )
        return Ended(outcome=Outcome.ACCEPTED, provider=IN_APP)

    async def _webhook(self, ready: Ready, drafted: Draft) -> Ended:
        if not await self._handing.ask(_handing(ready, ready.channel, None, drafted.links)):
            raise Fenced(ready.channel)
        target = ready.recipient.targets[ready.channel]
        headers: Mapping[str, str] = {"content-type": "application/json"}
        if ready.channel == "slack":
            body = webhook.slack_body(drafted.filled.subject, drafted.filled.text)
        else:
            body = webhook.standard_body(
                {
                    "message": ready.message.identity,
                    "user": ready.message.user,
                    "program": ready.message.program,
                    "title": drafted.filled.subject,
                    "text": drafted.filled.text,
                },
                at=ready.message.due_at,
            )
            headers = webhook.signed_headers(
                ready.message.token, body, target.secrets, at=await self._now()
            )
        return await webhook.send(self._outbound, target.url, body, headers, provider=ready.channel)

    async def _now(self) -> datetime:
        async with self._database.transaction() as tx:
            return await messages.get_now(tx)

    # --- what is committed together ---

    async def _save_handing(self, handing: Sequence[_HandingOver]) -> Sequence[bool]:
        """Commit that these are about to go out, with what they say; which of them may."""
        async with self._database.transaction() as tx:
            now = await messages.get_now(tx)
            ours = await messages.save_handed_over(
                tx, [one.step for one in handing], now=now, lease=self._policy.lease
            )
            kept = [one for one in handing if one.step.message.key in ours]
            await letters.append_letters(
                tx,
                [one.written for one in kept if one.written is not None],
                [link for one in kept for link in one.links],
                now=now,
            )
            await _tell(tx, [one.step for one in kept], now)
        self._handed |= ours
        return [one.step.message.key in ours for one in handing]

    async def _save_ended(self, ended: Sequence[tuple[Ready, Ended]]) -> Sequence[bool]:
        """Commit how these ended; which of them were still ours."""
        async with self._database.transaction() as tx:
            now = await messages.get_now(tx)
            steps = [
                Step(
                    message=ready.message,
                    next=_next(ready.message, end, now, self._policy.retry),
                    channel=ready.channel,
                    provider=end.provider or None,
                )
                for ready, end in ended
            ]
            ours = await _end(tx, steps, now)
        return [ready.message.key in ours for ready, _ in ended]


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What is known now of those whom a batch would reach."""

    people: Mapping[tuple[str, str], Recipient]
    suppressed: Mapping[tuple[str, bytes], Sequence[Suppression]]
    newer: Mapping[Key, str]
    claims: dict[tuple[str, str], messages.Claims]

    def of(self, message: Message) -> Recipient:
        return self.people.get((message.workspace, message.user)) or Recipient(user=message.user)


async def _look(tx: Tx, claimed: Sequence[Message], now: datetime) -> _Known:
    named = sorted({(message.workspace, message.user) for message in claimed})
    people = await recipients.list_recipients(tx, named)
    addresses = [
        (workspace, address_hash(workspace, person.email))
        for (workspace, _), person in people.items()
        if person.email is not None
    ]
    return _Known(
        people=people,
        suppressed=await suppressions.list_suppressions(tx, addresses),
        newer=await messages.list_superseded(tx, claimed),
        claims=await messages.list_claims(tx, named, since=now - A_WEEK, until=now + A_WEEK),
    )


def _decided(message: Message, known: _Known, now: datetime) -> Decision:
    recipient = known.people.get((message.workspace, message.user))
    email = recipient.email if recipient is not None else None
    due = Due(
        purpose=message.purpose,
        topic=message.topic,
        channels=message.channels,
        last_use=_latest(message),
        newer=known.newer.get(message.key),
    )
    address = (message.workspace, address_hash(message.workspace, email or ""))
    return decide(due, recipient, known.suppressed.get(address, ()), now)


def _why_not(message: Message, decision: Decision) -> Decided:
    return Decided(
        person=PersonId(message.workspace, message.user),
        identity=message.identity,
        due_at=message.due_at,
        outcome="deferred" if decision.state is None else decision.state.value,
        reason=decision.reason,
        winner=decision.winner,
        rules=RULES,
    )


def _waiting(message: Message, until: datetime, reason: str | None, winner: str | None) -> Step:
    return Step(
        message=message,
        next=Next(state=State.PLANNED, reason=reason, try_at=until),
        winner=winner,
    )


def _handing(
    ready: Ready, provider: str, written: StoredLetter | None, links: Sequence[Link]
) -> _HandingOver:
    email = ready.recipient.email if ready.channel == EMAIL else None
    return _HandingOver(
        step=Step(
            message=ready.message,
            next=Next(state=State.HANDED_OVER),
            channel=ready.channel,
            provider=provider,
            address_hash=address_hash(ready.message.workspace, email) if email else None,
        ),
        written=written,
        links=links,
    )


def _next(message: Message, ended: Ended, now: datetime, retry: RetryPolicy) -> Next:
    return after(
        ended,
        purpose=message.purpose,
        attempt=message.attempt,
        now=now,
        latest=_latest(message),
        policy=retry,
    )


def _next_of_lost(message: Message, now: datetime, retry: RetryPolicy) -> Next:
    """What becomes of a message whose sender died: its inbox takes it once, however often."""
    if message.channel == IN_APP:
        return Next(state=State.PLANNED, reason="uncertain", try_at=now)
    return uncertain(purpose=message.purpose, attempt=message.attempt, now=now, policy=retry)


def _latest(message: Message) -> datetime:
    return last_use(due_at=message.due_at, grace=message.grace, deadline=message.deadline)


async def _end(tx: Tx, steps: Sequence[Step], now: datetime) -> set[Key]:
    """Write these steps and tell of them; those that were still ours."""
    ours = await messages.save_steps(tx, steps, now=now)
    for step in steps:
        if step.message.key in ours:
            channel = step.channel or "none"
            telemetry.MESSAGES_ENDED.labels(channel, step.next.state.value).inc()
    await _tell(tx, [step for step in steps if step.message.key in ours], now)
    return ours


async def _tell(tx: Tx, steps: Sequence[Step], now: datetime) -> None:
    told = [caused for step in steps if (caused := _caused(step, now)) is not None]
    await append_outbox(tx, [outgoing(caused, source="/cadence") for caused in told])


def _caused(step: Step, now: datetime) -> Caused | None:
    message = step.message
    event = delivery(
        said_of(message, step.channel),
        state=step.next.state,
        at=now,
        due_at=message.due_at,
        reason=step.next.reason,
        winner=step.winner,
        invitation=message.facts.get("invitation"),
    )
    if event is None:
        return None
    return told_of_person(
        event,
        workspace=message.workspace,
        account=message.account,
        user=message.user,
        cause_id=f"{message.workspace} {message.identity}",
        key=str(message.attempt),
        at=now,
    )
