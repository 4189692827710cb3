"""Look at what the champions lately predicted: whether the world moved, and whether they are as good as promised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from perennial.definitions import Monitor
from perennial.drift import population_stability_index
from perennial.errors import PerennialError
from perennial.manifest import Histogram, Manifest
from perennial.monitoring.histograms import count_into
from perennial.monitoring.quality import measure, worsening
from perennial.ports import Metric, Ports
from perennial.records import Assessment, Champion
from perennial.serving.integrity import read_manifest
from perennial.steps.log_window import Labelled, LogReader, latest_labelled, latest_predictions
from perennial.steps.prediction_log import LoggedPrediction

METRICS = {
    "FeatureDrift": "feature_drift",
    "PredictionDrift": "prediction_drift",
    "PerformanceRatio": "performance_ratio",
}
"""Name of a metric to the figure of an assessment that is published under it."""


class Request(BaseModel):
    """What to look at."""

    model: str | None = None
    """None means every model that has a champion."""


class Findings(BaseModel):
    """What was found."""

    assessed: dict[str, Assessment]
    """By model; a model without a champion, or without a definition any more, is not among them."""


def run(request: Request, ports: Ports, reader: LogReader | None = None) -> Findings:
    """Assess champions, publish the figures there are as metrics, and record an assessment of each champion.

    A champion that cannot be assessed keeps none of the others from it.

    Parameters
    ----------
    reader : LogReader or None
        What is kept between calls; None keeps nothing.

    Raises
    ------
    NotFoundError
        The model that is named is not known.
    PerennialError
        What the first champion that could not be assessed met with.
    """
    reader = reader or LogReader(ports.artifacts)
    defined = ports.definitions.models
    names = ports.catalog.models() if request.model is None else [request.model]
    assessed: dict[str, Assessment] = {}
    faults: list[PerennialError] = []
    for name in names:
        champion = ports.catalog.champion(name)
        if champion is None and name == request.model:
            ports.definitions.model(name)  # raises if there never was such a model
        if champion is not None and name in defined:  # one whose definition was taken away is not watched any more
            try:
                assessed[name] = _assess(ports, champion, ports.definitions.model(name).monitor, reader)
                _publish(ports, assessed[name])
            except PerennialError as error:
                faults.append(error)
    reader.forget_unused()
    if faults:
        raise faults[0]
    return Findings(assessed=assessed)


def _assess(ports: Ports, champion: Champion, limits: Monitor, reader: LogReader) -> Assessment:
    """Compare a champion's latest predictions with what its manifest promises."""
    at = ports.clock.now()
    manifest = read_manifest(ports.artifacts.get(champion.manifest_key), champion.manifest_sha256)
    model, version = champion.model, champion.version
    since, until = manifest.created_at.date(), at.date()
    window = latest_predictions(reader, model, version, since, until, limits.window_rows)
    labelled = latest_labelled(reader, model, version, since, until, limits.window_rows)
    feature = feature_drift = prediction_drift = performance = ratio = None
    if len(window) >= limits.min_rows:
        feature, feature_drift = _largest_drift(window, manifest)
        prediction_drift = _drift(manifest.prediction_baseline, _array([line.prediction for line in window]))
    if len(labelled.labels) >= limits.min_rows:
        performance = _performance(manifest, labelled)
        promised = manifest.metrics.get(manifest.metric)  # none of a version that predicted no finite numbers
        ratio = None if promised is None or performance is None else worsening(manifest.metric, promised, performance)
    return Assessment(
        model=model,
        version=version,
        at=at,
        rows=len(window),
        labelled=len(labelled.labels),
        labelled_until=labelled.until,
        feature_drift=feature_drift,
        drifted_feature=feature,
        prediction_drift=prediction_drift,
        performance=performance,
        performance_ratio=ratio,
    )


def _performance(manifest: Manifest, labelled: Labelled) -> float | None:
    """Return the version's metric over its labelled predictions; None where it cannot be told."""
    if manifest.task == "multiclass":
        said = np.array([line.probabilities for line in labelled.predictions], dtype=np.float64)
    else:
        said = _array([line.prediction for line in labelled.predictions])
    return measure(manifest.metric, _array(labelled.labels), said, manifest.task)


def _largest_drift(window: Sequence[LoggedPrediction], manifest: Manifest) -> tuple[str | None, float | None]:
    """Return the feature that has moved most, and by how much."""
    drifts = {
        name: _drift(baseline, _array([line.features[name] for line in window]))
        for name, baseline in manifest.baseline.items()
    }
    worst = max(drifts, key=drifts.__getitem__, default=None)
    return worst, None if worst is None else drifts[worst]


def _drift(baseline: Histogram, values: npt.NDArray[np.float64]) -> float:
    return population_stability_index(baseline.counts, count_into(baseline.edges, values).tolist())


def _publish(ports: Ports, assessment: Assessment) -> None:
    """Publish the figures there are, and only then record them: whoever sees the record may count on the metrics."""
    dimensions = {"Deployment": ports.deployment, "Model": assessment.model}
    figures = {name: getattr(assessment, field) for name, field in METRICS.items()}
    metrics = [Metric(name, value, dimensions) for name, value in figures.items() if value is not None]
    if metrics:
        ports.metrics.put(metrics, assessment.at)
    ports.catalog.record_assessment(assessment)


def _array(values: Sequence[float | None]) -> npt.NDArray[np.float64]:
    """Return values as an array, NaN for None."""
    return np.array(values, dtype=np.float64)
