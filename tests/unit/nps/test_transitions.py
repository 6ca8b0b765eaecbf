"""Steps from class to class: gaps, silence, repeats, and the last wave."""

from datetime import UTC, datetime, timedelta

from services.nps.model.classes import AnswerClass
from services.nps.model.transitions import (
    Transitions,
    WaveAnswer,
    steps_of,
    transitions,
    wave_order,
)

WAVES = ["q1", "q2", "q3"]
START = datetime(2025, 1, 1, tzinfo=UTC)
PROMOTER, PASSIVE, DETRACTOR = AnswerClass.PROMOTER, AnswerClass.PASSIVE, AnswerClass.DETRACTOR


def said(user: str, wave: str, answer_class: AnswerClass, minutes: int = 0) -> WaveAnswer:
    at = START + timedelta(days=90 * WAVES.index(wave), minutes=minutes)
    return WaveAnswer(user=user, wave=wave, answer_class=answer_class, at=at)


def found(*answers: WaveAnswer) -> Transitions:
    return transitions(steps_of(answers, WAVES))


def test_a_step_over_a_gap_counts_and_is_not_adjacent():
    flows = found(said("u", "q1", PASSIVE), said("u", "q3", PROMOTER))

    assert flows.consecutive.matrix[PASSIVE][PROMOTER] == 1
    assert flows.consecutive.no_next_answer[PASSIVE] == 0
    assert flows.adjacent_only.matrix[PASSIVE][PROMOTER] == 0
    assert flows.adjacent_only.no_next_answer[PASSIVE] == 1


def test_whoever_falls_silent_is_kept_apart_but_not_of_the_last_wave():
    flows = found(said("u", "q2", PASSIVE), said("v", "q3", PASSIVE))

    assert flows.consecutive.no_next_answer == {PROMOTER: 0, PASSIVE: 1, DETRACTOR: 0}
    assert flows.consecutive.passive_base == 0
    assert flows.consecutive.conversion is None
    assert flows.consecutive.conversion_ci95 is None


def test_the_last_answer_in_a_wave_counts_in_whatever_order_they_come():
    flows = found(
        said("u", "q2", PROMOTER, minutes=9),
        said("u", "q2", DETRACTOR, minutes=1),
        said("u", "q1", PASSIVE),
    )

    assert flows.consecutive.matrix[PASSIVE] == {PROMOTER: 1, PASSIVE: 0, DETRACTOR: 0}


def test_conversion_is_of_passives_with_a_next_answer():
    answers = [said(f"u{n}", "q1", PASSIVE) for n in range(8)]
    answers += [said(f"u{n}", "q2", PROMOTER) for n in range(4)]
    answers += [said(f"u{n}", "q2", PASSIVE) for n in range(4, 6)]

    flow = found(*answers).consecutive

    assert (flow.passive_to_promoter, flow.passive_base) == (4, 6)
    assert flow.conversion == 4 / 6
    # Two after their first answer, two more after their second.
    assert flow.no_next_answer[PASSIVE] == 4


def test_without_answers_there_are_only_zeros():
    flow = found().consecutive

    assert all(n == 0 for row in flow.matrix.values() for n in row.values())
    assert flow.conversion is None


def test_waves_that_were_not_opened_here_stand_in_the_order_of_their_first_answer():
    answers = [said("u", "q2", PASSIVE), said("u", "q1", PASSIVE, 5), said("v", "q1", PASSIVE)]

    assert wave_order(answers) == ["q1", "q2"]
