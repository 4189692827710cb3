"""A registered version as serving holds it: the manifest and the ONNX session, both checked against their SHA-256."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf, NotImplemented

from perennial.errors import DataError
from perennial.manifest import Manifest
from perennial.serving.integrity import ReadFile, read_file, read_manifest

MODEL_FILE = "model.onnx"
"""Name of the graph among the manifest's files."""

Matrix = npt.NDArray[np.float64]
_DTYPES = {"tensor(double)": np.float64, "tensor(float)": np.float32}


class Description(Protocol):
    """What a graph is asked and what it answers: a manifest, whoever reads it."""

    @property
    def model(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def task(self) -> str: ...
    @property
    def features(self) -> tuple[str, ...]: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def onnx_input(self) -> str: ...
    @property
    def onnx_output(self) -> str: ...
    @property
    def files(self) -> Mapping[str, str]: ...


Described = TypeVar("Described", bound=Description)


@dataclass(frozen=True)
class Artifact(Generic[Described]):
    """A version that can predict."""

    manifest: Described
    session: onnxruntime.InferenceSession

    def score(self, rows: Sequence[Sequence[float]]) -> list[Any]:
        """Predict each row, as :meth:`predict` does, from lists to lists."""
        matrix = np.array(rows, dtype=np.float64).reshape(len(rows), len(self.manifest.features))
        scores: list[Any] = self.predict(matrix).tolist()
        return scores

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
        manifest = self.manifest
        if matrix.ndim != 2 or matrix.shape[1] != len(manifest.features):
            raise DataError(
                f"version {manifest.version} of {manifest.model} reads {len(manifest.features)} features a row, "
                f"but was given a matrix of shape {matrix.shape}"
            )
        shape = (len(matrix), len(manifest.classes)) if manifest.task == "multiclass" else (len(matrix),)
        if len(matrix) == 0:
            return np.empty(shape)
        dtype = _DTYPES[self.session.get_inputs()[0].type]
        feed = {manifest.onnx_input: np.ascontiguousarray(matrix, dtype=dtype)}
        values: Matrix = np.asarray(self.session.run([manifest.onnx_output], feed)[0], dtype=np.float64)
        if values.size != math.prod(shape):
            raise DataError(
                f"version {manifest.version} of {manifest.model} returned {values.size} values for {len(matrix)} rows"
                + (f" of {shape[1]} classes" if len(shape) > 1 else "")
            )
        return values.reshape(shape)


def load_artifact(manifest_bytes: bytes, manifest_sha256: str, read: ReadFile) -> Artifact[Manifest]:
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
    contents = {name: read_file(name, sha256, read) for name, sha256 in manifest.files.items()}
    return Artifact(manifest, _session(contents[MODEL_FILE], manifest))


def graph_scorer(manifest: Described, graph: bytes) -> Artifact[Described]:
    """Make the graph of a manifest ready to predict; both were checked against their SHA-256.

    Raises
    ------
    DataError
        The graph is not what the manifest says.
    """
    return Artifact(manifest, _session(graph, manifest))


def _session(graph: bytes, manifest: Description) -> onnxruntime.InferenceSession:
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
