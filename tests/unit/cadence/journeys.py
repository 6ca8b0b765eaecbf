"""A small course to try rules on."""

from services.cadence.model.caps import Purpose
from services.cadence.model.programs import (
    Branch,
    Comparison,
    Condition,
    Entry,
    How,
    Pillar,
    Program,
    Step,
)
from services.cadence.model.stages import Stage

PAYING = Condition(every=(Comparison(fact="paying", value=True),))
USED = Condition(every=(Comparison(fact="used:reports", how=How.AT_LEAST, value=2),))
COURSE = Program(
    id="course",
    name="Course",
    pillar=Pillar.ONBOARDING,
    purpose=Purpose.ONBOARDING,
    topic="onboarding",
    stages=(Stage.TRAINING,),
    entry=Entry(event="user.identified.v1"),
    steps=(
        Step(id="one", template="t1", branches=(Branch(to="three", when=USED),), then="two"),
        Step(id="two", template="t2", then="three"),
        Step(id="three", template="t3"),
    ),
)
