"""ONNX files that others made: what is refused, and how the rest gets the input and the output that we read.

A file is data until onnxruntime runs it. What could reach beyond it (external files, operators of other domains,
functions) is refused before that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, checker, compose, helper
from onnx import load_model_from_string as parse

from perennial.errors import DataError
from perennial.training.scoring import INPUT, OUTPUT

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
"""Where operators may come from: the standard."""
_FLOATS: dict[int, str] = {TensorProto.FLOAT: "float", TensorProto.DOUBLE: "double"}
_INNER = "submitted/"


def checked(content: bytes, most: int) -> ModelProto:
    """Return an ONNX file as a model, having made sure that it is whole and keeps to itself.

    Parameters
    ----------
    content : bytes
        The file.
    most : int
        How many bytes it may have.

    Raises
    ------
    DataError
        It is no ONNX file, too large, keeps tensors in other files, or uses functions or operators beyond the
        standard; the message says which.
    """
    if len(content) > most:
        raise DataError(f"model.onnx: it has {len(content):,} bytes, and {most:,} are allowed (gate.max_bytes)")
    try:
        model = parse(content)
    except DecodeError as error:
        raise DataError(f"model.onnx: it is no ONNX file ({error}); export the model again") from None
    if model.functions:
        raise DataError("model.onnx: it has functions of its own; inline them with onnx.inliner first")
    domains = {opset.domain for opset in model.opset_import}
    for graph in _graphs(model.graph):
        if any(_is_elsewhere(tensor) for tensor in _tensors(graph)):
            raise DataError("model.onnx: it keeps tensors in other files; save it as one file")
        domains |= {node.domain for node in graph.node}
    if strange := sorted(domains - DOMAINS):
        raise DataError(f"model.onnx: it uses operators of {strange[0]!r}; export it with standard operators alone")
    try:
        checker.check_model(content)
    except checker.ValidationError as error:
        raise DataError(f"model.onnx: it breaks the standard: {str(error).splitlines()[0]}") from None
    return model


def conforming(model: ModelProto, own: Sequence[str], features: Sequence[str], columns: int, output: str = "") -> bytes:
    """Return the file with one input ``features`` and one output ``prediction``, both double.

    Parameters
    ----------
    model : ModelProto
        A `checked` one with one input, a matrix of float or double.
    own : sequence of str
        The feature columns that its input has, in its order.
    features : sequence of str
        All feature columns in the order of the input to be; ``own`` may leave some out.
    columns : int
        Columns of the output to be: 1, or the number of classes. Where the model gives probabilities of two classes
        and 1 is asked for, that of the second is taken.
    output : str
        Which of the model's outputs is meant, if it has several.

    Raises
    ------
    DataError
        The input or the output is of another kind or size.
    """
    source, sink = _source(model, len(own)), _sink(model, output, columns)
    width = _width(sink.type)
    if (
        tuple(own) == tuple(features)
        and (source.name, sink.name) == (INPUT, OUTPUT)
        and {_element(source.type), _element(sink.type)} == {TensorProto.DOUBLE}
        and width == columns
        and len(model.graph.output) == 1
    ):
        return bytes(model.SerializeToString(deterministic=True))
    inner = compose.add_prefix(model, _INNER)
    before = [
        helper.make_node("Gather", [INPUT, "chosen columns"], ["own columns"], axis=1),
        helper.make_node("Cast", ["own columns"], [_INNER + source.name], to=_element(source.type)),
    ]
    after = [helper.make_node("Cast", [_INNER + sink.name], ["as double"], to=TensorProto.DOUBLE)]
    second = columns == 1 and width == 2
    if second:
        after.append(helper.make_node("Gather", ["as double", "second column"], ["chosen"], axis=1))
    after.append(helper.make_node("Reshape", ["chosen" if second else "as double", "shape"], [OUTPUT]))
    constants = [
        helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
        for name, values in (
            ("chosen columns", [list(features).index(name) for name in own]),
            ("second column", [1]),
            ("shape", [-1, columns]),
        )
        if name != "second column" or second
    ]
    graph = helper.make_graph(
        [*before, *inner.graph.node, *after],
        "submitted",
        [helper.make_tensor_value_info(INPUT, TensorProto.DOUBLE, ["rows", len(features)])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.DOUBLE, ["rows", columns])],
        [*inner.graph.initializer, *constants],
        sparse_initializer=list(inner.graph.sparse_initializer),
    )
    made = helper.make_model(
        graph, producer_name="perennial", ir_version=model.ir_version, opset_imports=list(model.opset_import)
    )
    return bytes(made.SerializeToString(deterministic=True))


def require_conforming(model: ModelProto, features: int, columns: int) -> None:
    """Raise DataError unless a model has the one input and the one output that `conforming` gives."""
    inputs, outputs = _inputs(model), list(model.graph.output)
    found = [(each.name, _element(each.type), _width(each.type)) for each in (*inputs, *outputs)]
    if found != [(INPUT, TensorProto.DOUBLE, features), (OUTPUT, TensorProto.DOUBLE, columns)]:
        raise DataError(
            f"model.onnx: it must have one input {INPUT!r} of {features} columns and one output {OUTPUT!r} of "
            f"{columns}, both double; submit it with run.register"
        )


def _source(model: ModelProto, width: int) -> ValueInfoProto:
    inputs = _inputs(model)
    if len(inputs) != 1 or _element(inputs[0].type) not in _FLOATS:
        raise DataError(f"model.onnx: it must have one input, a matrix of float or double, not {_told(inputs)}")
    found = _width(inputs[0].type)
    if found not in (width, None):
        raise DataError(f"model.onnx: its input has {found} columns, but {width} features are named")
    (source,) = inputs
    return source


def _sink(model: ModelProto, output: str, columns: int) -> ValueInfoProto:
    outputs: list[ValueInfoProto] = [each for each in model.graph.output if output in ("", each.name)]
    if len(outputs) != 1:
        raise DataError(f"model.onnx: name one of its outputs with output=: {_told(model.graph.output)}")
    if _element(outputs[0].type) not in _FLOATS:
        raise DataError(f"model.onnx: its output must be numbers of float or double, not {_told(outputs)}")
    found = _width(outputs[0].type)
    if found not in (columns, None) and not (columns == 1 and found == 2):
        raise DataError(f"model.onnx: its output has {found} columns, and {columns} are asked for")
    return outputs[0]


def _inputs(model: ModelProto) -> list[ValueInfoProto]:
    """Return the inputs that a caller gives: old files name their constants among them."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [each for each in model.graph.input if each.name not in constants]


def _element(kind: TypeProto) -> int:
    return int(kind.tensor_type.elem_type) if kind.HasField("tensor_type") else TensorProto.UNDEFINED


def _width(kind: TypeProto) -> int | None:
    """Return the columns of a matrix; 1 of a vector, None if the file does not say."""
    if not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return None
    dimensions = kind.tensor_type.shape.dim
    if len(dimensions) == 1:
        return 1
    last = dimensions[-1] if len(dimensions) == 2 else None
    return int(last.dim_value) if last is not None and last.HasField("dim_value") else None


def _told(values: Sequence[ValueInfoProto]) -> str:
    told = [f"{each.name} ({_FLOATS.get(_element(each.type), 'of another type')})" for each in values]
    return ", ".join(told) or "none"


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """Give a graph and those within its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from _graphs(inner)


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _constants(node)


def _constants(node: NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)


def _is_elsewhere(tensor: TensorProto) -> bool:
    return bool(tensor.data_location == TensorProto.EXTERNAL or tensor.external_data)
