"""The gate's rules, by figures that are plain to see."""

from __future__ import annotations

from typing import Any

import pytest

from perennial.definitions import Gate
from perennial.records import Rating
from perennial.training.gate import Opponent, judge, refusal

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
