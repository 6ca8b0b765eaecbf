"""An answer with all that follows from it: counts, what is published, the loop that it opens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid5

import msgspec
from msgspec import UNSET, Raw, UnsetType

from services.nps.model.classes import AnswerClass, nps_class
from services.nps.store.answers import (
    Answer,
    append_late,
    get_answer,
    get_class_before,
    save_answers,
)
from services.nps.store.invitations import Asked
from services.nps.store.loops import Loop, append_loop
from services.nps.store.outgoing import append_caused
from services.nps.store.people import get_owner
from shared.db import Tx
from shared.events.base import ID_NAMESPACE, Caused, Event
from shared.events.nps import Answered, ClassChanged, LoopOpened

LOOP_DAYS = 1  # N40: listen, act, answer fast
# Of a comment, what events carry: a topic takes 1 MiB, and every reader has to hold it.
TOLD_CHARACTERS = 10_000


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a person said on a page, in a widget or to a caller; a valid score of its kind."""

    score: int
    comment: str | None
    mode: str
    details: Mapping[str, str] = field(default_factory=dict)
    features: tuple[str, ...] = ()


async def record(tx: Tx, asked: Asked, said: Said, *, now: datetime) -> bool:
    """Keep what was said; whether it counts: after the close it is kept apart.

    The invitation is locked, so that of answers at once one after the other is recorded.
    """
    of = asked.invitation
    if asked.is_closed or now >= asked.closes_at:
        await append_late(
            tx,
            of.workspace,
            of.invitation,
            score=said.score,
            comment=said.comment,
            mode=said.mode,
            at=now,
        )
        return False
    before = await get_answer(tx, of.workspace, of.invitation)
    answer = _answer(asked, said, before, now)
    if before is not None and _same(before, answer):
        return True
    await save_answers(
        tx, of.workspace, [answer], before={} if before is None else {of.invitation: before}
    )
    await append_caused(tx, [answered(of.workspace, answer)])
    await _tell_of_class(tx, of.workspace, answer, before)
    return True


def _answer(asked: Asked, said: Said, before: Answer | None, now: datetime) -> Answer:
    of = asked.invitation
    return Answer(
        invitation=of.invitation,
        wave=of.wave,
        kind=asked.kind,
        user=of.user,
        account=of.account,
        score=said.score,
        answer_class=nps_class(said.score).value if asked.kind == "nps" else None,
        mode=said.mode,
        comment=said.comment,
        details=said.details,
        features=said.features,
        first_at=now if before is None else before.first_at,
        # The clock of a second process may stand a little behind that of the first.
        at=now if before is None else max(now, before.at),
        version=1 if before is None else before.version + 1,
    )


def _same(one: Answer, other: Answer) -> bool:
    return (one.score, one.comment, dict(one.details), one.features) == (
        other.score,
        other.comment,
        dict(other.details),
        other.features,
    )


def answered(workspace: str, answer: Answer) -> Caused:
    """That an answer was recorded, told once for each of its versions."""
    event = Answered(
        invitation=answer.invitation,
        user=answer.user,
        wave=answer.wave,
        kind=answer.kind,
        score=answer.score,
        answer_class=answer.answer_class,
        mode=answer.mode,
        first_at=answer.first_at,
        at=answer.at,
        features=list(answer.features) or None,
        personal=_personal(answer.comment),
    )
    return _caused(workspace, answer, event, f"answer {answer.version}")


def _personal(comment: str | None) -> Raw | UnsetType:
    if not comment:
        return UNSET
    return Raw(msgspec.json.encode({"comment": comment[:TOLD_CHARACTERS]}))


async def _tell_of_class(tx: Tx, workspace: str, answer: Answer, before: Answer | None) -> None:
    if answer.answer_class is None:
        return
    former = await get_class_before(tx, workspace, answer.user, answer.wave)
    told = answer.answer_class if before is None else before.answer_class
    if former is not None and former != answer.answer_class and (before is None or told != former):
        event = ClassChanged(from_class=former, to_class=answer.answer_class, user=answer.user)
        await append_caused(tx, [_caused(workspace, answer, event, f"class {answer.version}")])
    if answer.answer_class == AnswerClass.DETRACTOR:
        await _open_loop(tx, workspace, answer)


async def _open_loop(tx: Tx, workspace: str, answer: Answer) -> None:
    loop = Loop(
        loop=str(uuid5(ID_NAMESPACE, f"loop {workspace} {answer.invitation}")),
        follows=answer.invitation,
        user=answer.user,
        account=answer.account,
        answer_class=answer.answer_class,
        reason=answer.kind,
        owner=await get_owner(tx, workspace, answer.account),
        opened_at=answer.at,
        due_at=answer.at + timedelta(days=LOOP_DAYS),
    )
    if not await append_loop(tx, workspace, loop):
        return
    event = LoopOpened(
        loop=loop.loop,
        user=loop.user,
        answer_class=loop.answer_class,
        owner=loop.owner,
        due_at=loop.due_at,
        reason=loop.reason,
        invitation=answer.invitation,
    )
    await append_caused(tx, [_caused(workspace, answer, event, "loop")])


def _caused(workspace: str, answer: Answer, event: Event, key: str) -> Caused:
    return Caused(
        event=event,
        workspace=workspace,
        subject=answer.account,
        record_key=None if answer.account else f"{workspace}/~{answer.user}",
        cause_id=f"{workspace} {answer.invitation}",
        key=key,
        time=answer.at,
    )
