"""Predicting with an ONNX model as serving does, before there is a registered version."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnxruntime

INPUT = "features"
"""Name of the ONNX input: float64, shape (rows, features)."""
OUTPUT = "prediction"
"""Name of the ONNX output: float64, shape (rows, 1)."""


def score(model: bytes, features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Predict with an ONNX model.

    Parameters
    ----------
    model : bytes
        The ONNX file, with one input ``features`` and one output ``prediction``.
    features : array of float64, shape (n, number of features)
        NaN where a value is missing.

    Returns
    -------
    array of float64, shape (n,)
    """
    options = onnxruntime.SessionOptions()
    # One thread: the order in which trees are added up, hence the last bit, does not depend on the machine.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (prediction,) = session.run([OUTPUT], {INPUT: np.ascontiguousarray(features, dtype=np.float64)})
    return np.asarray(prediction, dtype=np.float64).reshape(-1)
