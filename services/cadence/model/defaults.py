"""The programs that a workspace has from its first day (M9, M10, M12, J11, J17, J22, N27).

Their texts, in Korean and English, are the default templates of the same ids.
"""

from datetime import timedelta

from services.cadence.model.caps import Purpose
from services.cadence.model.programs import (
    Branch,
    Channel,
    Comparison,
    Condition,
    Entry,
    How,
    Pillar,
    Program,
    Rhythm,
    Step,
)
from services.cadence.model.stages import Stage

SIGNED_UP = "user.identified.v1"
FIRST_PAYMENT = "payment.first_succeeded.v1"
FEATURE_SHIPPED = "feature.shipped.v1"
FEATURE_UNKNOWN = "nps.theme_assigned.v1"
RENEWAL_DUE = "contract.renewal_due.v1"
ONBOARDED = "account.onboarded.v1"
CLASS_CHANGED = "nps.class_changed.v1"
REQUEST_CHANGED = "nps.request_changed.v1"

WRITTEN = (Channel.EMAIL, Channel.IN_APP)
SHOWN = (Channel.IN_APP, Channel.EMAIL)
USED_THE_FEATURE = Condition(every=(Comparison(fact="used:announced", how=How.AT_LEAST, value=1),))


def _is(name: str, value: str | bool) -> Comparison:  # noqa: FBT001
    return Comparison(fact=name, how=How.EQUAL, value=value)


def _course(pillar: str, count: int) -> tuple[Step, ...]:
    """Weekly steps, one after the other, whose templates are named `<pillar>-<number>`."""
    ids = [f"{pillar}-{number}" for number in range(1, count + 1)]
    followers = [*ids[1:], None]
    return tuple(
        Step(id=step, template=step, rhythm=Rhythm.WEEKLY, channels=WRITTEN, then=then)
        for step, then in zip(ids, followers, strict=True)
    )


WELCOME = Program(
    id="welcome",
    name="Welcome letter",
    pillar=Pillar.WEBSITE_RESEARCH,
    purpose=Purpose.ONBOARDING,
    topic="onboarding",
    stages=(Stage.PROSPECT, Stage.HANDOFF, Stage.KICKOFF),
    entry=Entry(event=SIGNED_UP),
    steps=(Step(id="welcome", template="welcome", rhythm=Rhythm.AT_ONCE, channels=WRITTEN),),
)

PAYMENT_GUIDE = Program(
    id="payment-guide",
    name="Guide to plans and payment",
    pillar=Pillar.ONBOARDING,
    purpose=Purpose.ONBOARDING,
    topic="onboarding",
    stages=(Stage.PROSPECT, Stage.HANDOFF),
    entry=Entry(event=SIGNED_UP, when=Condition(none=(_is("paying", value=True),))),
    ends_if=Condition(every=(_is("paying", value=True),)),
    steps=(
        Step(
            id="payment-guide",
            template="payment-guide",
            rhythm=Rhythm.AFTER,
            wait=timedelta(days=3),
            channels=WRITTEN,
        ),
    ),
)

USAGE_GUIDE = Program(
    id="usage-guide",
    name="Guide to the first days",
    pillar=Pillar.ONBOARDING,
    purpose=Purpose.ONBOARDING,
    topic="onboarding",
    stages=(Stage.KICKOFF, Stage.IMPLEMENTATION),
    entry=Entry(event=FIRST_PAYMENT),
    ends_if=Condition(every=(_is("onboarded", value=True),)),
    steps=(
        Step(
            id="usage-guide",
            template="usage-guide",
            rhythm=Rhythm.AFTER,
            wait=timedelta(days=1),
            channels=WRITTEN,
        ),
    ),
)

WEEKLY_COURSE = Program(
    id="weekly-course",
    name="Weekly onboarding course",
    pillar=Pillar.ONBOARDING,
    purpose=Purpose.ONBOARDING,
    topic="onboarding",
    stages=(Stage.IMPLEMENTATION, Stage.TRAINING, Stage.LAUNCH),
    entry=Entry(event=SIGNED_UP),
    ends_if=Condition(every=(_is("stage", Stage.CHURNED),)),
    steps=_course("course", 6),
)

FEATURE_ANNOUNCEMENT = Program(
    id="feature-announcement",
    name="A feature that this person has not used yet",
    pillar=Pillar.ADOPTION,
    purpose=Purpose.FEATURE,
    topic="feature",
    stages=(Stage.LAUNCH, Stage.ADOPTION, Stage.ADVANCEMENT),
    entry=Entry(event=FEATURE_SHIPPED),
    ends_if=USED_THE_FEATURE,
    repeats=True,
    hold_out=0.1,
    steps=(
        Step(
            id="announcement",
            template="feature-announcement",
            rhythm=Rhythm.WEEKLY,
            channels=SHOWN,
            then="again",
        ),
        Step(
            id="again",
            template="feature-announcement",
            rhythm=Rhythm.AFTER,
            wait=timedelta(weeks=2),
            channels=WRITTEN,
        ),
    ),
)

