"""An ONNX graph in the making: nodes and constants under fixed names, so equal fits give equal bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from perennial.training.scoring import INPUT, OUTPUT

# The oldest that hold what is used here (TreeEnsemble came with ai.onnx.ml 5): any later runtime reads the file.
IR_VERSION = 10
OPSETS = {"": 21, "ai.onnx.ml": 5}


class Graph:
    """Nodes and constants of a graph in the making."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, values: npt.ArrayLike, dtype: npt.DTypeLike = np.float64) -> str:
        """Add a constant and return its name."""
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
        return name

    def apply(self, operator: str, *inputs: str, to: str, domain: str = "", **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        self.nodes.append(helper.make_node(operator, list(inputs), [to], name=to, domain=domain, **attributes))
        return to

    def cast(self, values: str, type: int, to: str) -> str:
        """Change the type of numbers (a `TensorProto` type)."""
        # The operator's attribute has the name of `apply`'s argument.
        self.nodes.append(helper.make_node("Cast", [values], [to], name=to, to=type))
        return to

    def one_if_equal(self, left: str, right: str, to: str) -> str:
        """Compare numbers: 1 where they are equal, else 0."""
        return self.cast(self.apply("Equal", left, right, to=f"{to}_equal"), TensorProto.DOUBLE, to=to)

    def columns(self, matrix: str, places: list[int], to: str) -> str:
        """Take columns of a matrix."""
        return self.apply("Gather", matrix, self.constant(f"{to}_places", places, np.int64), to=to, axis=1)


def end_in_probabilities(graph: Graph, found: str, seen: list[int], classes: int) -> None:
    """Make the graph's output of the probabilities of the classes that the training rows had.

    Parameters
    ----------
    found : str
        Shape (n, 1): the probability of the second of two classes; or (n, number of classes seen).
    seen : list of int
        Places of the classes, in the order of the probabilities.
    classes : int
        How many there are in all; 0 for a binary task, whose output is the one probability.
    """
    if not classes:
        graph.apply("Identity", found, to=OUTPUT)
        return
    if len(seen) == 2:
        rest = graph.apply("Sub", graph.constant("one", [1.0]), found, to="rest")
        found = graph.apply("Concat", rest, found, to="both", axis=1)
    if len(seen) == classes:
        graph.apply("Identity", found, to=OUTPUT)
        return
    # A product with 0 and 1 puts each probability in its place, and 0 where a class was never seen.
    places = graph.constant("class_places", np.eye(classes)[seen])
    graph.apply("MatMul", found, places, to=OUTPUT)


def to_bytes(graph: Graph, features: int, outputs: int) -> bytes:
    """Return the ONNX file of a graph from the input ``features`` to the output ``prediction``."""
    source = helper.make_tensor_value_info(INPUT, TensorProto.DOUBLE, ["rows", features])
    sink = helper.make_tensor_value_info(OUTPUT, TensorProto.DOUBLE, ["rows", outputs])
    proto = helper.make_graph(graph.nodes, "perennial", [source], [sink], graph.constants)
    return serialised(proto, OPSETS)


def serialised(proto: Any, opsets: dict[str, int], ir_version: int = IR_VERSION) -> bytes:
    """Return the file of a checked graph."""
    model: ModelProto = helper.make_model(
        proto,
        producer_name="perennial",
        ir_version=ir_version,
        # Sorted: those of a converted graph come out of a set, in another order in each process.
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in sorted(opsets.items())],
    )
    checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content
