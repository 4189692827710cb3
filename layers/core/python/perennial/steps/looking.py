"""One look at a champion: its rows are read and counted, compared with what it learnt, and told in figures."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from pydantic import ValidationError

from perennial import keys
from perennial.data.prediction_columns import LoggedRows
from perennial.definitions import Model, Monitor
from perennial.errors import DataError
from perennial.manifest import Manifest
from perennial.monitoring.baseline import Baseline
from perennial.monitoring.manifest_baseline import manifest_baseline
from perennial.monitoring.published import group_of, multiple, published
from perennial.monitoring.quality import measure, worsening
from perennial.monitoring.sentences import sentence
from perennial.monitoring.signals import Policy, Signals, assess
from perennial.monitoring.window import PREDICTION
from perennial.ports import ObjectStore, Ports
from perennial.records import Assessment, Champion, Moved
from perennial.serving.integrity import read_file, read_manifest
from perennial.serving.logged import policy_of
from perennial.steps.arrivals_lately import Arrivals, arrivals_lately
from perennial.steps.candidate_files import BASELINE_FILE
from perennial.steps.log_loss import lost_lately
from perennial.steps.log_window import Labelled, LogReader, latest_labelled
from perennial.steps.watched_rows import Counted, watched_rows

_TOLD = 10
"""Moved figures that a record keeps."""


@dataclass(frozen=True)
class Look:
    """All that one look saw: the record of it, and what the report is made of."""

    assessment: Assessment
    manifest: Manifest
    baseline: Baseline
    policy: Policy
    window: Counted | None
    """None without rows."""
    signals: Signals | None
    """None below ``min_rows``."""
    labelled: Labelled
    arrivals: Arrivals | None
    """None where nobody counted: that is done once an hour."""


def look(ports: Ports, champion: Champion, reader: LogReader, *, hourly: bool) -> Look:
    """Compare a champion's latest predictions with what it learnt, and with their labels.

    Parameters
    ----------
    hourly : bool
        Whether it is also told how predictions come, and what their log lost.

    Raises
    ------
    DataError
        The version's manifest or baseline is not what was registered.
    """
    at = ports.clock.now()
    model = ports.definitions.model(champion.model)
    limits = model.monitor
    policy = policy_for(limits)
    manifest = read_manifest(ports.artifacts.get(champion.manifest_key), champion.manifest_sha256)
    baseline = read_baseline(ports.artifacts, manifest, reader)
    back_to = None if limits.window is None else at - limits.window
    window, everything = watched_rows(reader, manifest, baseline, at.date(), limits.rows, back_to)
    signals = None
    if window is not None and window.rows >= limits.min_rows:
        signals = assess(baseline, window.window, policy, window.scores)
    kept = policy_of(manifest.log.model_dump(), manifest.features)
    first = manifest.created_at.date()
    labelled = latest_labelled(reader, champion.model, champion.version, first, at.date(), limits.rows, kept)
    arrivals = arrivals_lately(ports.artifacts, champion, at) if hourly else None
    lost = lost_lately(reader, champion, at) if hourly else None
    assessment = _assessment(at, manifest, model, window, signals, labelled, arrivals).model_copy(
        update={"lost": lost, "first_window": everything and window is not None}
    )
    told = sentence(assessment, manifest.metric, manifest.metrics.get(manifest.metric), limits.min_rows)
    assessment = assessment.model_copy(update={"sentence": told})
    return Look(assessment, manifest, baseline, policy, window, signals, labelled, arrivals)


def policy_for(limits: Monitor) -> Policy:
    """Return when a signal is an alarm, as a definition has it."""
    return Policy(
        level=limits.level,
        min_psi=limits.min_psi,
        min_shift=limits.min_shift,
        min_share=limits.min_share,
        min_worsening=limits.min_worsening,
    )


def read_baseline(store: ObjectStore, manifest: Manifest, reader: LogReader) -> Baseline:
    """Return a version's baseline; of one that has none, what its manifest says."""
    if manifest.baseline_sha256 is None:
        return manifest_baseline(manifest)
    about = ("baseline", manifest.baseline_sha256)
    if (known := reader.recall(about)) is not None:
        assert isinstance(known, Baseline)
        return known

    def read(name: str) -> bytes:
        return store.get(keys.artifact(manifest.model, manifest.version, name))

    content = read_file(BASELINE_FILE, manifest.baseline_sha256, read)
    try:
        baseline = Baseline.model_validate_json(content)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise DataError(f"{BASELINE_FILE}: {place}: is not as this release has it; train the model again") from None
    reader.keep(about, baseline)
    return baseline


