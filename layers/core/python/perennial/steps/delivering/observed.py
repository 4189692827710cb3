"""What two versions did with the requests of one phase, in plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]


def _none() -> Vector:
    return np.empty(0)


@dataclass(frozen=True)
class Labelled:
    """Predictions whose label has come; n of them."""

    at: npt.NDArray[np.datetime64] = field(default_factory=lambda: np.empty(0, dtype="datetime64[us]"))
    """Shape (n,): when each was asked for."""
    labels: Vector = field(default_factory=_none)
    """Shape (n,): in the target's unit; 0 or 1; or the place of a class."""
    predictions: Vector = field(default_factory=_none)
    """Shape (n,), of several classes (n, classes): as `perennial.metrics.metrics` takes them."""


@dataclass(frozen=True)
class Observed:
    """What one version did with the requests of a phase; there are n of them."""

    version: int
    rows: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Shape (n,): rows of each request."""
    milliseconds: Vector = field(default_factory=_none)
    """Shape (n,): how long each took."""
    failed: npt.NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=np.bool_))
    """Shape (n,): whether the version failed, through no fault of the caller."""
    labelled: Labelled = field(default_factory=Labelled)

    @property
    def requests(self) -> int:
        """How many requests it saw."""
        return len(self.rows)

    @property
    def failures(self) -> int:
        """How many of them it failed."""
        return int(np.count_nonzero(self.failed))

    @property
    def all_rows(self) -> int:
        """How many rows they had."""
        return int(self.rows.sum())

    def figures(self) -> dict[str, int]:
        """Return what is kept of it in records and reports."""
        return {
            "version": self.version,
            "requests": self.requests,
            "failures": self.failures,
            "rows": self.all_rows,
            "labelled": len(self.labelled.labels),
        }
