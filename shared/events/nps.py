"""Contracts of nps: waves, invitations, answers, what they say, and the loops they open."""

from datetime import datetime
from typing import Annotated, Any, ClassVar

from msgspec import UNSET, Meta, Raw, UnsetType, field

from shared.events.base import Event, Topic

SURVEYS = Topic(
    name="nps.surveys.v1",
    producer="nps",
    description="Waves, invitations, answers, changes of class, themes, loops and requests.",
    key="<workspace>/<account>, else <workspace>/~<user>; waves and requests: <workspace>/",
    partitions=12,
)

Invitation = Annotated[str, Meta(description="The invitation's id: one person in one wave.")]
User = Annotated[str, Meta(description="The person's id.")]
Wave = Annotated[str, Meta(description="The wave's id, or its label if it was imported.")]
SurveyKind = Annotated[str, Meta(description="nps, csat, ces or micro")]
AnswerClass = Annotated[str, Meta(description="promoter, passive or detractor")]
Counts = Annotated[
    dict[str, int], Meta(description="People by decision, or answers by class once closed.")
]


class WaveOpened(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a wave opens: its population is fixed, each person with a decision."""

    type: ClassVar[str] = "nps.wave_opened.v1"
    topic: ClassVar[Topic] = SURVEYS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "wave": "2026-q1",
            "kind": "nps",
            "population": 1200,
            "counts": {"ask": 900, "too_young": 200, "quarantine": 80, "opted_out": 20},
        },
    )

    wave: Wave
    kind: SurveyKind
    population: Annotated[int, Meta(description="People in the wave, whatever the decision.")]
    counts: Counts | None = None
    nps: Annotated[float | None, Meta(description="-100 to 100; absent until closed.")] = None


class WaveClosed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a wave closes: later answers are kept and do not count."""

    type: ClassVar[str] = "nps.wave_closed.v1"
    topic: ClassVar[Topic] = SURVEYS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "wave": "2026-q1",
            "kind": "nps",
            "population": 1200,
            "counts": {"promoter": 50, "passive": 30, "detractor": 20},
            "nps": 30.0,
        },
    )

    wave: Wave
    kind: SurveyKind
    population: Annotated[int, Meta(description="People in the wave, whatever the decision.")]
    counts: Counts | None = None
    nps: Annotated[
        float | None, Meta(description="-100 to 100, not rounded; absent without answers.")
    ] = None


class InvitationRequested(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published when somebody is to be asked, or reminded: cadence sends it, under its caps."""

    type: ClassVar[str] = "nps.invitation_requested.v1"
    topic: ClassVar[Topic] = SURVEYS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "invitation": "0b9a6c1e-5d0e-5b6e-8f43-0d6a6f5a0a01",
            "user": "u-42",
            "wave": "2026-q1",
            "kind": "invitation",
            "url": "https://nps.example/s/token",
            "template": "nps_invitation",
            "closes_at": "2026-03-31T15:00:00Z",
        },
    )

    invitation: Invitation
    user: User
    wave: Wave
    kind: Annotated[str, Meta(description="invitation or reminder")]
    url: Annotated[str, Meta(description="The survey page of this person; add ?score= to it.")]
    template: Annotated[str, Meta(description="Name of the message's template in cadence.")]
    closes_at: Annotated[datetime, Meta(description="Not to be sent from here on.")]


class Invited(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published when cadence has handed an invitation over: the quarantine counts from here."""

    type: ClassVar[str] = "nps.invited.v1"
    topic: ClassVar[Topic] = SURVEYS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "invitation": "0b9a6c1e-5d0e-5b6e-8f43-0d6a6f5a0a01",
            "user": "u-42",
            "wave": "2026-q1",
            "at": "2026-03-03T00:10:00Z",
        },
    )

    invitation: Invitation
    user: User
    wave: Wave
    at: Annotated[datetime, Meta(description="When it was handed over.")]


