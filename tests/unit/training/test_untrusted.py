"""ONNX files of others: what is refused, and what the rest is made into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from perennial.errors import DataError
from perennial.training.scoring import score
from perennial.training.untrusted import checked, conforming, require_conforming
from tests.support.artifacts import linear_graph

MANY = 10**6
X = np.array([[1.0, 2.0], [3.0, 4.0]])


def a_model(
    nodes: list[Any],
    constants: list[Any] | None = None,
    *,
    domains: tuple[str, ...] = ("",),
    kind: int = TensorProto.DOUBLE,
    width: int | None = 1,
    outputs: tuple[str, ...] = ("y",),
    **more: Any,
) -> onnx.ModelProto:
    """Return a model from ``x``, two columns of double, to ``y``."""
    shape = ["rows", width] if width else ["rows", "columns"]
    graph = helper.make_graph(
        nodes,
        "other",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["rows", 2])],
        [helper.make_tensor_value_info(name, kind, shape) for name in outputs],
        constants or [],
    )
    opsets = [helper.make_opsetid(domain, 17 if domain == "" else 1) for domain in domains]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, **more)


def sums() -> onnx.ModelProto:
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    return a_model([helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=1)], [axes])


def two_columns() -> onnx.ModelProto:
    return a_model([helper.make_node("Identity", ["x"], ["y"])], width=2)


def test_a_file_of_the_standard_is_taken() -> None:
    assert checked(sums().SerializeToString(), MANY).graph.name == "other"
    assert checked(linear_graph(), MANY).graph.name == "linear"


@pytest.mark.parametrize("content", [b"", b"\x80\x04\x95pickle", b"\x00" * 99])
def test_what_is_no_onnx_file_is_told(content: bytes) -> None:
    with pytest.raises(DataError, match=r"model.onnx: it (is no ONNX file|breaks the standard)"):
        checked(content, MANY)


def test_a_file_that_is_too_large_is_not_even_read() -> None:
    with pytest.raises(DataError, match=r"it has 1,001 bytes, and 1,000 are allowed \(gate.max_bytes\)"):
        checked(b"\x00" * 1001, 1000)


def elsewhere(place: str) -> onnx.ModelProto:
    """Return a model with a tensor in another file, as an initializer or deep within a node."""
    outside = helper.make_tensor("bias", TensorProto.DOUBLE, [1], [0.0])
    outside.ClearField("double_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="/etc/passwd")
    if place == "initializer":
        return a_model([helper.make_node("Add", ["x", "bias"], ["y"])], [outside], width=2)
    constant = helper.make_node("Constant", [], ["bias"], value=outside)
    if place == "node":
        return a_model([constant, helper.make_node("Add", ["x", "bias"], ["y"])], width=2)
    result = helper.make_tensor_value_info("bias", TensorProto.DOUBLE, [1])
    branch = helper.make_graph([constant], "branch", [], [result])
    truth = numpy_helper.from_array(np.array(True), "truth")
    return a_model([helper.make_node("If", ["truth"], ["y"], then_branch=branch, else_branch=branch)], [truth])


@pytest.mark.parametrize("place", ["initializer", "node", "branch"])
def test_tensors_in_other_files_are_refused_wherever_they_are_named(place: str) -> None:
    with pytest.raises(DataError, match="it keeps tensors in other files; save it as one file"):
        checked(elsewhere(place).SerializeToString(), MANY)


@pytest.mark.parametrize("domains", [("", "com.microsoft"), ("", "evil")])
def test_operators_beyond_the_standard_are_refused(domains: tuple[str, ...]) -> None:
    node = helper.make_node("Gelu", ["x"], ["y"], domain=domains[1])
    for named in (domains, ("",)):  # whether or not the file says that it uses them
        with pytest.raises(DataError, match=f"it uses operators of '{domains[1]}'; export it with standard operators"):
            checked(a_model([node], domains=named).SerializeToString(), MANY)


def test_functions_are_refused() -> None:
    function = helper.make_function(
        "", "Twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])], [helper.make_opsetid("", 17)]
    )
    with pytest.raises(DataError, match=r"functions of its own; inline them with onnx.inliner"):
        checked(a_model([helper.make_node("Twice", ["x"], ["y"])], functions=[function]).SerializeToString(), MANY)


def test_a_graph_that_hangs_in_the_air_is_refused() -> None:
    with pytest.raises(DataError, match="it breaks the standard"):
        checked(a_model([helper.make_node("Identity", ["z"], ["y"])]).SerializeToString(), MANY)


def test_a_model_with_names_of_its_own_gets_ours_and_says_the_same() -> None:
    made = conforming(sums(), ("a", "b"), ("a", "b"), 1)
    require_conforming(checked(made, MANY), 2, 1)
    assert score(made, X).tolist() == [3.0, 7.0]


def test_features_may_be_fewer_and_in_another_order() -> None:
    weighted = checked(linear_graph((10.0, 1.0), 0.0), MANY)
    made = conforming(weighted, ("c", "a"), ("a", "b", "c"), 1)
    assert score(made, np.array([[1.0, 2.0, 3.0]])).tolist() == [31.0]


def test_names_that_the_model_uses_within_are_in_nobodys_way() -> None:
    inner = a_model(
        [
            helper.make_node("ReduceSum", ["x", "shape"], ["prediction"], keepdims=1),
            helper.make_node("Neg", ["prediction"], ["features"]),
            helper.make_node("Neg", ["features"], ["y"]),
        ],
        [helper.make_tensor("shape", TensorProto.INT64, [1], [1])],
    )
    assert score(conforming(inner, ("a", "b"), ("a", "b"), 1), X).tolist() == [3.0, 7.0]


def test_the_second_of_two_probabilities_is_that_of_true() -> None:
    assert score(conforming(two_columns(), ("a", "b"), ("a", "b"), 1), X).tolist() == [2.0, 4.0]


def test_probabilities_of_several_classes_keep_their_columns() -> None:
    made = conforming(two_columns(), ("a", "b"), ("a", "b"), 2)
    (found,) = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"]).run(None, {"features": X})
    assert found.tolist() == X.tolist()


def test_one_of_several_outputs_is_named() -> None:
    both = a_model(
        [helper.make_node("Identity", ["x"], ["label"]), helper.make_node("Neg", ["x"], ["chance"])],
        width=2,
        outputs=("label", "chance"),
    )
    with pytest.raises(DataError, match=r"name one of its outputs with output=: label \(double\), chance \(double\)"):
        conforming(both, ("a", "b"), ("a", "b"), 1)
    assert score(conforming(both, ("a", "b"), ("a", "b"), 1, "chance"), X).tolist() == [-2.0, -4.0]


def test_what_is_no_number_or_of_another_width_is_refused() -> None:
    whole = a_model([helper.make_node("Cast", ["x"], ["y"], to=TensorProto.INT64)], kind=TensorProto.INT64)
    with pytest.raises(DataError, match=r"its output must be numbers of float or double, not y \(of another type\)"):
        conforming(whole, ("a", "b"), ("a", "b"), 1)
    with pytest.raises(DataError, match="its output has 2 columns, and 3 are asked for"):
        conforming(two_columns(), ("a", "b"), ("a", "b"), 3)


def test_what_conforms_is_kept_and_what_does_not_is_told(tmp_path: Path) -> None:
    assert conforming(checked(linear_graph(), MANY), ("a",) * 4, ("a",) * 4, 1) == linear_graph()
    with pytest.raises(DataError, match="one input 'features' of 2 columns and one output 'prediction' of 1"):
        require_conforming(sums(), 2, 1)
