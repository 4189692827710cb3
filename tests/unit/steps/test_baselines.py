"""The whole baseline holds what the rows, the predictions and their errors were."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from perennial.definitions import Candidate, Model, Split
from perennial.monitoring.window import PREDICTION, count
from perennial.records import TrainingSet
from perennial.steps.baselines import baselines, whole_baseline
from perennial.training.rows import Rows

MODEL = Model.model_validate(
    {
        "name": "fare",
        "dataset": "trips",
        "target": "fare",
        "features": {"trip": ["far", "zone"]},
        "split": Split.model_validate({"holdout": "7 days"}),
        "candidates": [Candidate(name="line", algorithm="ridge")],
    }
)
SET = TrainingSet(
    training_set_id="t",
    train_key="train",
    holdout_key="holdout",
    features=("trip__far", "trip__zone"),
    categories={"trip__zone": ("a", "b", "c")},
    split_at=datetime(2019, 1, 1, tzinfo=UTC),
    rows_train=4000,
    rows_holdout=1000,
    snapshots=(),
    views={},
    sha256={},
)


def rows(number: int, seed: int) -> Rows:
    draw = np.random.default_rng(seed)
    features = np.stack([draw.exponential(size=number), draw.integers(0, 3, number)], axis=1)
    times = np.datetime64("2018-12-01", "us") + np.arange(number) * np.timedelta64(60_000_000, "us")
    return Rows(times, features, 3 * features[:, 0] + draw.standard_normal(number) * (1 + features[:, 0]))


def test_it_describes_each_feature_and_the_predictions_and_estimates_the_error() -> None:
    learning, holdout = rows(4000, 1), rows(1000, 2)
    said = 3 * holdout.features[:, 0]
    found = whole_baseline(MODEL, SET, learning, holdout, said)
    assert found.columns["trip__zone"].kind == "category"
    assert found.columns["trip__far"].rows == 4000
    assert found.prediction.rows == 1000
    assert found.columns["trip__far"].distribution_effects != ()
    assert found.estimator is not None
    assert found.estimator.reference == pytest.approx(np.abs(said - holdout.target).mean())
    window = count(found, holdout.features, said)
    assert found.estimator.loss.terms.keys() == {"trip__far", "trip__zone", PREDICTION}
    assert found.estimator.loss.expected(window.counts) == pytest.approx(found.estimator.reference)


def test_rows_in_no_order_of_time_have_no_design_effect() -> None:
    learning = rows(4000, 1).select(np.random.default_rng(3).permutation(4000))
    holdout = rows(1000, 2)
    found = whole_baseline(MODEL, SET, learning, holdout, holdout.target)
    assert found.columns["trip__far"].distribution_effects == ()


def test_a_manifests_histograms_are_those_of_the_features() -> None:
    found = baselines(rows(500, 4).features, SET)
    assert found.keys() == {"trip__far", "trip__zone"}
    assert sum(found["trip__zone"].counts) == 500
