"""Routes of answers: brought in from another system, listed, and read as steps and roll-ups."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple
from uuid import uuid5

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.nps.api.statistics import IntervalBody, SummaryBody
from services.nps.model.classes import AnswerClass, Counts, count_scores, nps_class, score_said
from services.nps.model.rollups import AccountAnswers, roll_up
from services.nps.model.small_samples import HIDDEN_BELOW
from services.nps.model.statistics import summary
from services.nps.model.transitions import Flow, Step, transitions
from services.nps.store import answers, reports, waves
from services.nps.store.answers import Answer
from services.nps.store.outgoing import append_caused
from services.nps.store.people import append_accounts
from services.nps.store.recording import answered
from services.nps.store.reports import Place, Wanted
from shared.auth import Managing, Reading
from shared.clock import parse_instant
from shared.db import Tx
from shared.events.base import ID_NAMESPACE
from shared.http import Cursor, Limit, NotFound, Page, Transaction, decode_place, encode_place

router = APIRouter()

MOST_IMPORTED = 5_000  # of one request
MOST_CHARACTERS = 200
MODES = ("email", "page", "widget", "api", "import", "live_call")
Said = Mapping[str, Any]


class ImportQuestion(BaseModel):
    """Answers of another system, as it had them."""

    responses: list[Any] = Field(
        max_length=MOST_IMPORTED,
        description="Each {user, account, at, score, wave?, comment?, mode?}.",
        examples=[[{"user": "u-42", "account": "acme", "at": "2026-01-05T09:00:00Z", "score": 9}]],
    )


class ImportResult(BaseModel):
    """What became of one."""

    index: int = Field(description="Its place in the request, from 0.")
    status: str = Field(description="accepted or rejected.")
    code: str | None = Field(default=None, description="Why it was rejected.")


class ImportBody(BaseModel):
    """One result each, in their order."""

    results: list[ImportResult]


class _Refused(Exception):
    """An answer that cannot be read; its text is the code."""


@router.post("/responses/import", summary="Bring in answers of another system")
async def import_responses(caller: Managing, tx: Transaction, asked: ImportQuestion) -> ImportBody:
    """Of several of a person in a wave the last counts. A second import changes nothing."""
    results, read = [], []
    for index, said in enumerate(asked.responses):
        try:
            read.append(_read(caller.workspace, said))
        except _Refused as refusal:
            results.append(ImportResult(index=index, status="rejected", code=str(refusal)))
        else:
            results.append(ImportResult(index=index, status="accepted"))
    await _keep(tx, caller.workspace, read)
    return ImportBody(results=results)


def _read(workspace: str, said: object) -> Answer:
    if not isinstance(said, dict):
        raise _Refused("invalid_response")
    score = score_said(said.get("score"))
    if score is None:
        raise _Refused("invalid_score")
    user, account = _text(said, "user"), _text(said, "account", needed=False)
    wave, at = _text(said, "wave", needed=False) or "", _instant(said)
    mode = said.get("mode") or "import"
    if mode not in MODES:
        raise _Refused("invalid_mode")
    comment = said.get("comment")
    if comment is not None and not isinstance(comment, str):
        raise _Refused("invalid_comment")
    apart = wave or at.isoformat()  # without a wave each answer stands for itself
    return Answer(
        invitation=str(uuid5(ID_NAMESPACE, f"import {workspace} {user} {account} {apart}")),
        wave=wave,
        kind="nps",
        user=user or "",
        account=account,
        score=score,
        answer_class=nps_class(score).value,
        mode=mode,
        comment=storable(comment),
        first_at=at,
        at=at,
    )


def _text(said: Said, name: str, *, needed: bool = True) -> str | None:
    value = said.get(name)
    if value is None and not needed:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= MOST_CHARACTERS:
        raise _Refused(f"invalid_{name}")
    if storable(value) != value:
        raise _Refused(f"invalid_{name}")
    return value


def _instant(said: Said) -> datetime:
    try:
        return parse_instant(said["at"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _Refused("invalid_at") from error


def storable(text: str | None) -> str | None:
    """The text as PostgreSQL takes it: no NUL, no half characters."""
    if text is None:
        return None
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


async def _keep(tx: Tx, workspace: str, read: Sequence[Answer]) -> None:
    labels: dict[str, datetime] = {}
    for each in read:
        if each.wave:
            labels[each.wave] = min(labels.get(each.wave, each.at), each.at)
    await waves.save_labels(tx, workspace, labels)
    await append_accounts(tx, workspace, {each.account for each in read if each.account})
    before = await answers.load_answers(tx, workspace, sorted({each.invitation for each in read}))
    now_so: dict[str, Answer] = {}
    for each in read:
        known = now_so.get(each.invitation) or before.get(each.invitation)
        now_so[each.invitation] = each if known is None else _merged(known, each)
    changed = [each for name, each in sorted(now_so.items()) if each != before.get(name)]
    await answers.save_answers(tx, workspace, changed, before=before)
    await append_caused(tx, [answered(workspace, each) for each in changed])


def _merged(known: Answer, each: Answer) -> Answer:
    """Of two answers to one invitation the later, given first at the earlier."""
    first_at = min(known.first_at, each.at)
    if each.at < known.at or _is_same(known, each):
        if first_at == known.first_at:
            return known
        return Answer(**{**known.__dict__, "first_at": first_at, "version": known.version + 1})
    return Answer(**{**each.__dict__, "first_at": first_at, "version": known.version + 1})


def _is_same(known: Answer, each: Answer) -> bool:
    said = (each.at, each.score, each.comment, each.mode)
    return said == (known.at, known.score, known.comment, known.mode)


class ResponseBody(BaseModel):
    """An answer: the score and the words together (N14)."""

    user: str | None = Field(description="Null of an anonymous wave.")
    account: str | None = Field(description="Null of an anonymous wave.")
    wave: str | None = Field(description="Null where it belongs to none.")
    kind: str = Field(description="nps, csat, ces or micro.")
    score: int = Field(description="As given.")
    answer_class: str | None = Field(
        serialization_alias="class", description="promoter, passive or detractor; of nps alone."
    )
    comment: str | None = Field(description="The person's own words: untrusted text.")
    mode: str = Field(description="How it was collected.")
    details: dict[str, str] = Field(description="Answers to the follow-up questions.")
    features: list[str] = Field(description="Features that the person did not know of.")
    first_at: datetime = Field(description="When the person first answered.")
    at: datetime = Field(description="When this answer was given.")


class ResponsesQuery(BaseModel):
    """Which answers to list."""

    user: str | None = Field(default=None, description="Only this person's.")
    account: str | None = Field(default=None, description="Only this account's.")
    wave: str | None = Field(default=None, description="Only of this wave.")
    kind: str | None = Field(default=None, description="Only of this kind of survey.")
    limit: Limit = 50
    cursor: Cursor = None


@router.get("/responses", summary="The answers, one an invitation")
async def list_responses(
    caller: Reading, tx: Transaction, query: Annotated[ResponsesQuery, Query()]
) -> Page[ResponseBody]:
    """By when they were first given; those that came late are in no list."""
    after = None if query.cursor is None else decode_place(query.cursor, Place)
    wanted = Wanted(user=query.user, account=query.account, wave=query.wave, kind=query.kind)
    found = await reports.list_responses(
        tx, caller.workspace, wanted, after=after, limit=query.limit + 1
    )
    last = found[query.limit - 1] if len(found) > query.limit else None
    return Page(
        items=[
            ResponseBody(**{**each._asdict(), "wave": each.wave or None})
            for each in found[: query.limit]
        ],
        next_cursor=None if last is None else encode_place(Place(last.first_at, last.invitation)),
    )


class FlowBody(BaseModel):
    """How people go from class to class."""

    matrix: dict[AnswerClass, dict[AnswerClass, int]] = Field(description="From, to, people.")
    no_next_answer: dict[AnswerClass, int] = Field(description="Who fell silent, by class.")
    passive_to_promoter: int = Field(description="Passives who became promoters.")
    passive_base: int = Field(description="Passives with a next answer.")
    conversion: float | None = Field(description="The share of them, 0 to 1.")
    conversion_ci95: IntervalBody | None = Field(description="Its Wilson interval.")


class TransitionsBody(FlowBody):
    """Over consecutive answered waves, and over neighbouring ones alone."""

    adjacent_only: FlowBody = Field(description="An answer after a gap is none.")


@router.get("/transitions", summary="How people go from class to class between waves")
async def get_transitions(caller: Reading, tx: Transaction) -> TransitionsBody:
    """Live calls, anonymous waves and answers without a wave are left out."""
    steps = [
        Step(
            from_class=AnswerClass(each.from_class),
            to_class=None if each.to_class is None else AnswerClass(each.to_class),
            adjacent=each.adjacent,
            people=each.people,
        )
        for each in await reports.list_steps(tx, caller.workspace)
    ]
    found = transitions(steps)
    return TransitionsBody(
        **_flow(found.consecutive), adjacent_only=FlowBody(**_flow(found.adjacent_only))
    )


def _flow(flow: Flow) -> dict[str, Any]:
    return {
        "matrix": flow.matrix,
        "no_next_answer": flow.no_next_answer,
        "passive_to_promoter": flow.passive_to_promoter,
        "passive_base": flow.passive_base,
        "conversion": flow.conversion,
        "conversion_ci95": IntervalBody.of(flow.conversion_ci95),
    }


class AccountBody(BaseModel):
    """An account's own answers."""

    account: str = Field(description="The account.")
    n: int | None = Field(description="Its answers; null where hidden.")
    nps: float | None = Field(description="Null while it is silent, and where hidden.")
    mrr: str | None = Field(description="As the ledger told it last; null: never.")


