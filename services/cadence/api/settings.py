"""Routes of a workspace's numbers, pauses and consents: what holds messages back."""

from datetime import time, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field, model_validator

from services.cadence.model.announcing import told_of_person
from services.cadence.model.caps import Caps
from services.cadence.model.occurrences import Policy
from services.cadence.model.planning import Numbers
from services.cadence.model.quiet import QuietHours
from services.cadence.store import consents, messages, planning, settings
from services.cadence.store.consents import ConsentKey, Word
from services.cadence.store.known import list_numbers
from shared.auth import Managing, Reading
from shared.bus.record import outgoing
from shared.bus.tables import append_outbox
from shared.db import Tx
from shared.events.cadence import ConsentChanged
from shared.events.told import PersonId
from shared.http import NotFound, Page, Transaction

router = APIRouter()

EVERYBODY = ""
LONGEST_HOURS = 24 * 366
User = Annotated[
    str, Field(default=EVERYBODY, max_length=200, description="A person; empty: everybody.")
]


class NumbersBody(BaseModel):
    """How late, how often and when people may be written to."""

    grace_hours: float = Field(
        default=6, ge=0, le=LONGEST_HOURS, description="How late a message may go, equal included."
    )
    spacing_hours: float = Field(
        default=84, ge=0, le=LONGEST_HOURS, description="Least hours between weekly messages."
    )
    quiet_from: time | None = Field(default=None, description="Local; null: never quiet.")
    quiet_to: time | None = Field(default=None, description="Local; null: never quiet.")
    most_a_day: int | None = Field(default=2, ge=1, description="A civil day; null: any number.")
    most_a_week: int | None = Field(default=5, ge=1, description="An ISO week; null: any number.")
    apart_hours: float = Field(
        default=4, ge=0, le=24 * 7, description="Least hours between any two messages."
    )
    words: dict[str, str] = Field(
        default_factory=dict,
        max_length=100,
        description="What templates may say: guide_url, content_url, help_url, ...",
    )

    @model_validator(mode="after")
    def _are_both_or_none(self) -> "NumbersBody":
        if (self.quiet_from is None) is not (self.quiet_to is None):
            raise ValueError("quiet_from and quiet_to come together")
        return self

    def numbers(self) -> Numbers:
        """As the rules have them."""
        quiet = (
            None
            if self.quiet_from is None or self.quiet_to is None
            else QuietHours(self.quiet_from, self.quiet_to)
        )
        return Numbers(
            policy=Policy(
                grace=timedelta(hours=self.grace_hours),
                spacing=timedelta(hours=self.spacing_hours),
                quiet=quiet,
            ),
            caps=Caps(
                per_day=self.most_a_day,
                per_week=self.most_a_week,
                spacing=timedelta(hours=self.apart_hours),
            ),
            words=self.words,
        )

    @classmethod
    def of(cls, numbers: Numbers) -> "NumbersBody":
        """The numbers, shown."""
        hour = timedelta(hours=1)
        quiet = numbers.policy.quiet
        return cls(
            grace_hours=numbers.policy.grace / hour,
            spacing_hours=numbers.policy.spacing / hour,
            quiet_from=None if quiet is None else quiet.starts,
            quiet_to=None if quiet is None else quiet.ends,
            most_a_day=numbers.caps.per_day,
            most_a_week=numbers.caps.per_week,
            apart_hours=numbers.caps.spacing / hour,
            words=dict(numbers.words),
        )


class PauseBody(BaseModel):
    """A span in which nobody, or one person, is written to; half-open."""

    user: User
    starts_at: AwareDatetime = Field(description="The first instant inside.")
    ends_at: AwareDatetime = Field(description="The first instant outside.")

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> "PauseBody":
        if self.ends_at <= self.starts_at:
            raise ValueError("ends_at is not after starts_at")
        return self


class ConsentBody(BaseModel):
    """What a person said about messages, as somebody of the staff took it down."""

    user: str = Field(min_length=1, max_length=200, description="The person's id.")
    topic: str = Field(min_length=1, max_length=200, description="A topic of messages, or all.")
    granted: bool = Field(description="Whether the person may be written to about it.")


class ConsentTaken(ConsentBody):
    """Whether that is news."""

    changed: bool = Field(description="False: it was so before.")


@router.get("/messaging-settings", summary="The numbers of the workspace")
async def get_settings(caller: Reading, tx: Transaction) -> NumbersBody:
    """Its own, or the defaults."""
    return NumbersBody.of((await list_numbers(tx, [caller.workspace]))[caller.workspace])


@router.put("/messaging-settings", summary="Set the numbers of the workspace")
async def put_settings(caller: Managing, tx: Transaction, given: NumbersBody) -> NumbersBody:
    """All of them at once. What is not yet sent follows."""
    await settings.save_numbers(tx, caller.workspace, given.numbers())
    await planning.ask_for_plans_of_workspaces(tx, [caller.workspace])
    return NumbersBody.of((await list_numbers(tx, [caller.workspace]))[caller.workspace])


@router.get("/pauses", summary="When nobody is written to")
async def list_pauses(caller: Reading, tx: Transaction) -> Page[PauseBody]:
    """The latest first, all on one page."""
    found = await settings.list_pauses(tx, caller.workspace)
    return Page(
        items=[
            PauseBody(user=row.user_id, starts_at=row.starts_at, ends_at=row.ends_at)
            for row in found
        ],
        next_cursor=None,
    )


@router.post("/pauses", summary="Write to nobody, or not to one person, for a while")
async def post_pause(caller: Managing, tx: Transaction, given: PauseBody) -> PauseBody:
    """What is due inside is dropped and not caught up with. Notices of a deadline still go."""
    await settings.save_pause(
        tx, caller.workspace, given.user, given.starts_at, given.ends_at, by=caller.key_id
    )
    await _plan_anew(tx, caller.workspace, given.user)
    return given


@router.delete("/pauses", summary="Lift a pause", status_code=204)
async def delete_pause(
    caller: Managing,
    tx: Transaction,
    starts_at: Annotated[AwareDatetime, Query(description="When it begins.")],
    user: Annotated[str, Query(max_length=200, description="Empty: everybody's.")] = EVERYBODY,
) -> None:
    """What was dropped stays so. Raises NotFound."""
    if not await settings.delete_pause(tx, caller.workspace, user, starts_at):
        raise NotFound("there is no such pause")
    await _plan_anew(tx, caller.workspace, user)


@router.post("/consents", summary="Take down what a person said about messages")
async def post_consent(caller: Managing, tx: Transaction, given: ConsentBody) -> ConsentTaken:
    """It holds from the next hand-over on. Renewal and security notices are not under it."""
    now = await messages.get_now(tx)
    key = ConsentKey(caller.workspace, given.user, given.topic)
    changed = bool(await consents.save_words(tx, {key: Word(now, given.granted)}))
    if changed:
        caused = told_of_person(
            ConsentChanged(
                user=given.user, about=given.topic, granted=given.granted, via="staff", at=now
            ),
            workspace=caller.workspace,
            account=None,
            user=given.user,
            cause_id=f"{caller.workspace} {given.user} {caller.key_id}",
            key=f"{given.topic} {now.isoformat()}",
            at=now,
        )
        await append_outbox(tx, [outgoing(caused, source="/cadence")])
    return ConsentTaken(**given.model_dump(), changed=changed)


async def _plan_anew(tx: Tx, workspace: str, user: str) -> None:
    if user == EVERYBODY:
        await planning.ask_for_plans_of_workspaces(tx, [workspace])
    else:
        await planning.ask_for_plans(tx, [PersonId(workspace, user)])
