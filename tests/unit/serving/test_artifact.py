"""An artifact that is not the registered one does not serve."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from perennial.errors import DataError, NotFoundError
from perennial.serving.artifact import Artifact, load_artifact
from tests.support.artifacts import a_manifest, linear_graph


def load(graph: bytes | None = None, read: Callable[[str], bytes] | None = None, **changes: Any) -> Artifact:
    graph = linear_graph() if graph is None else graph
    content = a_manifest(graph, **changes).model_dump_json().encode()
    return load_artifact(content, hashlib.sha256(content).hexdigest(), read or {"model.onnx": graph}.__getitem__)


def test_an_intact_artifact_predicts_what_its_graph_says() -> None:
    # 3 + 2 distance + hour / 2 + passengers + speed / 10
    matrix = np.array([[10.0, 8.0, 1.0, 20.0], [0.0, 0.0, 0.0, np.nan]])
    values = load().predict(matrix)
    assert values.tolist() == [30.0, 3.0]
    assert values.dtype == np.float64


def test_a_graph_of_single_precision_is_fed_single_precision() -> None:
    assert load(linear_graph(dtype=TensorProto.FLOAT)).predict(np.array([[10.0, 8.0, 1.0, 20.0]])).tolist() == [30.0]


def test_no_rows_give_no_predictions() -> None:
    assert load().predict(np.empty((0, 4))).shape == (0,)


@pytest.mark.parametrize("shape", [(1, 3), (1, 5), (4,)])
def test_a_matrix_of_another_width_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="reads 4 features a row"):
        load().predict(np.zeros(shape))


def test_a_manifest_that_was_changed_is_refused() -> None:
    content = a_manifest().model_dump_json().encode()
    registered = hashlib.sha256(content).hexdigest()
    with pytest.raises(DataError, match=r"manifest\.json: has SHA-256 .* was changed after it was registered"):
        load_artifact(content.replace(b"ridge", b"Ridge"), registered, lambda _: linear_graph())


def test_a_model_file_of_which_one_bit_was_changed_is_refused() -> None:
    changed = bytearray(linear_graph())
    changed[-1] ^= 1
    with pytest.raises(DataError, match=r"model\.onnx: has SHA-256"):
        load(read=lambda _: bytes(changed))


def test_a_model_file_that_is_gone_is_the_artifacts_fault_and_not_the_callers() -> None:
    def gone(name: str) -> bytes:
        raise NotFoundError(name)

    with pytest.raises(DataError, match=r"model\.onnx: is missing"):
        load(read=gone)


def test_registered_bytes_that_are_no_graph_are_refused() -> None:
    with pytest.raises(DataError, match=r"model\.onnx: onnxruntime cannot run it"):
        load(b"not a graph")


def test_a_graph_whose_input_has_another_name_is_refused() -> None:
    with pytest.raises(DataError, match="as its manifest says"):
        load(onnx_input="x")


def test_a_manifest_without_a_model_file_is_refused() -> None:
    with pytest.raises(DataError, match=r"files names no model\.onnx"):
        load(files={})


def test_bytes_that_are_no_manifest_are_refused_by_the_first_key_that_is_wrong() -> None:
    with pytest.raises(DataError, match=r"manifest\.json: model: field required"):
        load_artifact(b"{}", hashlib.sha256(b"{}").hexdigest(), lambda _: b"")