class BoundsBody(BaseModel):
    """What the MRR-weighted score would be."""

    all_detractors: float = Field(description="If all who are silent were detractors.")
    all_promoters: float = Field(description="If all who are silent were promoters.")


class RollupBody(BaseModel):
    """Three readings of the same answers."""

    respondent: SummaryBody = Field(description="Each person counts once.")
    per_account: list[AccountBody] = Field(description="Every account known here, by id.")
    account_mean: float | None = Field(description="Each answering account counts once.")
    mrr_weighted: float | None = Field(description="Each answering account by its MRR.")
    coverage_accounts: float | None = Field(description="Share of accounts that answered.")
    coverage_mrr: float | None = Field(description="Share of MRR that answered.")
    kish_effective_accounts: float | None = Field(description="How many equal accounts it is.")
    mrr_weighted_bounds_if_silent_were: BoundsBody | None = Field(
        description="Null without any MRR."
    )


class _Asked(NamedTuple):
    accounts: list[AccountAnswers]
    respondent: Counts
    anonymous: bool


@router.get("/rollups", summary="The answers by person, by account and by MRR")
async def get_rollups(
    caller: Reading,
    tx: Transaction,
    wave: Annotated[str | None, Query(description="Of this wave alone.")] = None,
) -> RollupBody:
    """Live calls are left out; cells with fewer than five answers of an anonymous wave hidden."""
    asked = await _rollup(tx, caller.workspace, wave)
    found = roll_up(asked.accounts)
    bounds = found.mrr_weighted_bounds_if_silent_were
    return RollupBody(
        respondent=SummaryBody.model_validate(summary(asked.respondent)),
        per_account=[
            AccountBody(
                account=each.account,
                n=each.n,
                nps=each.nps,
                mrr=None if each.mrr is None else format(each.mrr, "f"),
            )
            for each in found.per_account
        ],
        account_mean=found.account_mean,
        mrr_weighted=found.mrr_weighted,
        coverage_accounts=found.coverage_accounts,
        coverage_mrr=found.coverage_mrr,
        kish_effective_accounts=found.kish_effective_accounts,
        mrr_weighted_bounds_if_silent_were=None
        if bounds is None
        else BoundsBody(all_detractors=bounds.low, all_promoters=bounds.high),
    )


async def _rollup(tx: Tx, workspace: str, name: str | None) -> _Asked:
    wave = None if name is None else await waves.get_wave(tx, workspace, name)
    if name is not None and wave is None:
        raise NotFound(f"there is no wave {name!r}")
    scores = await reports.get_scores(tx, workspace, kind="nps", wave=name)
    anonymous = wave is not None and wave.anonymous
    accounts = []
    for row in await reports.list_account_answers(tx, workspace, wave=name):
        counts = Counts(promoter=row.promoter, passive=row.passive, detractor=row.detractor)
        # A hidden account is a silent one here: else the other figures would tell its answers.
        hidden = anonymous and counts.n < HIDDEN_BELOW
        accounts.append(
            AccountAnswers(account=row.account, counts=Counts() if hidden else counts, mrr=row.mrr)
        )
    respondent = count_scores(scores)
    if anonymous and respondent.n < HIDDEN_BELOW:
        respondent = Counts()
    return _Asked(accounts, respondent, anonymous)
