"""Try a registered version before it serves: load it as predict does and ask it about typical rows."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from perennial import keys
from perennial.errors import DataError
from perennial.manifest import Manifest
from perennial.monitoring.histograms import quantile
from perennial.ports import Ports
from perennial.records import Run, Trigger
from perennial.serving.engine import Engine
from perennial.serving.integrity import read_file, read_manifest
from perennial.serving.loading import load_predictor
from perennial.steps.recording import recorded

LEVELS = np.linspace(0.05, 0.95, 19)
"""The typical rows: in row i, each feature has the value below which this share of its training rows lay."""

TOLERANCE = 1e-3
"""How far probabilities may be out by rounding, as of an ONNX file in single precision."""


class Request(BaseModel):
    """Which version is to be tried."""

    run_id: str
    model: str
    version: int
    trigger: Trigger


class Trial(BaseModel):
    """How it went."""

    version: int
    rows: int
    """Rows that were predicted."""
    milliseconds: float
    """Time from the first byte read to the last prediction."""


def run(request: Request, ports: Ports) -> Trial:
    """Start the deployment's run, load the version with its checks and compare what it says to the holdout range.

    Raises
    ------
    NotFoundError
        There is no such version.
    DataError
        Its files are not the registered ones, or its predictions are not numbers of the expected size.
    DefinitionError
        Its request view does not run.
    """
    version = ports.catalog.version(request.model, request.version)
    ports.catalog.start_run(
        Run(
            run_id=request.run_id,
            kind="deploy",
            subject=request.model,
            status="running",
            trigger=request.trigger,
            started_at=ports.clock.now(),
            code_version=ports.code_version,
            inputs={"version": request.version, "manifest_sha256": version.manifest_sha256},
        )
    )

    def read(name: str) -> bytes:
        return ports.artifacts.get(keys.artifact(request.model, request.version, name))

    with recorded(ports, request.run_id, "smoke") as output:
        start = time.perf_counter()
        content = ports.artifacts.get(version.manifest_key)
        manifest = read_manifest(content, version.manifest_sha256)
        files = {name: read_file(name, sha256, read) for name, sha256 in manifest.files.items()}
        predictor = load_predictor(content, version.manifest_sha256, files.__getitem__, Engine())
        predictor.rehearse()
        rows = _typical_rows(manifest)
        _require_plausible(predictor.scorer.score_matrix(rows), manifest)
        milliseconds = round(1000 * (time.perf_counter() - start), 1)
        trial = Trial(version=request.version, rows=len(rows), milliseconds=milliseconds)
        output.update(trial.model_dump(mode="json"))
    return trial


def _typical_rows(manifest: Manifest) -> npt.NDArray[np.float64]:
    """Return a matrix of shape (len(LEVELS), len(manifest.features)) from the training rows' histograms."""
    return np.array([[_typical(manifest, name, level) for name in manifest.features] for level in LEVELS])


def _typical(manifest: Manifest, feature: str, level: float) -> float:
    if feature not in manifest.baseline:
        return math.nan
    value = quantile(manifest.baseline[feature], level)
    categories = manifest.categories.get(feature)
    if categories is None or math.isnan(value):
        return value
    return float(min(math.floor(value), len(categories) - 1))  # a place among the categories, not between two


def _require_plausible(values: npt.NDArray[np.float64], manifest: Manifest) -> None:
    """Catch catastrophes, such as another model's file: quality was the gate's business."""
    what = f"version {manifest.version} of {manifest.model}"
    if not np.isfinite(values).all():
        raise DataError(f"{what} predicts {values[~np.isfinite(values)][0]} for a typical row; train it again")
    if manifest.classes:
        if values.min() < -TOLERANCE or values.max() > 1 + TOLERANCE:
            odd = values.min() if values.min() < 0 else values.max()
            raise DataError(f"{what} gives a class the probability {odd:.6g} for a typical row; train it again")
        if values.ndim > 1 and np.abs(values.sum(axis=1) - 1).max() > TOLERANCE:
            raise DataError(f"{what} gives classes probabilities that do not add up to 1; train it again")
        return
    edges = manifest.prediction_baseline.edges
    if not edges:
        return
    slack = max(edges[-1] - edges[0], abs(edges[0]), abs(edges[-1]))
    low, high = edges[0] - slack, edges[-1] + slack
    outside: Any = values[(values < low) | (values > high)]
    if len(outside):
        raise DataError(
            f"{what} predicts {outside[0]:.6g} for a typical row, "
            f"far outside {edges[0]:.6g} to {edges[-1]:.6g} on the held-out rows; train it again"
        )
