"""A baseline made of a manifest's histograms, for versions that have no baseline of their own."""

from __future__ import annotations

from perennial.manifest import Histogram, Manifest
from perennial.monitoring.baseline import Baseline, ColumnBaseline
from perennial.monitoring.cells import Kind, groups_of


def manifest_baseline(manifest: Manifest) -> Baseline:
    """Return a baseline of distributions alone: no dependence of rows, nothing of features together or of quality."""
    return Baseline(
        features=tuple(name for name in manifest.features if name in manifest.baseline),
        columns={
            name: _column(histogram, "category" if manifest.categories.get(name) else "number")
            for name, histogram in manifest.baseline.items()
        },
        prediction=_column(manifest.prediction_baseline, "category" if manifest.task == "multiclass" else "number"),
    )


def _column(histogram: Histogram, kind: Kind) -> ColumnBaseline:
    return ColumnBaseline(kind=kind, histogram=histogram, groups=groups_of(histogram, kind))
