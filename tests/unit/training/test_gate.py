"""The gate's rules, by figures that are plain to see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perennial.definitions import Gate
from perennial.records import Rating
from perennial.training.gate import Evidence, Opponent, judge, refusal
from perennial.training.slices import SliceFigures

GOOD = {"n": 100.0, "mae": 1.0, "rmse": 2.0}


def rate(
    gate: dict[str, Any] | None = None,
    candidate: dict[str, float] | None = None,
    parity: float = 1e-15,
    champion: Opponent | None = None,
) -> dict[str, Rating]:
    ratings = judge(Gate.model_validate(gate or {}), "mae", candidate or GOOD, parity, champion)
    return {rating.rule: rating for rating in ratings}


def against(mae: float) -> Opponent:
    return Opponent(4, {"n": 100.0, "mae": mae})


def test_the_first_model_passes_with_no_champion_to_beat() -> None:
    ratings = rate()
    assert all(rating.passed for rating in ratings.values())
    assert ratings["min_improvement"].sentence == "There is no champion to improve on."


@pytest.mark.parametrize(("limit", "passed"), [(1.0, True), (0.99, False)])
def test_max_error_is_a_limit_that_may_be_reached(limit: float, passed: bool) -> None:
    rating = rate({"max_error": limit})["max_error"]
    assert (rating.passed, rating.value, rating.limit) == (passed, 1.0, limit)


def test_max_error_is_not_rated_unless_it_is_set() -> None:
    assert "max_error" not in rate()


@pytest.mark.parametrize(("theirs", "passed"), [(1.25, True), (1.24, False), (0.5, False)])
def test_improvement_is_relative_to_the_champion_on_the_same_rows(theirs: float, passed: bool) -> None:
    rating = rate({"min_improvement": 0.2}, champion=against(theirs))["min_improvement"]
    assert rating.passed is passed
    assert rating.value == pytest.approx((theirs - 1.0) / theirs)


def test_improvement_says_both_figures() -> None:
    sentence = rate({"min_improvement": 0.02}, champion=against(2.0))["min_improvement"].sentence
    assert sentence == "mae 1 is 50.0% below champion version 4's 2; 2.0% below is asked."


def test_a_perfect_champion_can_be_equalled_only() -> None:
    assert not rate(champion=against(0.0))["min_improvement"].passed
    assert rate(candidate={"n": 1.0, "mae": 0.0}, champion=against(0.0))["min_improvement"].passed


def test_a_champion_that_cannot_be_compared_leaves_the_judgement_to_max_error() -> None:
    absent = Opponent(4, None, "it reads trip__tolls, which the model has no longer")
    alone = rate(champion=absent)["min_improvement"]
    assert not alone.passed
    assert alone.sentence.endswith("no longer; set gate.max_error, or promote the version by hand.")
    bounded = rate({"max_error": 3.0}, champion=absent)["min_improvement"]
    assert bounded.passed
    assert bounded.value is None
    assert bounded.sentence.endswith("no longer; max_error alone judges.")


def test_a_champion_without_finite_predictions_cannot_be_compared() -> None:
    broken = Opponent(4, {"n": 100.0, "not_finite": 3.0})
    assert "cannot be compared" in rate(champion=broken)["min_improvement"].sentence


@pytest.mark.parametrize(("parity", "passed"), [(1e-6, True), (1.1e-6, False)])
def test_an_artifact_that_differs_from_its_estimator_is_refused(parity: float, passed: bool) -> None:
    rating = rate(parity=parity)["max_parity_error"]
    assert (rating.passed, rating.value, rating.limit) == (passed, parity, 1e-6)


def test_predictions_that_are_not_finite_are_refused_whatever_else_holds() -> None:
    ratings = rate({"max_error": 3.0}, {"n": 100.0, "not_finite": 2.0}, champion=against(9.0))
    assert [rule for rule, rating in ratings.items() if not rating.passed] == ["finite", "max_error", "min_improvement"]
    assert ratings["finite"].sentence == "2 of 100 predictions are not finite numbers."


def test_the_refusal_is_the_sentences_of_the_rules_that_do_not_hold() -> None:
    ratings = tuple(rate({"max_error": 0.5}, parity=1.0).values())
    assert refusal(ratings) == (
        "mae 1 is above 0.5. The ONNX model differs from its estimator by 1 at most, more than 1e-06."
    )
    assert refusal(tuple(rate().values())) == ""


def weigh(
    gate: dict[str, Any],
    metric: str = "mae",
    candidate: dict[str, float] | None = None,
    champion: Opponent | None = None,
    **evidence: Any,
) -> dict[str, Rating]:
    known = Evidence(**{"rows": 100, "baseline": "constant", "baseline_metrics": {metric: 1.5}, **evidence})
    found = judge(Gate.model_validate(gate), metric, candidate or GOOD, 0.0, champion, known)
    return {rating.rule: rating for rating in found}


def test_without_a_margin_the_sentence_asks_for_none() -> None:
    sentence = rate(champion=against(0.5))["min_improvement"].sentence
    assert sentence == "mae 1 is 100.0% above champion version 4's 0.5; it must not be worse."


def scored(value: float) -> dict[str, float]:
    return {"n": 100.0, "roc_auc": value}


@pytest.mark.parametrize(("limit", "passed"), [(0.8, True), (0.81, False)])
def test_min_score_is_a_limit_that_may_be_reached(limit: float, passed: bool) -> None:
    rating = weigh({"min_score": limit}, "roc_auc", scored(0.8))["min_score"]
    assert (rating.passed, rating.value, rating.limit) == (passed, 0.8, limit)
    assert rating.sentence == f"roc_auc 0.8 is {'at least' if passed else 'below'} {limit}."


@pytest.mark.parametrize(
    ("limit", "failing"),
    [({"max": 2.0}, []), ({"max": 1.9}, ["limits.rmse.max"]), ({"min": 2.1, "max": 3}, ["limits.rmse.min"])],
)
def test_other_metrics_lie_within_their_limits(limit: dict[str, float], failing: list[str]) -> None:
    ratings = weigh({"limits": {"rmse": limit}})
    assert [rule for rule, rating in ratings.items() if not rating.passed] == failing


def test_a_limited_metric_that_is_undefined_does_not_pass() -> None:
    rating = weigh({"limits": {"roc_auc": {"min": 0.5}}})["limits.roc_auc.min"]
    assert not rating.passed
    assert rating.sentence == "There is no roc_auc, so it is not at least 0.5."


@pytest.mark.parametrize(("theirs", "passed"), [(1.01, True), (1.0, False)])
def test_the_baseline_must_be_beaten_and_not_equalled(theirs: float, passed: bool) -> None:
    rating = weigh({}, baseline_metrics={"mae": theirs})["beat_baseline"]
    assert (rating.passed, rating.value, rating.limit) == (passed, 1.0, theirs)


@pytest.mark.parametrize(("ours", "passed"), [(0.51, True), (0.5, False), (0.4, False)])
def test_where_more_is_better_the_baseline_lies_below(ours: float, passed: bool) -> None:
    rating = weigh({}, "roc_auc", scored(ours), baseline_metrics={"roc_auc": 0.5})["beat_baseline"]
    assert rating.passed is passed


def test_the_baseline_is_no_bar_where_the_definition_says_so_or_it_has_no_metric() -> None:
    assert "beat_baseline" not in weigh({"beat_baseline": False})
    assert weigh({}, baseline_metrics={})["beat_baseline"].passed


def test_the_sentence_names_the_guess() -> None:
    found = weigh({}, baseline="previous value", baseline_metrics={"mae": 0.9})["beat_baseline"].sentence
    assert found == "mae 1 is not better than 0.9, which guessing the previous value reaches."


@pytest.mark.parametrize(("ours", "passed"), [(0.75, True), (0.7499, False), (0.4, False)])
def test_improvement_goes_upwards_where_more_is_better(ours: float, passed: bool) -> None:
    champion = Opponent(4, scored(0.5))
    rating = weigh({"min_improvement": 0.5}, "roc_auc", scored(ours), champion)["min_improvement"]
    assert rating.passed is passed
    assert rating.value == pytest.approx(ours / 0.5 - 1)
    assert ("above" if ours > 0.5 else "below") in rating.sentence


def test_a_negative_score_is_improved_on_upwards() -> None:
    """An R² of -0.1 is half as bad as one of -0.2; -0.2 is no improvement of 50 % on -0.1."""
    better = weigh({"min_improvement": 0.5}, "r2", {"n": 9.0, "r2": -0.1}, Opponent(4, {"n": 9.0, "r2": -0.2}))
    worse = weigh({"min_improvement": 0.5}, "r2", {"n": 9.0, "r2": -0.2}, Opponent(4, {"n": 9.0, "r2": -0.1}))
    assert better["min_improvement"].passed
    assert not worse["min_improvement"].passed


def test_where_more_is_better_min_score_judges_instead_of_a_champion_that_cannot() -> None:
    absent = Opponent(4, None, "it is gone")
    assert not weigh({}, "roc_auc", scored(0.8), absent)["min_improvement"].passed
    rating = weigh({"min_score": 0.5}, "roc_auc", scored(0.8), absent)["min_improvement"]
    assert rating.passed
    assert rating.sentence.endswith("it is gone; min_score alone judges.")


@pytest.mark.parametrize(("worse", "passed"), [(49, True), (50, True), (51, False)])
def test_confidence_is_the_share_of_resamples_on_which_the_candidate_is_better(worse: int, passed: bool) -> None:
    gains = np.array([-0.1] * worse + [0.2] * (1001 - worse))  # the 5 % quantile is the 51st of 1001
    rating = weigh({"confidence": 0.95}, champion=against(1.2), improvements=gains)["confidence"]
    assert (rating.passed, rating.value) == (passed, pytest.approx(0.2 if passed else -0.1))


def test_a_twin_of_the_champion_is_not_surely_better() -> None:
    rating = weigh({"confidence": 0.6}, champion=against(1.0), improvements=np.zeros(1000))["confidence"]
    assert not rating.passed


def test_too_few_rows_make_no_one_sure() -> None:
    rating = weigh({"confidence": 0.95}, champion=against(9.0))["confidence"]
    assert not rating.passed
    assert rating.value is None
    assert rating.sentence.startswith("100 held-out rows are too few to tell")


def test_without_a_champion_that_can_be_compared_there_is_nothing_to_be_sure_of() -> None:
    assert weigh({"confidence": 0.95})["confidence"].passed
    assert weigh({"confidence": 0.95}, champion=Opponent(4, None, "it is gone"))["confidence"].passed


def a_slice(rows: int, improvement: float | None, value: str = "n") -> SliceFigures:
    return SliceFigures(name="zone", value=value, rows=rows, metric=1.0, champion=1.0, improvement=improvement)


@pytest.mark.parametrize(("gain", "passed"), [(0.3, True), (-0.1, True), (-0.11, False)])
def test_no_slice_may_become_much_worse(gain: float, passed: bool) -> None:
    slices = [a_slice(500, 0.4, "s"), a_slice(200, gain)]
    rating = weigh({"max_slice_worsening": 0.1}, champion=against(1.2), slices=slices)["max_slice_worsening"]
    assert (rating.passed, rating.value) == (passed, pytest.approx(-gain))


def test_the_worst_slice_is_named() -> None:
    slices = [a_slice(500, -0.2, "s"), a_slice(300, -0.3)]
    rating = weigh({"max_slice_worsening": 0.1}, champion=against(1.2), slices=slices)["max_slice_worsening"]
    assert rating.sentence == (
        "On the slice zone = n (300 rows), mae is 30.0% worse than champion version 4's, the most of 2 slices; "
        "10.0% are allowed."
    )


def test_a_slice_of_few_rows_or_without_a_metric_judges_nothing() -> None:
    slices = [a_slice(199, -0.9), a_slice(500, None)]
    rating = weigh({"max_slice_worsening": 0.1}, champion=against(1.2), slices=slices)["max_slice_worsening"]
    assert rating.passed
    assert rating.sentence == "No slice has 200 held-out rows to be judged by."
    fewer = {"max_slice_worsening": 0.1, "slice_rows": 199}
    assert not weigh(fewer, champion=against(1.2), slices=slices)["max_slice_worsening"].passed


@pytest.mark.parametrize(("size", "took", "failing"), [
    (1000, 2.0, []), (1001, 2.0, ["max_bytes"]), (1000, 2.1, ["max_milliseconds"]),
])  # fmt: skip
def test_the_file_is_small_and_fast_enough(size: int, took: float, failing: list[str]) -> None:
    ratings = weigh({"max_bytes": 1000, "max_milliseconds": 2}, size=size, milliseconds=took)
    assert [rule for rule, rating in ratings.items() if not rating.passed] == failing


@pytest.mark.parametrize(("rejected", "passed"), [((2, 100), True), ((3, 100), False), ((0, 0), True), (None, False)])
def test_not_too_many_rows_of_the_uploads_may_have_been_bad(rejected: tuple[int, int] | None, passed: bool) -> None:
    assert weigh({"max_rejected": 0.02}, rejected=rejected)["max_rejected"].passed is passed


def test_rules_that_are_not_set_are_not_rated() -> None:
    assert list(weigh({})) == ["finite", "beat_baseline", "min_improvement", "max_parity_error"]