class Answered(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published when an answer is recorded or replaced while its wave is open.

    Of several of one invitation the last counts, at the time of the first.
    """

    type: ClassVar[str] = "nps.answered.v1"
    topic: ClassVar[Topic] = SURVEYS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "invitation": "0b9a6c1e-5d0e-5b6e-8f43-0d6a6f5a0a01",
            "user": "u-42",
            "wave": "2026-q1",
            "kind": "nps",
            "score": 7,
            "class": "passive",
            "mode": "page",
            "first_at": "2026-03-03T00:20:00Z",
            "at": "2026-03-03T00:25:00Z",
            "features": ["exports"],
            "personal": {"comment": "I did not know that there are exports."},
        },
    )

    invitation: Invitation
    user: User
    wave: Wave
    kind: SurveyKind
    score: Annotated[
        int, Meta(description="nps 0 to 10, csat 1 to 5, ces 1 to 7, micro 1 to 5, all whole.")
    ]
    # `class` on the wire.
    answer_class: Annotated[
        str | None, Meta(description="promoter, passive or detractor; of nps alone.")
    ] = field(name="class", default=None)
    mode: Annotated[str, Meta(description="email, page, widget, api, import or live_call")]
    first_at: Annotated[datetime, Meta(description="When this person first answered.")]
    at: Annotated[datetime, Meta(description="When this answer was given.")]
    features: Annotated[
        list[str] | None, Meta(description="Features that the person did not know of.")
    ] = None
    personal: Annotated[
        Raw | UnsetType, Meta(description="comment, the person's own words; untrusted text.")
    ] = UNSET


class ClassChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a person's answer is of another class than the one in the wave before."""

    type: ClassVar[str] = "nps.class_changed.v1"
    topic: ClassVar[Topic] = SURVEYS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"user": "u-42", "from": "passive", "to": "promoter"},
    )

    user: User
    # `from` and `to` on the wire.
    from_class: AnswerClass = field(name="from")
    to_class: AnswerClass = field(name="to")


class ThemeAssigned(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published when an answer's words are given a theme of the code book."""

    type: ClassVar[str] = "nps.theme_assigned.v1"
    topic: ClassVar[Topic] = SURVEYS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "invitation": "0b9a6c1e-5d0e-5b6e-8f43-0d6a6f5a0a01",
            "theme": "unaware_of_feature",
            "feature": "exports",
            "by": "rule",
            "user": "u-42",
        },
    )

    invitation: Invitation
    theme: Annotated[str, Meta(description="Its code; unaware_of_feature names a feature.")]
    feature: Annotated[str | None, Meta(description="The feature it speaks of.")] = None
    by: Annotated[str, Meta(description="rule or person")]
    user: Annotated[str | None, Meta(description="Who answered; absent if anonymous.")] = None


class LoopEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A loop: somebody said something, and a human owes that person a contact."""

    loop: Annotated[str, Meta(description="The loop's id.")]
    user: Annotated[
        str | None, Meta(description="Who spoke; absent for a public review by nobody known.")
    ] = None
    # `class` on the wire.
    answer_class: Annotated[
        str | None, Meta(description="promoter, passive or detractor; absent unless of nps.")
    ] = field(name="class", default=None)
    owner: Annotated[str | None, Meta(description="Staff e-mail; absent while nobody's.")] = None
    due_at: Annotated[datetime, Meta(description="By when the person is to be contacted.")]
    reason: Annotated[str, Meta(description="What opened it: nps, csat, ces, micro or feedback.")]
    invitation: Annotated[str | None, Meta(description="The answer it follows.")] = None
    feedback: Annotated[str | None, Meta(description="The feedback item it follows.")] = None


class LoopOpened(LoopEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when an answer or a feedback item asks for a human contact."""

    type: ClassVar[str] = "nps.loop_opened.v1"
    topic: ClassVar[Topic] = SURVEYS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "loop": "0b9a6c1e-5d0e-5b6e-8f43-0d6a6f5a0a01",
            "user": "u-42",
            "class": "detractor",
            "owner": "kim@vendor.example",
            "due_at": "2026-03-04T00:25:00Z",
            "reason": "nps",
            "invitation": "0b9a6c1e-5d0e-5b6e-8f43-0d6a6f5a0a01",
        },
    )


class LoopClosed(LoopEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a loop is closed: a human contact is logged, and the class re-measured."""

    type: ClassVar[str] = "nps.loop_closed.v1"
    topic: ClassVar[Topic] = SURVEYS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "loop": "0b9a6c1e-5d0e-5b6e-8f43-0d6a6f5a0a01",
            "user": "u-42",
            "class": "detractor",
            "owner": "kim@vendor.example",
            "due_at": "2026-03-04T00:25:00Z",
            "reason": "nps",
            "invitation": "0b9a6c1e-5d0e-5b6e-8f43-0d6a6f5a0a01",
            "outcome": "better",
        },
    )

    outcome: Annotated[
        str | None, Meta(description="better, same, worse, answered (feedback) or no_next_answer")
    ] = None


class RequestChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Published when a product request gets another status: its voters are told."""

    type: ClassVar[str] = "nps.request_changed.v1"
    topic: ClassVar[Topic] = SURVEYS
    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {"request": "csv-export", "status": "shipped", "voters": ["u-42", "u-77"]},
    )

    request: Annotated[str, Meta(description="The request's id.")]
    status: Annotated[str, Meta(description="open, planned, started, shipped or declined")]
    voters: Annotated[list[str], Meta(description="People who asked for it, each once.")]
    title: Annotated[str | None, Meta(description="What was asked for, in the team's words.")] = (
        None
    )
