"""A registered version as serving holds it: the manifest and the ONNX session, both checked against their SHA-256."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import (
    EPFail,
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NotImplemented,
    RuntimeException,
)

from perennial.errors import DataError, NotFoundError
from perennial.manifest import Manifest
from perennial.serving.integrity import ReadFile, read_file, read_manifest
from perennial.serving.scorer_base import Contributions, Served

MODEL_FILE = "model.onnx"
"""Name of the graph among the manifest's files."""

Matrix = npt.NDArray[np.float64]
_DTYPES = {"tensor(double)": np.float64, "tensor(float)": np.float32}


@dataclass(frozen=True)
class Artifact:
    """A version that can predict."""

    manifest: Manifest
    session: onnxruntime.InferenceSession

    def predict(self, matrix: Matrix) -> Matrix:
        """Predict each row.

        Parameters
        ----------
        matrix : float64 array of shape (n, len(manifest.features))
            Feature values in the manifest's order, of a categorical one its place among the manifest's categories; NaN
            stands for a missing value.

        Returns
        -------
        float64 array
            Of shape (n,): numbers in the target's unit, or probabilities of ``true``. Of the task ``multiclass``,
            shape (n, len(manifest.classes)): the probability of each class.

        Raises
        ------
        DataError
            The matrix has another shape, or the graph returns another number of values.
        """
        return _predicted(self.manifest, self.session, matrix)


def load_artifact(manifest_bytes: bytes, manifest_sha256: str, read: ReadFile) -> Artifact:
    """Check a registered version's files and make it ready to predict, on one thread.

    Parameters
    ----------
    manifest_bytes : bytes
        The manifest as it was read.
    manifest_sha256 : str
        What the catalog registered.
    read : callable
        Returns the bytes of one of the version's files by its name.

    Raises
    ------
    DataError
        A file is missing, differs from the one that was registered, or is not what it should be.
    """
    manifest = read_manifest(manifest_bytes, manifest_sha256)
    if MODEL_FILE not in manifest.files:
        raise DataError(f"manifest.json: files names no {MODEL_FILE}; register the version again")
    return Artifact(manifest, _session(read_files(manifest, read)[MODEL_FILE], manifest))


def read_files(manifest: Manifest, read: ReadFile) -> dict[str, bytes]:
    """Return all files of a version by name, each checked; parameters and errors as of `load_artifact`."""
    return {name: read_file(name, sha256, read) for name, sha256 in manifest.files.items()}


class GraphScorer:
    """What scores a version by its ONNX file."""

    def __init__(self, manifest: Served, session: onnxruntime.InferenceSession) -> None:
        self._manifest = manifest
        self._session = session

    def score(self, rows: Sequence[Sequence[float]]) -> list[float] | list[list[float]]:
        """Predict each row."""
        matrix = np.array(rows, dtype=np.float64).reshape(len(rows), -1 if len(rows) else len(self._manifest.features))
        found: list[float] = self.score_matrix(matrix).tolist()
        return found

    def score_matrix(self, matrix: Matrix) -> Matrix:
        """Predict each row of a matrix; errors as `Artifact.predict`."""
        return _predicted(self._manifest, self._session, matrix)

    def contributions(self, row: Sequence[float]) -> Contributions:
        """Raise NotFoundError: nothing but its answers is known of a graph."""
        del row
        raise NotFoundError(
            f"version {self._manifest.version} of {self._manifest.model} is an ONNX file alone, which does not say how "
            "its features contribute; train the model here"
        )


def graph_scorer(manifest: Served, content: bytes) -> GraphScorer:
    """Return what scores with an ONNX file, on one thread; DataError if it is not what the manifest says."""
    return GraphScorer(manifest, _session(content, manifest))


def _predicted(manifest: Served, session: onnxruntime.InferenceSession, matrix: Matrix) -> Matrix:
    if matrix.ndim != 2 or matrix.shape[1] != len(manifest.features):
        raise DataError(
            f"version {manifest.version} of {manifest.model} reads {len(manifest.features)} features a row, "
            f"but was given a matrix of shape {matrix.shape}"
        )
    shape = (len(matrix), len(manifest.classes)) if manifest.task == "multiclass" else (len(matrix),)
    if len(matrix) == 0:
        return np.empty(shape)
    dtype = _DTYPES[session.get_inputs()[0].type]
    feed = {manifest.onnx_input: np.ascontiguousarray(matrix, dtype=dtype)}
    try:
        values: Matrix = np.asarray(session.run([manifest.onnx_output], feed)[0], dtype=np.float64)
    except (EPFail, Fail, InvalidArgument, RuntimeException) as error:
        raise DataError(f"version {manifest.version} of {manifest.model} cannot be run: {error}") from None
    if values.size != math.prod(shape):
        raise DataError(
            f"version {manifest.version} of {manifest.model} returned {values.size} values for {len(matrix)} rows"
            + (f" of {shape[1]} classes" if len(shape) > 1 else "")
        )
    return values.reshape(shape)


def _session(graph: bytes, manifest: Served) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # A Lambda of the size that serving needs has less than one core: a thread pool would only wait for itself.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidGraph, InvalidProtobuf, NotImplemented) as error:
        raise DataError(f"{MODEL_FILE}: onnxruntime cannot run it ({error}); train and register again") from None
    inputs = {node.name: node.type for node in session.get_inputs()}
    outputs = {node.name for node in session.get_outputs()}
    if list(inputs) != [manifest.onnx_input] or manifest.onnx_output not in outputs:
        raise DataError(
            f"{MODEL_FILE}: has inputs {sorted(inputs)} and outputs {sorted(outputs)}, "
            f"not {manifest.onnx_input!r} and {manifest.onnx_output!r} as its manifest says; register it again"
        )
    if inputs[manifest.onnx_input] not in _DTYPES:
        raise DataError(f"{MODEL_FILE}: its input is a {inputs[manifest.onnx_input]}, not a matrix of float or double")
    return session
