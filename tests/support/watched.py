"""A version with a baseline of its own, and rows that it answered: numbers drawn by chance, moved where a test says."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from perennial import keys
from perennial.definitions import Alarms, Monitor
from perennial.definitions.files import Definitions
from perennial.manifest import Manifest
from perennial.monitoring.baseline import Baseline, make_baseline
from perennial.monitoring.cells import cells_of
from perennial.monitoring.estimate import make_estimator
from perennial.monitoring.window import PREDICTION
from perennial.ports import Ports
from perennial.serving.ids import PredictionId, make_request_id, moment_of
from perennial.steps import log_predictions
from perennial.steps.prediction_log import StoredLabel, write_labels
from tests.support.artifacts import FEATURES, MODEL, a_manifest, register
from tests.support.prediction_logs import a_request, lines_of

Matrix = npt.NDArray[np.float64]
LEARNT = 4_000


def rows(draw: np.random.Generator, number: int) -> Matrix:
    """Return rows of the example's features: normal ones, the last the sum of the first two and noise."""
    first = draw.standard_normal((number, 3))
    return np.column_stack([first, first[:, 0] + first[:, 1] + 0.1 * draw.standard_normal(number)])


def said(features: Matrix) -> npt.NDArray[np.float64]:
    """Return what the example says of rows."""
    return np.asarray(2 * features[:, 0] + features[:, 1])


def true(draw: np.random.Generator, features: Matrix) -> npt.NDArray[np.float64]:
    """Return what turns out: the further out the second feature is, the less is it as was said."""
    return np.asarray(said(features) + (0.2 + np.abs(features[:, 1])) * draw.standard_normal(len(features)))


def a_baseline(draw: np.random.Generator, learnt: Matrix | None = None) -> Baseline:
    """Return the baseline of a version that learnt such rows, with what estimates its mean absolute error."""
    learnt, holdout = rows(draw, LEARNT) if learnt is None else learnt, rows(draw, LEARNT)
    baseline = make_baseline(learnt, FEATURES, {}, said(holdout))
    columns = {**baseline.columns, PREDICTION: baseline.prediction}
    values = dict(zip(FEATURES, holdout.T, strict=True)) | {PREDICTION: said(holdout)}
    estimator = make_estimator(
        {name: cells_of(column.histogram.edges, values[name]) for name, column in columns.items()},
        {name: column.groups for name, column in columns.items()},
        said(holdout),
        true(draw, holdout),
        "regression",
        "mae",
    )
    assert estimator is not None
    return baseline.model_copy(update={"estimator": estimator})


def register_watched(ports: Ports, baseline: Baseline, **changes: Any) -> Manifest:
    """Let a version serve that has this baseline."""
    content = baseline.model_dump_json().encode()
    manifest = a_manifest(
        **{
            "baseline_sha256": hashlib.sha256(content).hexdigest(),
            "metrics": {"mae": baseline.estimator.reference if baseline.estimator else 1.0},
            **changes,
        }
    )
    ports.artifacts.put(keys.artifact(MODEL, manifest.version, "baseline.json"), content)
    register(ports, manifest)
    return manifest


def watched_by(ports: Ports, limits: Monitor) -> Ports:
    """Return the ports with the example watched by these limits."""
    definitions = ports.definitions
    model = definitions.model(MODEL).model_copy(update={"monitor": limits, "alarms": Alarms()})
    return replace(ports, definitions=Definitions(definitions.datasets, definitions.views, {MODEL: model}))


def serve(ports: Ports, features: Matrix, at: datetime, number: int = 0, version: int = 1) -> list[str]:
    """Log one request of these rows; return the prediction ids."""
    request_id = make_request_id(at, number.to_bytes(10))
    request = a_request(
        request_id=request_id,
        at=at,
        version=version,
        inputs={},
        features=features.tolist(),
        values=said(features).tolist(),
    )
    log_predictions.run(log_predictions.Request(lines=lines_of([request])), ports)
    return [str(PredictionId(version, request_id, row)) for row in range(len(features))]


def label(ports: Ports, ids: Sequence[str], values: Sequence[float], at: datetime, name: str = "a") -> None:
    """Store labels of one request's predictions, as `perennial.steps.feedback` does."""
    request_id = ids[0].split("-")[1]
    key = keys.labels(MODEL, int(ids[0].split("-")[0]), request_id, name, moment_of(request_id))
    write_labels(ports.artifacts, key, [StoredLabel(one, value, at) for one, value in zip(ids, values, strict=True)])


def days(start: datetime, number: int) -> list[datetime]:
    """Return noon of so many days."""
    return [start + timedelta(days=day, hours=12) for day in range(number)]
