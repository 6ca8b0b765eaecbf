"""Route of one account: all that is known of it, the 360."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from math import exp
from typing import Any

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
from services.health.store.views import Member, Most
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
    members = await views.list_members(
        tx, known.place, after=last - RECENT, last=last, limit=USERS_SHOWN
    )
    return AccountBody(
        account=account,
        as_of=at,
        profile=ProfileBody(**{name: told.value for name, told in known.profile.items()}),
        users_total=await views.get_members_total(tx, known.place, last=last),
        users=[_user(member) for member in members],
        usage=UsageBody(
            **_habit(habit_at(days, at, scale), at),
            **_recent(days, last),
            **await _shares(tx, known.place, last),
            strip=_strip(days, last),
        ),
        score=score_body(account, days, at, scale),
        **{name: told.value for name, told in known.commercial.items()},
    )


def _user(member: Member) -> UserBody:
    return UserBody(
        user=member.user,
        role=member.role,
        signed_up_at=member.signed_up_at or member.identified_at,
        first_seen_on=member.first_on,
        last_seen_on=member.last_on,
        events=member.events,
    )


def _habit(habit: Habit | None, at: datetime) -> dict[str, Any]:
    if habit is None:
        names = ("first_event_at", "last_event_at", "usual_gap_days", "early_active_weeks")
        return dict.fromkeys(names)
    return {
        "first_event_at": habit.first_at,
        "last_event_at": last_event_before(habit, at),
        "usual_gap_days": None if habit.usual_gap is None else exp(habit.usual_gap),
        "early_active_weeks": habit.early_weeks,
    }


def _recent(days: Sequence[ActiveDay], last: date) -> dict[str, Any]:
    recent = [day.events for day in days if day.day > last - RECENT]
    return {"events": sum(recent), "active_days": len(recent)}


async def _shares(tx: Tx, place: Place, last: date) -> dict[str, Any]:
    """Who and what the recent use is made of."""
    users = await views.list_active_users(tx, place, after=last - RECENT, last=last, limit=1)
    features = await views.list_features(
        tx, place, after=last - RECENT, last=last, limit=FEATURES_SHOWN
    )
    return {
        "active_users": users[0].names if users else 0,
        "top_user": _top_user(users[0]) if users else None,
        "breadth": features[0].names if features else 0,
        "features": [FeatureUse(feature=most.name, events=most.events) for most in features],
    }


def _top_user(most: Most) -> TopUser:
    return TopUser(user=most.name, share=most.events / most.all_events)


def _strip(days: Sequence[ActiveDay], last: date) -> list[DailyUse]:
    events = {day.day: day.events for day in days}
    shown = [last - timedelta(days=back) for back in reversed(range(STRIP_DAYS))]
    return [DailyUse(day=day, events=events.get(day, 0)) for day in shown]
