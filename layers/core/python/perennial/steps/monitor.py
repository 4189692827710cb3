"""Look at what the champions lately predicted: whether the world moved, and whether they are as good as promised."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from perennial.data.prediction_columns import LoggedRows
from perennial.definitions import Monitor
from perennial.drift import population_stability_index
from perennial.errors import PerennialError
from perennial.manifest import Histogram, Manifest
from perennial.monitoring.histograms import count_into
from perennial.monitoring.quality import measure, worsening
from perennial.ports import Metric, Ports
from perennial.records import Assessment, Champion
from perennial.serving.integrity import read_manifest
from perennial.serving.logged import policy_of
from perennial.steps.log_loss import lost_lately
from perennial.steps.log_window import LogReader, latest_labelled, latest_predictions

METRICS = {
    "FeatureDrift": "feature_drift",
    "PredictionDrift": "prediction_drift",
    "PerformanceRatio": "performance_ratio",
    "PredictionsLost": "lost",
}
"""Name of a metric to the figure of an assessment that is published under it, and to its limit's name."""


class Request(BaseModel):
    """What to look at."""

    model: str | None = None
    """None means every model that has a champion; then what the log has lost is counted, too."""


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
                lost = None if request.model else lost_lately(reader, champion, ports.clock.now())
                limits = ports.definitions.model(name).monitor
                assessed[name] = _assess(ports, champion, limits, reader).model_copy(update={"lost": lost})
                _publish(ports, assessed[name], limits)
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
    policy = policy_of(manifest.log.model_dump(), manifest.features)
    labelled = latest_labelled(reader, model, version, since, until, limits.window_rows, policy)
    feature = feature_drift = prediction_drift = performance = ratio = None
    if window is not None and len(window) >= limits.min_rows:
        feature, feature_drift = _largest_drift(window, manifest)
        prediction_drift = _drift(manifest.prediction_baseline, window.predictions)
    if labelled.predictions is not None and len(labelled.labels) >= limits.min_rows:
        performance = _performance(manifest, labelled.labels, labelled.predictions)
        promised = manifest.metrics.get(manifest.metric)  # none of a version that predicted no finite numbers
        ratio = None if promised is None or performance is None else worsening(manifest.metric, promised, performance)
    return Assessment(
        model=model,
        version=version,
        at=at,
        rows=0 if window is None else len(window),
        labelled=len(labelled.labels),
        labelled_until=labelled.until,
        feature_drift=feature_drift,
        drifted_feature=feature,
        prediction_drift=prediction_drift,
        performance=performance,
        performance_ratio=ratio,
    )


def _performance(manifest: Manifest, labels: list[float], said: LoggedRows) -> float | None:
    """Return the version's metric over its labelled predictions; None where it cannot be told."""
    values = said.predictions if said.probabilities is None else said.probabilities
    return measure(manifest.metric, np.array(labels, dtype=np.float64), values, manifest.task)


def _largest_drift(window: LoggedRows, manifest: Manifest) -> tuple[str | None, float | None]:
    """Return the feature that has moved most, and by how much; what is masked in the log is not looked at."""
    baselines = {name: each for name, each in manifest.baseline.items() if name not in manifest.log.masked_features}
    drifts = {name: _drift(baseline, window.features[name]) for name, baseline in baselines.items()}
    worst = max(drifts, key=drifts.__getitem__, default=None)
    return worst, None if worst is None else drifts[worst]


def _drift(baseline: Histogram, values: npt.NDArray[np.float64]) -> float:
    return population_stability_index(baseline.counts, count_into(baseline.edges, values).tolist())


def _publish(ports: Ports, assessment: Assessment, limits: Monitor) -> None:
    """Publish the figures there are, each divided by its limit, and only then record them.

    Whoever sees the record may count on the metrics.
    """
    deployment = {"Deployment": ports.deployment}
    figures = {name: getattr(assessment, field) for name, field in METRICS.items()}
    known = {name: value / getattr(limits, METRICS[name], 1.0) for name, value in figures.items() if value is not None}
    metrics = [Metric(name, value, {**deployment, "Model": assessment.model}) for name, value in known.items()]
    if assessment.lost is not None:  # of all models, for one alarm
        metrics.append(Metric("PredictionsLost", assessment.lost, deployment))
    if metrics:
        ports.metrics.put(metrics, assessment.at)
    ports.catalog.record_assessment(assessment)
