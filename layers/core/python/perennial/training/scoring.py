"""Predicting with an ONNX model as serving does, before there is a registered version."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnxruntime

Matrix = npt.NDArray[np.float64]
INPUT = "features"
"""Name of the ONNX input: float64, shape (rows, features)."""
OUTPUT = "prediction"
"""Name of the ONNX output: float64, shape (rows, 1), or of several classes (rows, classes)."""
_CHUNK = 10_000
"""Rows that are scored at once: a graph may hold hundreds of numbers for each on its way."""


def loaded(model: bytes) -> Callable[[Matrix], Matrix]:
    """Return what predicts with an ONNX model, as `score` does, and need not load it for each call."""
    options = onnxruntime.SessionOptions()
    # One thread: the order in which trees are added up, hence the last bit, does not depend on the machine.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def predict(features: Matrix) -> Matrix:
        parts = []
        for start in range(0, max(1, len(features)), _CHUNK):
            chunk = np.ascontiguousarray(features[start : start + _CHUNK], dtype=np.float64)
            parts.append(np.asarray(session.run([OUTPUT], {INPUT: chunk})[0], dtype=np.float64))
        values = np.concatenate(parts)
        return values if values.ndim > 1 and values.shape[1] > 1 else values.reshape(-1)

    return predict


def score(model: bytes, features: Matrix) -> Matrix:
    """Predict with an ONNX model.

    Parameters
    ----------
    model : bytes
        The ONNX file, with one input ``features`` and one output ``prediction``.
    features : array of float64, shape (n, number of features)
        NaN where a value is missing.

    Returns
    -------
    array of float64, shape (n,), or (n, number of classes) if there are several
        Of a regression the number, of a binary task the probability of true, else each class's probability.
    """
    return loaded(model)(features)
