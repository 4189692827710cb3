"""The Open Inference Protocol, version 2: each input column is a tensor, so is each part of the answer.

The protocol is that of the Open Inference Protocol's ``inference_rest`` specification. Tensors are in JSON; the
extension for binary data is not understood. A null stands for a missing value, which the protocol has no word for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from perennial.errors import RequestError
from perennial.serving.bodies import Asked, read_explain, require_explainable
from perennial.serving.json_body import read_object, require_keys
from perennial.serving.moments import shown
from perennial.serving.payload import Place, Row, require_few

OUTPUTS = ("prediction_id", "value", "label", "probabilities", "missing", "base", "contributions")
"""Names of the tensors that an answer may have."""
_EXAMPLE = '{"inputs": [{"name": …, "shape": […], "datatype": …, "data": […]}]}'


def read_tensors(body: str | bytes | None) -> Asked:
    """Read the body of an inference request.

    Raises
    ------
    TooLargeError
        It has more rows, or bytes, than one call may have.
    RequestError
        It is no inference request; ``field`` names the place, such as ``inputs[2].data[0]``.
    """
    content = read_object(body, _EXAMPLE)
    require_keys(content, ("inputs",), "", ("id", "parameters", "outputs"))
    name = content.get("id")
    if name is not None and not isinstance(name, str):
        raise RequestError("id must be a text", "id")
    parameters = _parameters(content, "")
    explain = read_explain(parameters.get("explain", False), "parameters.explain")
    columns = _inputs(content["inputs"])
    rows: list[Row] = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if explain:
        require_explainable(rows, "inputs")
    return Asked(rows, "tensors", explain, _place_in(list(columns)), name, _outputs(content.get("outputs")))


def _inputs(inputs: object) -> dict[str, list[Any]]:
    if not isinstance(inputs, list) or not inputs:
        raise RequestError("inputs must be a list of at least one tensor", "inputs")
    columns: dict[str, list[Any]] = {}
    for number, tensor in enumerate(inputs):
        place = f"inputs[{number}]"
        if not isinstance(tensor, dict):
            raise RequestError(f"{place} must be an object", place)
        require_keys(tensor, ("name", "shape", "datatype", "data"), place, ("parameters",))
        _parameters(tensor, place)
        name = tensor["name"]
        if not isinstance(name, str):
            raise RequestError(f"{place}.name must be a text", f"{place}.name")
        if name in columns:
            raise RequestError(
                f"{place}.name is {shown(name)}, as that of another input; send it once", f"{place}.name"
            )
        values = _values(tensor, place)
        first = next(iter(columns.values()), values)
        if len(values) != len(first):
            raise RequestError(
                f"{place}.shape says {len(values)} rows, but inputs[0].shape says {len(first)}", f"{place}.shape"
            )
        columns[name] = values
    return columns


def _values(tensor: Mapping[str, Any], place: str) -> list[Any]:
    """Return a tensor's values, one for each row."""
    shape, data, datatype = tensor["shape"], tensor["data"], tensor["datatype"]
    whole = isinstance(shape, list) and all(type(length) is int and length > 0 for length in shape)
    if not whole or len(shape) not in (1, 2) or shape[1:] not in ([], [1]):
        raise RequestError(f"{place}.shape must be [rows] or [rows, 1], each at least 1", f"{place}.shape")
    where = f"{place}.data"
    if not isinstance(data, list):
        raise RequestError(f"{where} must be a list", where)
    require_few(data, where)
    if len(data) != shape[0]:
        raise RequestError(f"{where} has {len(data)} values, but the shape says {shape[0]}", where)
    if not isinstance(datatype, str) or datatype not in _FITS:
        raise RequestError(f"{place}.datatype must be one of {', '.join(_FITS)}", f"{place}.datatype")
    values = []
    fits = _FITS[datatype]
    for number, value in enumerate(data):
        if isinstance(value, list) and len(shape) == 2 and len(value) == 1:
            (value,) = value  # noqa: PLW2901 - a row of the nested form
        if value is not None and not fits(value):
            raise RequestError(f"{where}[{number}] must be a {datatype}, not {shown(value)}", f"{where}[{number}]")
        values.append(value)
    return values


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_FITS: dict[str, Callable[[Any], bool]] = {
    "BOOL": lambda value: isinstance(value, bool),
    **{f"UINT{bits}": _whole(0, 2**bits - 1) for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": _whole(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    "FP16": _number,
    "FP32": _number,
    "FP64": _number,
    "BYTES": lambda value: isinstance(value, str),
}
"""Datatype to whether a JSON value is one."""
DATATYPES = tuple(_FITS)
"""Datatypes that are understood."""


def _parameters(content: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    where = f"{place}.parameters" if place else "parameters"
    parameters = content.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise RequestError(f"{where} must be an object", where)
    if "binary_data_size" in parameters:
        raise RequestError(f"{where}.binary_data_size: tensors are read as JSON alone", f"{where}.binary_data_size")
    return parameters


def _outputs(outputs: object) -> tuple[str, ...] | None:
    if outputs is None or outputs == []:
        return None
    if not isinstance(outputs, list):
        raise RequestError("outputs must be a list", "outputs")
    names = []
    for number, output in enumerate(outputs):
        place = f"outputs[{number}]"
        if not isinstance(output, dict):
            raise RequestError(f"{place} must be an object", place)
        require_keys(output, ("name",), place, ("parameters",))
        _parameters(output, place)
        if not isinstance(output["name"], str) or output["name"] not in OUTPUTS:
            raise RequestError(f"{place}.name must be one of {', '.join(OUTPUTS)}", f"{place}.name")
        names.append(output["name"])
    return tuple(names)


def _place_in(names: Sequence[str]) -> Place:
    def place(number: int, name: str | None) -> str:
        if name is None:
            return f"inputs, row {number}"
        return f"inputs[{names.index(name)}].data[{number}]" if name in names else f"inputs: {name}"

    return place
