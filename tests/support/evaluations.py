"""Candidates that are judged without being trained: plain functions of the held-out rows, for all three tasks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from perennial.definitions import Model, Task
from perennial.manifest import Histogram
from perennial.records import TrainingSet
from perennial.training.baseline import Known
from perennial.training.evaluation import metrics
from perennial.training.evaluation_report import EvaluationReport
from perennial.training.gate import Opponent
from perennial.training.judging import Case, Contender, judge_candidates
from perennial.training.report import Backtest, CandidateReport
from perennial.training.rows import Rows

Matrix = np.ndarray[Any, np.dtype[np.float64]]
BEGIN = datetime(2019, 1, 1)
FEATURES = ("trip_context__distance", "trip_context__hour", "zone_stats__mean_speed")
CLASSES: dict[Task, tuple[str, ...]] = {
    "regression": (),
    "binary": ("false", "true"),
    "multiclass": ("card", "cash", "voucher"),
}


def a_candidate_report(name: str, backtests: int = 3) -> CandidateReport:
    """Return what training would have said of a candidate."""
    earlier = [BEGIN.replace(tzinfo=UTC) - timedelta(days=7 * (backtests - number)) for number in range(backtests)]
    figures = {"mae": 2.0, "log_loss": 0.6}
    return CandidateReport(
        candidate=name,
        algorithm="ridge",
        parameters={"alpha": 1.0},
        seed=1,
        features=FEATURES,
        onnx_input="features",
        onnx_output="prediction",
        onnx_sha256="a" * 64,
        rows=1000,
        metrics={},
        backtests=tuple(
            Backtest(
                start=at,
                end=at + timedelta(days=7),
                rows_train=900,
                metrics={metric: value + 0.1 * number for metric, value in figures.items()},
            )
            for number, at in enumerate(earlier)
        ),
        parity_error=1e-15,
        baseline={},
        prediction_baseline=Histogram(edges=(), counts=(0, 0)),
        libraries={},
    )


def scorers(task: Task) -> tuple[Callable[[Matrix], Matrix], Callable[[Matrix], Matrix]]:
    """Return a candidate that knows how targets come about, and a champion that does not know of the hour."""

    def number(features: Matrix, hour: float) -> Matrix:
        return np.asarray(3 + 2 * features[:, 0] + hour * np.sin(features[:, 1] / 24 * 6.28), dtype=np.float64)

    def scored(hour: float) -> Callable[[Matrix], Matrix]:
        def score(features: Matrix) -> Matrix:
            z = number(features, hour)
            if task == "regression":
                return z
            true = 1 / (1 + np.exp(-(z - 13) / 3))
            return true if task == "binary" else np.column_stack([1 - true, true * 0.7, true * 0.3])

        return score

    return scored(4.0), scored(0.0)


def truth(task: Task) -> Callable[[Matrix], Matrix]:
    """Return what targets come from, but for chance."""
    return scorers(task)[0]


def a_case(task: Task = "regression", rows: int = 4000, seed: int = 3, **model: Any) -> Case:
    """Return rows whose targets the first of `scorers` tells best, with the slices ``zone`` and ``night``."""
    rng = np.random.default_rng(seed)
    features = np.column_stack([rng.uniform(0.5, 12, rows), rng.integers(0, 24, rows), rng.normal(20, 3, rows)])
    told = truth(task)(features)
    if task == "regression":
        target = told + rng.normal(0, 1 + features[:, 0] / 6)
    elif task == "binary":
        target = (rng.random(rows) < told).astype(np.float64)
    else:
        target = (rng.random(rows)[:, None] > np.cumsum(told, axis=1)).sum(axis=1).astype(np.float64)
    example: dict[str, Any] = {
        "name": "fare",
        "description": "Price of a trip, in dollars",
        "task": task,
        "dataset": "trips",
        "target": "price",
        "features": {"trip_context": ["distance", "hour"], "zone_stats": ["mean_speed"]},
        "split": {"holdout": "7 days"},
        "candidates": [{"name": "line", "algorithm": "custom", "estimator": "a.b:C"}],
        "intended_use": "To tell riders what a trip will cost.",
        "limitations": "Not for trips beyond the city.",
    }
    classes = CLASSES[task]
    shares = np.bincount(target.astype(np.int64), minlength=len(classes)) / rows if classes else np.empty(0)
    zones = np.array([*"ABCDEFGH"], dtype=np.object_)[rng.integers(0, 8, rows)]
    return Case(
        model=Model.model_validate({**example, **model}),
        run_id="run-1",
        training_set=TrainingSet(
            training_set_id="t1",
            train_key="training-sets/fare/train-1.parquet",
            holdout_key="training-sets/fare/holdout-1.parquet",
            features=FEATURES,
            classes=classes,
            slices=("zone", "night"),
            split_at=BEGIN.replace(tzinfo=UTC),
            rows_train=20_000,
            rows_holdout=rows,
            snapshots=("s1",),
            views={},
            sha256={},
        ),
        holdout=Rows(
            np.datetime64(BEGIN, "us") + np.arange(rows) * np.timedelta64(150, "s"),
            features,
            target,
        ),
        slices={"zone": zones, "night": np.where(features[:, 1] < 6, "true", "false").astype(np.object_)},
        known=Known(
            float(target.mean()),
            float(np.median(target)),
            float(target[0]),
            BEGIN - timedelta(days=90),
            shares,
            np.tile(shares, (len(classes), 1)),
        ),
        rejected=(12, 24_012),
        report_key="reports/evaluation/fare/run-1.json",
    )


def a_report(
    task: Task = "regression", *, champion: bool = True, better: bool = True, **model: Any
) -> EvaluationReport:
    """Return the report of two candidates against a champion; the candidate is worse unless ``better``."""
    case = a_case(task, **model)
    good, bad = scorers(task)
    ours, theirs = (good, bad) if better else (bad, good)

    def contender(name: str, score: Callable[[Matrix], Matrix], backtests: int) -> Contender:
        return Contender(a_candidate_report(name, backtests), score, 48_213, score(case.holdout.features))

    contenders = [contender("line", ours, 3), contender("older", bad, 2)]
    if not champion:
        return judge_candidates(case, contenders, None, None)
    said = theirs(case.holdout.features)
    opponent = Opponent(3, metrics(case.holdout.target, said, task))
    return judge_candidates(case, contenders, opponent, said)
