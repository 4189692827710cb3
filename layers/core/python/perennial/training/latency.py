"""How long a model takes for one row."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]


def milliseconds(score: Callable[[Matrix], object], features: Matrix, repeats: int = 100) -> float:
    """Return the median time in milliseconds of scoring one row, over so many rows one after another.

    Ten more calls before do not count: the first ones also allocate. It is measured where the step runs; a function
    that serves has the same kind of processor, and less of it.
    """
    took = []
    for call in range(repeats + 10):
        row = features[call % len(features)][None, :]
        started = time.perf_counter_ns()
        score(row)
        took.append((time.perf_counter_ns() - started) / 1e6)
    return float(np.median(took[10:]))
