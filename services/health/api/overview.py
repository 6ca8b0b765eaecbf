"""Route of one account: all that is known of it, the 360."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from math import exp

from fastapi import APIRouter, Request

from services.health.api.bodies import (
    AccountBody,
    DailyUse,
    FeatureUse,
    ProfileBody,
    TopUser,
    UsageBody,
    UserBody,
)
from services.health.api.parameters import AccountPath, AsOf, instant_or_now, known_account
from services.health.api.scores import UNKNOWN_ACCOUNT, score_body
from services.health.model.score import (
    ActiveDay,
    Habit,
    habit_at,
    last_event_before,
    last_whole_day,
    scale_of,
)
from services.health.model.use import Place
from services.health.store import usage, views
from services.health.store.views import Count, Member
from shared.auth import Reading
from shared.db import Tx
from shared.http import Transaction

router = APIRouter()

RECENT = timedelta(days=30)
STRIP_DAYS = 26 * 7
USERS_SHOWN = 100
FEATURES_SHOWN = 10


@router.get(
    "/accounts/{account:path}",
    summary="All that is known of an account",
    responses=UNKNOWN_ACCOUNT,
)
async def get_account(
    request: Request, caller: Reading, tx: Transaction, account: AccountPath, as_of: AsOf = None
) -> AccountBody:
    """Profile, people, use with a strip of 26 weeks, and the score with its reasons."""
    at = instant_or_now("as_of", as_of, request)
    known = await known_account(tx, caller, account)
    scale = scale_of((await usage.get_silence_days(tx, {caller.workspace}))[caller.workspace])
    days = (await usage.list_days(tx, [known.place], before=at))[known.place]
    last = last_whole_day(at)
    by_user = await views.list_user_events(tx, known.place, after=last - RECENT, last=last)
    members = await views.list_members(tx, known.place, by=last, limit=USERS_SHOWN)
    return AccountBody(
        account=account,
        as_of=at,
        profile=ProfileBody(**{name: told.value for name, told in known.profile.items()}),
        users_total=await views.get_members_total(tx, known.place, by=last),
        users=_users(members, by_user),
        usage=await _usage(tx, known.place, at, days, habit_at(days, at, scale), by_user),
        score=score_body(account, days, at, scale),
    )


def _users(members: Sequence[Member], by_user: Sequence[Count]) -> list[UserBody]:
    events = {count.name: count.events for count in by_user}
    return [
        UserBody(
            user=member.user,
            role=member.role,
            signed_up_at=member.signed_up_at or member.identified_at,
            first_seen_on=member.first_on,
            last_seen_on=member.last_on,
            events=events.get(member.user, 0),
        )
        for member in members
    ]


async def _usage(
    tx: Tx,
    place: Place,
    at: datetime,
    days: Sequence[ActiveDay],
    habit: Habit | None,
    by_user: Sequence[Count],
) -> UsageBody:
    last = last_whole_day(at)
    after = last - RECENT
    recent = [day for day in days if day.day > after]
    features = await views.list_features(tx, place, after=after, last=last)
    return UsageBody(
        first_event_at=habit.first_at if habit else None,
        last_event_at=last_event_before(habit, at) if habit else None,
        usual_gap_days=exp(habit.usual_gap) if habit and habit.usual_gap is not None else None,
        early_active_weeks=habit.early_weeks if habit else None,
        events=sum(day.events for day in recent),
        active_days=len(recent),
        active_users=len(by_user),
        top_user=_top_user(by_user),
        breadth=len(features),
        features=[
            FeatureUse(feature=count.name, events=count.events)
            for count in features[:FEATURES_SHOWN]
        ],
        strip=_strip(days, last),
    )


def _top_user(by_user: Sequence[Count]) -> TopUser | None:
    """The busiest user with their share of what all users did."""
    if not by_user:
        return None
    total = sum(count.events for count in by_user)
    return TopUser(user=by_user[0].name, share=by_user[0].events / total)


def _strip(days: Sequence[ActiveDay], last: date) -> list[DailyUse]:
    events = {day.day: day.events for day in days}
    shown = [last - timedelta(days=back) for back in reversed(range(STRIP_DAYS))]
    return [DailyUse(day=day, events=events.get(day, 0)) for day in shown]
