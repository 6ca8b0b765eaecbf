"""Transitions and roll-ups told the slow way, and the bootstrap that the interval replaces."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import numpy as np
import pytest
from scipy import stats

from services.nps.model.classes import AnswerClass, Counts
from services.nps.model.rollups import AccountAnswers, roll_up
from services.nps.model.transitions import WaveAnswer, steps_of, transitions

WAVES = ["w1", "w2", "w3", "w4"]
CLASSES = list(AnswerClass)
START = datetime(2025, 1, 1, tzinfo=UTC)


def random_answers(chance: Random) -> list[WaveAnswer]:
    return [
        WaveAnswer(
            user=f"u{chance.randint(1, 6)}",
            wave=chance.choice(WAVES),
            answer_class=chance.choice(CLASSES),
            at=START + timedelta(minutes=minute),
        )
        for minute in range(chance.randint(0, 30))
    ]


@pytest.mark.parametrize("seed", range(200))
def test_transitions(seed: int):
    answers = random_answers(Random(seed))
    latest = {(each.user, each.wave): each.answer_class for each in answers}
    shuffled = Random(seed + 1).sample(answers, len(answers))

    found = transitions(steps_of(shuffled, WAVES))

    for old in CLASSES:
        starts = [
            (user, wave)
            for (user, wave), answer_class in latest.items()
            if answer_class is old and wave != WAVES[-1]
        ]
        nexts = [
            [latest.get((user, later)) for later in WAVES[WAVES.index(wave) + 1 :]]
            for user, wave in starts
        ]
        consecutive = [next((each for each in later if each), None) for later in nexts]
        adjacent = [later[0] for later in nexts]
        for new in CLASSES:
            assert found.consecutive.matrix[old][new] == consecutive.count(new)
            assert found.adjacent_only.matrix[old][new] == adjacent.count(new)
        assert found.consecutive.no_next_answer[old] == consecutive.count(None)
        assert found.adjacent_only.no_next_answer[old] == adjacent.count(None)


@pytest.mark.parametrize("seed", range(100))
def test_roll_ups(seed: int):
    chance = Random(seed)
    accounts = [
        AccountAnswers(
            account=f"a{n}",
            counts=Counts(
                promoter=chance.randint(0, 3),
                passive=chance.randint(0, 2),
                detractor=chance.randint(0, 3),
            ),
            mrr=Decimal(chance.randint(1, 10**6)),
        )
        for n in range(chance.randint(1, 20))
    ]
    accounts.append(AccountAnswers(account="some", counts=Counts(passive=1), mrr=Decimal(5)))
    accounts.append(AccountAnswers(account="silent", counts=Counts(), mrr=Decimal(9)))
    heard = [each for each in accounts if each.counts.n]
    points = np.array([100 * each.counts.net / each.counts.n for each in heard])
    weights = np.array([float(each.mrr or 0) for each in heard])
    everything = sum(float(each.mrr or 0) for each in accounts)

    found = roll_up(accounts)

    assert found.account_mean == pytest.approx(points.mean(), abs=1e-9)
    assert found.mrr_weighted == pytest.approx(np.average(points, weights=weights), abs=1e-9)
    assert found.coverage_accounts == pytest.approx(len(heard) / len(accounts))
    assert found.coverage_mrr == pytest.approx(weights.sum() / everything)
    assert found.kish_effective_accounts == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    silent = everything - weights.sum()
    bounds = found.mrr_weighted_bounds_if_silent_were
    assert bounds is not None
    for bound, score_of_silence in ((bounds.low, -100), (bounds.high, 100)):
        expected = ((weights * points).sum() + silent * score_of_silence) / everything
        assert bound == pytest.approx(expected, abs=1e-9)


def test_the_bootstrap_of_9_6_5_reaches_from_minus_15_to_55():
    """Its exact distribution: every resample of the 20 answers, by its probability."""
    chances: dict[int, float] = {}
    for promoter in range(21):
        for passive in range(21 - promoter):
            detractor = 20 - promoter - passive
            net = promoter - detractor
            mass = stats.multinomial.pmf([promoter, passive, detractor], 20, [0.45, 0.3, 0.25])
            chances[net] = chances.get(net, 0.0) + float(mass)
    nets = sorted(chances)
    below = np.cumsum([chances[net] for net in nets])

    low, high = (nets[int(np.searchsorted(below, share))] for share in (0.025, 0.975))

    assert (100 * low / 20, 100 * high / 20) == (-15, 55)