def _assessment(
    at: datetime,
    manifest: Manifest,
    model: Model,
    window: Counted | None,
    signals: Signals | None,
    labelled: Labelled,
    arrivals: Arrivals | None,
) -> Assessment:
    """Put the figures of a look together; each is absent where there were too few rows for it."""
    limits, alarmed = model.monitor, set(model.alarms.on)
    policy = policy_for(limits)
    figures = published(signals, policy) if signals else {}
    figures |= arrivals.figures(limits, model.alarms.called_every) if arrivals else {}
    performance = ratio = None
    if labelled.predictions is not None and len(labelled.labels) >= limits.min_rows:
        performance = performance_of(manifest, labelled.labels, labelled.predictions)
        promised = manifest.metrics.get(manifest.metric)  # none of a version that predicted no finite numbers
        ratio = None if promised is None or performance is None else worsening(manifest.metric, promised, performance)
    if ratio is not None:
        figures["performance"] = ratio / limits.performance_ratio
    drifted, drift = _largest_index(signals)
    estimated = signals.estimated if signals else None
    return Assessment(
        model=manifest.model,
        version=manifest.version,
        at=at,
        rows=0 if window is None else window.rows,
        since=window.since if window else None,
        until=window.until if window else None,
        labelled=len(labelled.labels),
        labelled_until=labelled.until,
        unknown_labels=labelled.unmatched,
        feature_drift=drift,
        drifted_feature=drifted,
        prediction_drift=_index(signals, PREDICTION),
        performance=performance,
        performance_ratio=ratio,
        estimated=estimated.value if estimated else None,
        estimated_low=estimated.low if estimated else None,
        estimated_high=estimated.high if estimated else None,
        estimated_ratio=worsening(estimated.metric, estimated.reference, estimated.value) if estimated else None,
        figures=figures,
        moved=_moved(signals, policy, alarmed) if signals else (),
        baseline="manifest" if manifest.baseline_sha256 is None else "file",
        attention=any(figure > 1 for name, figure in figures.items() if name in alarmed),
    )


def performance_of(manifest: Manifest, labels: list[float], said: LoggedRows) -> float | None:
    """Return the version's metric over labelled predictions; None where it cannot be told."""
    values = said.predictions if said.probabilities is None else said.probabilities
    return measure(manifest.metric, np.array(labels, dtype=np.float64), values, manifest.task)


def _index(signals: Signals | None, subject: str) -> float | None:
    """Return a column's population stability index, None if it was not compared."""
    found = signals.signals if signals else ()
    return next((one.value for one in found if (one.subject, one.kind) == (subject, "distribution")), None)


def _largest_index(signals: Signals | None) -> tuple[str | None, float | None]:
    """Return the feature whose distribution moved most, and by how much."""
    found = {
        one.subject: one.value
        for one in (signals.signals if signals else ())
        if one.kind == "distribution" and "__" in one.subject
    }
    worst = max(found, key=found.__getitem__, default=None)
    return worst, None if worst is None else found[worst]


def _moved(signals: Signals, policy: Policy, alarmed: Collection[str]) -> tuple[Moved, ...]:
    """Return the largest changes, without those of signals that have no alarm."""
    watched = (one for one in signals.alarms if group_of(one) in alarmed)
    largest = sorted(watched, key=lambda one: -multiple(one, policy))
    return tuple(
        Moved(
            subject=one.subject,
            kind=one.kind,
            value=one.value,
            reference=one.reference,
            threshold=one.threshold,
            chance=one.chance,
        )
        for one in largest[:_TOLD]
    )
