"""What moved is said as a person says it."""

from __future__ import annotations

import pytest

from perennial.monitoring.sentences import QUIET, figure_in_words, sentence
from perennial.records import Moved
from tests.support.records import an_assessment


def moved(subject: str = "trip__distance", kind: str = "shift", value: float = 0.42, reference: float = 0) -> Moved:
    return Moved.model_validate(
        {"subject": subject, "kind": kind, "value": value, "reference": reference, "threshold": 0.1, "chance": 1e-6}
    )


@pytest.mark.parametrize(
    ("kind", "value", "reference", "words"),
    [
        ("distribution", 0.314, 0, "PSI 0.31"),
        ("shift", 0.421, 0, "by 0.42 standard deviations"),
        ("missing", 0.12, 0.01, "missing in 12\u202f% of the rows instead of 1\u202f%"),
        ("unseen", 0.12, 0, "unknown in 12\u202f% of the rows instead of 0\u202f%"),
        ("beyond", 0.031, 0, "beyond the learnt range in 3.1\u202f% of the rows"),
    ],
)
def test_a_figure_has_its_unit(kind: str, value: float, reference: float, words: str) -> None:
    assert figure_in_words(moved(kind=kind, value=value, reference=reference)) == words


def test_features_predictions_and_quality_stand_in_one_sentence() -> None:
    found = an_assessment(
        moved=(moved(), moved(kind="distribution", value=0.3), moved("prediction", "distribution", 0.2)),
        performance=2.49,
        performance_ratio=1.7786,
        figures={"features": 4.2, "predictions": 2.0, "performance": 1.42},
    )
    assert sentence(found, "mae", 1.4, 100) == (
        "trip__distance moved: by 0.42 standard deviations, PSI 0.3; the predictions moved: PSI 0.2; "
        "mae is 2.49 instead of 1.4 (1.78×)"
    )


def test_of_many_features_three_are_named() -> None:
    found = an_assessment(moved=tuple(moved(f"trip__{name}") for name in "abcde"), figures={"features": 4.2})
    told = sentence(found, "mae", 1.4, 100)
    assert [name for name in "abcde" if f"trip__{name} moved" in told] == ["a", "b", "c"]
    assert "2 more features moved" in told


def test_quiet_few_rows_silence_and_losses_are_told() -> None:
    assert sentence(an_assessment(), "mae", 1.4, 100) == QUIET
    assert sentence(an_assessment(rows=99), "mae", 1.4, 100) == "99 of 100 rows: too few to say"
    silent = an_assessment(rows=0, figures={"freshness": 3.0, "volume": 2.0}, lost=7)
    assert sentence(silent, "mae", 1.4, 100) == (
        "far more or fewer predictions than on earlier days; no predictions for too long; "
        "7 lines did not come to the prediction log"
    )


def test_a_figure_within_its_limit_is_not_told() -> None:
    found = an_assessment(performance=1.5, performance_ratio=1.07, figures={"performance": 0.86})
    assert sentence(found, "mae", 1.4, 100) == QUIET
