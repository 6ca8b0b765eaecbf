"""The calculators' bodies: what may be said, what is answered, what is null."""

from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from services.nps.api.preview import PreviewQuestion, preview_wave
from services.nps.api.statistics import (
    CompareQuestion,
    EligibleQuestion,
    PairedQuestion,
    ProportionQuestion,
    SampleSizeQuestion,
    SummaryQuestion,
    compare_people,
    compare_waves,
    first_asked,
    plan_sample,
    share_of,
    summarise,
)

NOBODY = {"promoter": 0, "passive": 0, "detractor": 0}
SOME = {"promoter": 50, "passive": 30, "detractor": 20}
COMPARED = ("change", "change_shown", "z", "p_two_sided", "diff_low", "diff_high", "significant_95")


def shown(body: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(body.model_dump_json())
    return found


async def summarised(**asked: Any) -> dict[str, Any]:
    return shown(await summarise(SummaryQuestion.model_validate(asked)))


async def test_a_summary_has_the_fields_of_the_contract():
    found = await summarised(counts=SOME)

    assert found.pop("ci95_adjusted_wald").keys() == {"centre", "half_width", "low", "high"}
    assert found.pop("se_wald") == pytest.approx(7.8102497)
    assert found.pop("moe95_wald") == pytest.approx(15.3078081)
    assert found == {
        "counts": SOME,
        "n": 100,
        "nps": 30,
        "nps_shown": 30,
        "share": {"promoter": 0.5, "passive": 0.3, "detractor": 0.2},
        "variance": 0.61,
        "too_few": False,
    }


async def test_without_answers_all_but_the_counts_is_null():
    found = await summarised(counts=NOBODY)

    assert (found.pop("counts"), found.pop("n"), found.pop("too_few")) == (NOBODY, 0, True)
    assert set(found.values()) == {None}


async def test_what_is_no_score_counts_nowhere_nor_do_the_skipped_and_dismissed():
    found = await summarised(
        scores=[10, 9, 7, 0, 6.5, None, True, "8", 11, -1, [], {}], skipped=5, dismissed=7
    )

    assert found["counts"] == {"promoter": 2, "passive": 1, "detractor": 1}
    assert found["nps"] == 25


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"counts": SOME, "scores": [1]},
        {"counts": {"promoter": 1, "passive": 1}},
        {"counts": {**SOME, "promoter": -1}},
        {"counts": {**SOME, "promoter": 1.5}},
        {"counts": {**SOME, "promoter": True}},
    ],
)
def test_a_question_without_one_whole_meaning_is_refused(asked: dict[str, Any]):
    with pytest.raises(ValidationError):
        SummaryQuestion.model_validate(asked)


async def test_a_comparison_with_nobody_is_null():
    asked = CompareQuestion.model_validate({"before": NOBODY, "after": SOME})

    assert shown(await compare_waves(asked)) == dict.fromkeys(COMPARED)


async def test_a_pair_with_one_value_that_is_no_score_is_dropped():
    rows = [
        {"before": 6, "after": 9},
        {"before": 7, "after": 8},
        {"before": 7.5, "after": 9},
        {"before": True, "after": 9},
        {"before": 9},
    ]

    found = shown(await compare_people(PairedQuestion.model_validate({"rows": rows})))

    assert (found["n"], found["change"]) == (2, 100)
    assert found["z"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("rows", "change"), [([], None), ([(6, 9)], 200), ([(6, 7), (7, 9), (8, 10)], 100)]
)
async def test_pairs_without_a_spread_have_no_test(
    rows: list[tuple[int, int]], change: float | None
):
    pairs = [{"before": before, "after": after} for before, after in rows]

    found = shown(await compare_people(PairedQuestion.model_validate({"rows": pairs})))

    assert found == {"n": len(rows), "change": change, "z": None, "p_two_sided": None}


async def test_a_planned_sample():
    asked = SampleSizeQuestion.model_validate({"variance": 0.61, "moe_points": 10})

    assert shown(await plan_sample(asked)) == {"n": 232}


async def test_a_share_of_nobody_is_null():
    asked = ProportionQuestion.model_validate({"x": 0, "n": 0})

    assert shown(await share_of(asked)) == {"proportion": None, "low": None, "high": None}


def test_more_than_all_is_refused():
    with pytest.raises(ValidationError):
        ProportionQuestion.model_validate({"x": 2, "n": 1})


async def test_the_first_instant_of_asking():
    asked = EligibleQuestion.model_validate_json(
        b'{"signup_at": "2025-01-10T00:30:00Z", "zone": "Asia/Seoul"}'
    )

    assert shown(await first_asked(asked)) == {"eligible_from": "2025-02-24T00:30:00Z"}


async def test_a_preview_decides_about_each_person_in_the_order_given():
    asked = {
        "wave": {"opens_on": "2026-04-01", "first_after_days": 45, "quarantine_days": 90},
        "people": [
            {"user": "young", "signup_on": "2026-03-01", "consent": True},
            {"user": "asked", "signup_on": "2025-01-01", "last_invited_on": "2026-03-01"},
            {"user": "gone", "signup_on": "2026-03-01", "churned_on": "2026-03-15"},
            {"user": "out", "signup_on": "2025-01-01", "consent": False},
            {"user": "ready", "signup_on": "2025-01-01", "consent": None},
        ],
    }

    found = shown(
        await preview_wave(PreviewQuestion.model_validate_json(msgspec.json.encode(asked)))
    )

    assert [each["decision"] for each in found["people"]] == [
        "too_young",
        "quarantine",
        "churned",
        "opted_out",
        "ask",
    ]
