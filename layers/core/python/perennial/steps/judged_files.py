"""Predicting with a candidate's files as serving will. Apart from the files, as this needs onnxruntime."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from perennial.errors import DataError
from perennial.serving.scorer import FLAT_FILE, read_scorer
from perennial.steps.candidate_files import ModelFiles
from perennial.training.scoring import loaded

Matrix = npt.NDArray[np.float64]
_SAMPLE = 200
"""Rows on which one row at a time is compared with many."""


def judged_by(files: ModelFiles) -> Callable[[Matrix], Matrix]:
    """Return what predicts with a model's files as serving will: (n, features) to (n,) or (n, classes)."""
    if files.flat is None:
        return loaded(files.graph)
    scorer = read_scorer(files.flat)

    def score(matrix: Matrix) -> Matrix:
        # A single row as serving scores it: its time is measured.
        return np.array(scorer.score(matrix.tolist())) if len(matrix) == 1 else scorer.score_matrix(matrix)

    return score


def require_same_bits(flat: bytes, matrix: Matrix) -> None:
    """Raise DataError unless rows that are scored one at a time get the numbers that they get together."""
    scorer = read_scorer(flat)
    rows = matrix[np.unique(np.linspace(0, len(matrix) - 1, min(_SAMPLE, len(matrix))).astype(np.int64))]
    single = np.array([scorer.score([row])[0] for row in rows.tolist()])
    if not np.array_equal(single, scorer.score_matrix(rows), equal_nan=True):
        raise DataError(
            f"{FLAT_FILE}: of {len(rows)} rows some are scored otherwise alone than together; "
            "train again where libraries are as pinned"
        )
