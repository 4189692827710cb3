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
"""Name of the ONNX output: float64, shape (rows, 1)."""


def loaded(model: bytes) -> Callable[[Matrix], Matrix]:
    """Return what predicts with an ONNX model, as `score` does, and need not load it for each call."""
    options = onnxruntime.SessionOptions()
    # One thread: the order in which trees are added up, hence the last bit, does not depend on the machine.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def predict(features: Matrix) -> Matrix:
        (output,) = session.run([OUTPUT], {INPUT: np.ascontiguousarray(features, dtype=np.float64)})
        values = np.asarray(output, dtype=np.float64)
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
    array of float64, shape (n,), or (n, number of classes) if the output has several columns
    """
    return loaded(model)(features)
