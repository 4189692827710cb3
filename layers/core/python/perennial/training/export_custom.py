"""The ONNX file of an estimator that somebody else wrote: its own ``to_onnx``, or skl2onnx."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto, ValueInfoProto, helper, load_from_string, numpy_helper
from onnx.checker import ValidationError
from onnx.shape_inference import InferenceError

from perennial.errors import DefinitionError
from perennial.training.candidates import Fitted
from perennial.training.custom import FAULTS, said
from perennial.training.graph import OPSETS, serialised
from perennial.training.renaming import rename
from perennial.training.scoring import INPUT, OUTPUT, score

_RUNTIME = onnxruntime.capi.onnxruntime_pybind11_state
_FAULTS: tuple[type[Exception], ...] = (
    *FAULTS, DecodeError, ValidationError, InferenceError, _RUNTIME.Fail, _RUNTIME.InvalidArgument,
    _RUNTIME.InvalidGraph, _RUNTIME.InvalidProtobuf, _RUNTIME.NotImplemented, _RUNTIME.RuntimeException,
)  # fmt: skip
"""What a file that cannot be served, or the code that should make it, raises."""
_TYPES = (TensorProto.DOUBLE, TensorProto.FLOAT)
_PROBABILITIES = "probabilities"
"""Name of the output of skl2onnx's classifiers that is meant; the other is the label."""


def export_custom(fitted: Fitted) -> bytes:
    """Return the ONNX file of a custom estimator, with the input and output that every version has.

    Its method ``to_onnx`` gives the file if it has one, else skl2onnx: in double precision, or in single precision
    where onnxruntime has no double form of it, which the gate's ``max_parity_error`` then judges.

    Raises
    ------
    DefinitionError
        Neither works, or what comes out has another shape.
    """
    place = f"candidate {fitted.candidate.name!r}: {fitted.candidate.estimator}"
    if hasattr(fitted.estimator, "to_onnx"):
        try:
            content = fitted.estimator.to_onnx()
        except FAULTS as error:
            raise DefinitionError(f"{place}: to_onnx raises {said(error)}") from error
        if not isinstance(content, bytes):
            raise DefinitionError(f"{place}: to_onnx returns {type(content).__name__}, but should return bytes")
        try:
            return _tried(_wrapped(load_from_string(content), fitted), fitted)
        except _FAULTS as error:
            raise DefinitionError(f"{place}: what to_onnx returns cannot be served: {said(error)}") from error
    reasons = []
    for type_name in ("DoubleTensorType", "FloatTensorType"):
        try:
            return _tried(_wrapped(_converted(fitted, type_name), fitted), fitted)
        except _FAULTS as error:
            reasons.append(said(error))
    raise DefinitionError(
        f"{place}: cannot be exported by skl2onnx ({reasons[0]}); give the class a method to_onnx(self) that returns "
        f"the bytes of an ONNX model with one input of shape (rows, {fitted.features})"
    )


def _converted(fitted: Fitted, type_name: str) -> ModelProto:
    from skl2onnx import convert_sklearn
    from skl2onnx.common import data_types, exceptions

    shape = getattr(data_types, type_name)([None, fitted.features])
    options = None if fitted.problem.task == "regression" else {id(fitted.estimator): {"zipmap": False}}
    try:
        converted: ModelProto = convert_sklearn(
            fitted.estimator, "perennial", [(INPUT, shape)], options=options,
            target_opset={"": OPSETS[""], "ai.onnx.ml": 3},
        )  # fmt: skip
    except (exceptions.MissingShapeCalculator, exceptions.MissingConverter) as error:
        raise ValueError(f"it does not know {type(fitted.estimator).__name__}") from error
    return converted


def _wrapped(model: ModelProto, fitted: Fitted) -> bytes:
    """Put casts around a model, so that its ends are those of every version."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in constants]
    if len(inputs) != 1:
        raise ValueError(f"it has the inputs {', '.join(entry.name for entry in inputs)}, but should have one")
    names = [entry.name for entry in model.graph.output]
    meant = next((name for name in (OUTPUT, _PROBABILITIES) if name in names), names[0] if len(names) == 1 else None)
    if meant is None:
        raise ValueError(f"it has the outputs {', '.join(names)}; name the one that is meant {OUTPUT}")
    source_type = _type(inputs[0])
    columns = _columns(model, inputs[0], meant, fitted.features)
    source, graph = inputs[0].name, model.graph
    renamed = rename(graph)
    first = helper.make_node("Cast", [INPUT], [renamed[source]], name="begin", to=source_type)
    problem = fitted.problem
    outputs = problem.classes or 1
    nodes, more = _end(renamed[meant], fitted, columns)
    proto = helper.make_graph(
        [first, *graph.node, *nodes],
        "perennial",
        [helper.make_tensor_value_info(INPUT, TensorProto.DOUBLE, ["rows", fitted.features])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.DOUBLE, ["rows", outputs])],
        [*graph.initializer, *more],
    )
    return serialised(proto, {entry.domain: entry.version for entry in model.opset_import}, model.ir_version)


def _columns(model: ModelProto, source: ValueInfoProto, output: str, features: int) -> int:
    """Return how many numbers a model answers for a row; its declared shapes need not say."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rows = np.zeros((3, features), dtype=np.float64 if _type(source) == TensorProto.DOUBLE else np.float32)
    answer = np.asarray(session.run([output], {source.name: rows})[0])
    if answer.dtype not in (np.float64, np.float32):
        raise ValueError(f"its output {output} is not of doubles or floats")
    if len(answer) != len(rows) or answer.ndim > 2:
        raise ValueError(f"its answer to 3 rows has the shape {answer.shape}")
    return answer.size // len(rows)


def _end(found: str, fitted: Fitted, columns: int) -> tuple[list[Any], list[Any]]:
    """Return the nodes, and their constants, that make the output of a model's answer.

    Of a regression that is one number, of a binary task the probability of true, else one for each class that the
    training rows had, in the order of ``classes_``.
    """
    allowed = (len(fitted.classes),) if fitted.problem.classes else (1, 2)
    if fitted.problem.task != "regression" and columns not in allowed:
        raise ValueError(
            f"it answers {columns} numbers for a row, but the training rows had {len(fitted.classes)} classes"
        )
    nodes = [helper.make_node("Cast", [found], ["as_double"], name="as_double", to=TensorProto.DOUBLE)]
    if fitted.problem.task == "regression" or (columns == 1 and not fitted.problem.classes):
        shape = numpy_helper.from_array(np.array([-1, 1]), "column")
        return [*nodes, helper.make_node("Reshape", ["as_double", "column"], [OUTPUT], name=OUTPUT)], [shape]
    # A product with 0 and 1 puts each probability in its place.
    count = fitted.problem.classes or 2
    places = np.eye(count)[fitted.classes]
    chosen = numpy_helper.from_array(places if fitted.problem.classes else places[:, 1:], "class_places")
    return [*nodes, helper.make_node("MatMul", ["as_double", "class_places"], [OUTPUT], name=OUTPUT)], [chosen]


def _type(entry: ValueInfoProto) -> int:
    found = int(entry.type.tensor_type.elem_type)
    if found not in _TYPES:
        raise ValueError(f"{entry.name} is not of doubles or floats")
    return found


def _tried(content: bytes, fitted: Fitted) -> bytes:
    """Return the file if it answers three rows with an answer for each."""
    found = score(content, np.zeros((3, fitted.features)))
    expected = (3, fitted.problem.classes) if fitted.problem.classes else (3,)
    if found.shape != expected:
        raise ValueError(f"its answer to 3 rows has the shape {found.shape}, but should have {expected}")
    return content