UNKNOWN_FEATURE = Program(
    id="unknown-feature",
    name="A feature that an answer to a survey asked for, and that exists",
    pillar=Pillar.ADOPTION,
    purpose=Purpose.FEATURE,
    topic="feature",
    stages=(Stage.ADOPTION,),
    entry=Entry(event=FEATURE_UNKNOWN),
    ends_if=USED_THE_FEATURE,
    repeats=True,
    steps=(
        Step(
            id="announcement",
            template="feature-announcement",
            rhythm=Rhythm.AT_ONCE,
            channels=WRITTEN,
        ),
    ),
)

EDUCATION_TRACK = Program(
    id="education-track",
    name="Training by own pace: videos, webinars, the community",
    pillar=Pillar.ADOPTION,
    purpose=Purpose.ONBOARDING,
    topic="education",
    stages=(Stage.TRAINING, Stage.REVIEW, Stage.ADOPTION),
    entry=Entry(event=ONBOARDED),
    steps=(
        Step(
            id="education-track-1",
            template="education-track-1",
            channels=WRITTEN,
            branches=(
                Branch(
                    to="education-track-3",
                    when=Condition(
                        every=(Comparison(fact="engaged:training", how=How.AT_LEAST, value=1),)
                    ),
                ),
            ),
            then="education-track-2",
        ),
        Step(
            id="education-track-2",
            template="education-track-2",
            channels=SHOWN,
            then="education-track-3",
        ),
        Step(id="education-track-3", template="education-track-3", channels=WRITTEN),
    ),
)

NEWSLETTER = Program(
    id="newsletter",
    name="Newsletter by topic",
    pillar=Pillar.WEBSITE_RESEARCH,
    purpose=Purpose.NEWSLETTER,
    topic="newsletter",
    stages=(Stage.ADOPTION, Stage.ADVANCEMENT, Stage.ADVOCACY),
    entry=Entry(event="newsletter.released.v1"),
    repeats=True,
    steps=(Step(id="newsletter", template="newsletter", rhythm=Rhythm.WEEKLY, channels=WRITTEN),),
)

RENEWAL_NOTICE = Program(
    id="renewal-notice",
    name="The contract is about to renew",
    pillar=Pillar.SUPPORT,
    purpose=Purpose.RENEWAL,
    topic="renewal",
    stages=(Stage.RENEWAL, Stage.ADOPTION, Stage.ADVANCEMENT),
    entry=Entry(
        event=RENEWAL_DUE,
        when=Condition(any_of=(_is("role", "admin"), _is("role", "sponsor"))),
    ),
    repeats=True,
    steps=(
        Step(
            id="renewal-notice",
            template="renewal-notice",
            rhythm=Rhythm.AT_ONCE,
            channels=WRITTEN,
            then="renewal-reminder",
        ),
        Step(
            id="renewal-reminder",
            template="renewal-notice",
            rhythm=Rhythm.BEFORE,
            wait=timedelta(days=7),
            channels=WRITTEN,
        ),
    ),
)

REQUEST_DONE = Program(
    id="request-done",
    name="You asked, we did",
    pillar=Pillar.SUPPORT,
    purpose=Purpose.NOTICE,
    topic="notice",
    stages=(Stage.ADOPTION, Stage.ADVOCACY),
    entry=Entry(event=REQUEST_CHANGED),
    repeats=True,
    steps=(
        Step(
            id="request-changed",
            template="request-changed",
            rhythm=Rhythm.AT_ONCE,
            channels=WRITTEN,
        ),
    ),
)


def _after_answer(nps_class: str, name: str, stages: tuple[Stage, ...]) -> Program:
    """What somebody is told who is now in the class, once each time he enters it (J17)."""
    in_it = Comparison(fact="nps_class", value=nps_class)
    return Program(
        id=f"nps-{nps_class}",
        name=name,
        pillar=Pillar.SUPPORT,
        purpose=Purpose.NPS,
        topic="nps",
        stages=stages,
        entry=Entry(event=CLASS_CHANGED, when=Condition(every=(in_it,))),
        ends_if=Condition(none=(in_it,)),
        repeats=True,
        steps=(
            Step(
                id=f"nps-{nps_class}",
                template=f"nps-{nps_class}",
                rhythm=Rhythm.AFTER,
                wait=timedelta(days=1),
                channels=WRITTEN,
            ),
        ),
    )


DETRACTOR = _after_answer("detractor", "Say sorry, and offer to talk", (Stage.REVIEW,))
PASSIVE = _after_answer("passive", "Ask directly what was missing", (Stage.REVIEW,))
PROMOTER = _after_answer("promoter", "Thank, and ask whom else it would help", (Stage.ADVOCACY,))

PROGRAMS = (
    WELCOME,
    PAYMENT_GUIDE,
    USAGE_GUIDE,
    WEEKLY_COURSE,
    FEATURE_ANNOUNCEMENT,
    UNKNOWN_FEATURE,
    EDUCATION_TRACK,
    NEWSLETTER,
    RENEWAL_NOTICE,
    REQUEST_DONE,
    DETRACTOR,
    PASSIVE,
    PROMOTER,
)
LOCALES = ("en", "ko")
