"""Routes of programs: which there are, a new version of one, and what came of its messages."""

from collections import defaultdict
from dataclasses import replace
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Body, Path
from pydantic import BaseModel, Field

from services.cadence.model.lint import lint_program
from services.cadence.model.planning import Offered
from services.cadence.model.programs import Program
from services.cadence.model.results import Rate, Tally, added, rates_of
from services.cadence.store import messages, planning, programs
from services.cadence.store.journeys import list_offered
from services.cadence.templates import SHIPPED
from shared.auth import Caller, Managing, Reading
from shared.db import Tx
from shared.errors import DomainError
from shared.http import NotFound, Page, Transaction

router = APIRouter()

Id = Annotated[str, Path(description="The program's id.", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
LOCALES = ("en",)  # what every message falls back to


class ProgramRefused(DomainError):
    """A program with something wrong in it."""

    code = "program_refused"
    status = 422


class ProgramExists(DomainError):
    """A program of that id is there already."""

    code = "program_exists"


class OfferedBody(BaseModel):
    """A program that a workspace has."""

    program: Program = Field(description="All of it.")
    own: bool = Field(description="Its own, and not as it is shipped.")

    @classmethod
    def of(cls, offered: Offered) -> "OfferedBody":
        """The program, shown."""
        return cls(program=offered.program, own=offered.live_since is not None)


class VersionBody(BaseModel):
    """A version of a program."""

    program: Program = Field(description="All of it; id and version are given here.")
    live: bool = Field(default=True, description="False: nothing of it is sent any more.")


class RateBody(BaseModel):
    """A share of messages with Wilson's 95 % interval; null of none."""

    x: int = Field(description="Messages that had it.")
    n: int = Field(description="Of so many.")
    rate: float | None = Field(description="0 to 1.")
    low: float | None = Field(description="Lower end.")
    high: float | None = Field(description="Upper end.")

    @classmethod
    def of(cls, rate: Rate) -> "RateBody":
        """The rate, shown."""
        return cls(x=rate.x, n=rate.n, rate=rate.rate, low=rate.low, high=rate.high)


class ResultBody(BaseModel):
    """What came of some messages. A message counts once, however often it was opened."""

    sent: int = Field(description="Handed over.")
    delivered: RateBody = Field(description="Accepted and not come back, of the sent.")
    opens: tuple[RateBody, RateBody] = Field(
        description="[by people for sure, by anybody or anything], of the delivered."
    )
    clicks: RateBody = Field(description="By people, of the delivered.")
    unsubscribes: RateBody = Field(description="Of the delivered.")

    @classmethod
    def of(cls, tally: Tally) -> "ResultBody":
        """The tally as rates."""
        rates = rates_of(tally)
        return cls(
            sent=tally.sent,
            delivered=RateBody.of(rates.delivered),
            opens=(RateBody.of(rates.opens_human), RateBody.of(rates.opens_all)),
            clicks=RateBody.of(rates.clicks),
            unsubscribes=RateBody.of(rates.unsubscribes),
        )


class Results(BaseModel):
    """What came of a program's messages: in all, and by each part."""

    program: str = Field(description="The program's id.")
    total: ResultBody = Field(description="All of them.")
    by_step: dict[str, ResultBody] = Field(description="By step.")
    by_week: dict[date, ResultBody] = Field(description="By the Monday of the week due, UTC.")
    by_variant: dict[str, ResultBody] = Field(
        description="By `<step>/<variant>`; steps of one wording are absent."
    )


@router.get("/programs", summary="The programs that are live")
async def list_programs(caller: Reading, tx: Transaction) -> Page[OfferedBody]:
    """The workspace's own and those that are shipped, all on one page."""
    offered = await list_offered(tx, [caller.workspace])
    ordered = sorted(offered[caller.workspace], key=lambda each: each.program.id)
    return Page(items=[OfferedBody.of(each) for each in ordered], next_cursor=None)


@router.post("/programs", summary="Make a program", status_code=201)
async def post_program(
    caller: Managing, tx: Transaction, given: Annotated[VersionBody, Body()]
) -> OfferedBody:
    """It is entered by what happens from now on. Raises ProgramExists, ProgramRefused."""
    offered = await list_offered(tx, [caller.workspace])
    if given.program.id in {each.program.id for each in offered[caller.workspace]}:
        raise ProgramExists(f"there is a program {given.program.id!r}; PUT gives it a new version")
    return await _with_version(tx, caller, given.program.id, given)


@router.put("/programs/{program}", summary="Give a program a new version")
async def put_program(
    caller: Managing, tx: Transaction, program: Id, given: Annotated[VersionBody, Body()]
) -> OfferedBody:
    """What people entered before stays; what is not yet sent follows the new version.

    It is entered by what happens from now on. Raises ProgramRefused.
    """
    return await _with_version(tx, caller, program, given)


async def _with_version(tx: Tx, caller: Caller, program: str, given: VersionBody) -> OfferedBody:
    now = await messages.get_now(tx)
    version = await programs.next_version(tx, caller.workspace, program)
    new = replace(given.program, id=program, version=version)
    locales: defaultdict[str, set[str]] = defaultdict(set)
    for template, locale in SHIPPED:
        locales[template].add(locale)
    for template, written in (await programs.list_locales(tx, caller.workspace)).items():
        locales[template] |= written
    if found := lint_program(new, locales, LOCALES):
        raise ProgramRefused("; ".join(f"{each.fault.value}: {each.message}" for each in found))
    await programs.append_version(
        tx, caller.workspace, new, live=given.live, at=now, by=caller.key_id
    )
    await planning.ask_for_plans_of_workspaces(tx, [caller.workspace])
    return OfferedBody.of(Offered(program=new, live_since=now))


@router.get("/programs/{program}/results", summary="What came of a program's messages")
async def get_results(caller: Reading, tx: Transaction, program: Id) -> Results:
    """Rates with their intervals, in all and by step, week and wording. Raises NotFound."""
    tallies = await programs.list_tallies(tx, caller.workspace, program)
    if not tallies:
        offered = await list_offered(tx, [caller.workspace])
        if program not in {each.program.id for each in offered[caller.workspace]}:
            raise NotFound(f"there is no program {program!r}")
    by_step: defaultdict[str, list[Tally]] = defaultdict(list)
    by_week: defaultdict[date, list[Tally]] = defaultdict(list)
    by_variant: defaultdict[str, list[Tally]] = defaultdict(list)
    for cell, tally in tallies.items():
        by_step[cell.step].append(tally)
        by_week[cell.week].append(tally)
        if cell.variant is not None:
            by_variant[f"{cell.step}/{cell.variant}"].append(tally)
    return Results(
        program=program,
        total=ResultBody.of(added(tallies.values())),
        by_step={name: ResultBody.of(added(parts)) for name, parts in by_step.items()},
        by_week={week: ResultBody.of(added(parts)) for week, parts in sorted(by_week.items())},
        by_variant={name: ResultBody.of(added(parts)) for name, parts in by_variant.items()},
    )
