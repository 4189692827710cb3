"""What callers send to be predicted, in any of the shapes that are understood: rows, and where each value stood.

``{"instances": […]}``; MLflow's ``{"dataframe_records": […]}`` and ``{"dataframe_split": {…}}`` (MLflow, "Deploy MLflow
Model as a Local Inference Server"); the Open Inference Protocol V2 is in `perennial.serving.tensors`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from perennial.errors import RequestError, TooLargeError
from perennial.serving.json_body import read_object, require_keys
from perennial.serving.payload import Place, Row, instance_place, read_rows, require_few

MAX_EXPLAINED = 100
"""Most rows of a call that is to be explained: a row has as many contributions as features, and classes."""
_EXAMPLE = '{"instances": [{…}]}'
_SHAPES = ("instances", "dataframe_records", "dataframe_split")

Shape = Literal["instances", "dataframe", "tensors"]


@dataclass(frozen=True)
class Asked:
    """What a caller asks."""

    rows: list[Row]
    shape: Shape
    """How it was sent, and is answered."""
    explain: bool = False
    """Whether each prediction is to say how it came about."""
    place: Place = field(default=instance_place, repr=False)
    """The number of a row and a column → where that stands in what was sent."""
    name: str | None = None
    """What the caller calls the request (``id`` of the Open Inference Protocol): it is said again."""
    outputs: tuple[str, ...] | None = None
    """Which tensors are to be answered; None means all."""


def read_asked(body: str | bytes | None) -> Asked:
    """Read a call's body.

    Raises
    ------
    TooLargeError
        It has more rows, or bytes, than one call may have.
    RequestError
        It is none of the shapes; ``field`` names the place.
    """
    content = read_object(body, _EXAMPLE)
    found = [name for name in _SHAPES if name in content]
    if len(found) != 1:
        what = f"has {' and '.join(found)}" if found else f"has none of {', '.join(_SHAPES)}"
        raise RequestError(f"the body {what}; send one, such as {_EXAMPLE}", found[1] if found else "instances")
    (shape,) = found
    require_keys(content, (shape,), "", ("explain",))
    explain = read_explain(content.get("explain", False), "explain")
    if shape == "dataframe_split":
        rows, place = _split(content[shape])
    else:
        rows = read_rows(content[shape], shape)
        place = instance_place if shape == "instances" else _record_place
    if explain:
        require_explainable(rows, shape)
    return Asked(rows, "instances" if shape == "instances" else "dataframe", explain, place)


def read_explain(said: object, place: str) -> bool:
    """Return whether a call is to be explained, or raise RequestError."""
    if not isinstance(said, bool):
        raise RequestError(f"{place} must be true or false", place)
    return said


def require_explainable(rows: Sequence[Row], place: str) -> None:
    """Raise TooLargeError if there are more rows than one call explains."""
    if len(rows) > MAX_EXPLAINED:
        raise TooLargeError(
            f"{place} has {len(rows):,} entries, of which at most {MAX_EXPLAINED} are explained in one call; "
            "send several, or leave explain out",
            place,
        )


def _record_place(number: int, name: str | None) -> str:
    return f"dataframe_records[{number}]" if name is None else f"dataframe_records[{number}].{name}"


def _split(content: object) -> tuple[list[Row], Place]:
    where = "dataframe_split"
    if not isinstance(content, dict):
        raise RequestError(f'{where} must be an object: {{"columns": […], "data": [[…]]}}', where)
    require_keys(content, ("columns", "data"), where, ("index",))
    columns = _columns(content["columns"])
    data = content["data"]
    if not isinstance(data, list) or not data:
        raise RequestError(f"{where}.data must be a list of at least one row", f"{where}.data")
    require_few(data, f"{where}.data")
    index = content.get("index")
    if index is not None and (not isinstance(index, list) or len(index) != len(data)):
        raise RequestError(f"{where}.index must be a list with an entry for each row", f"{where}.index")
    rows: list[Row] = []
    for number, values in enumerate(data):
        place = f"{where}.data[{number}]"
        if not isinstance(values, list) or len(values) != len(columns):
            raise RequestError(f"{place} must be a list of {len(columns)} values, one for each column", place)
        for position, value in enumerate(values):
            if isinstance(value, dict | list):
                raise RequestError(
                    f"{place}[{position}] must be a single value, not a list or an object", f"{place}[{position}]"
                )
        rows.append(dict(zip(columns, values, strict=True)))
    return rows, _split_place({name: position for position, name in enumerate(columns)})


def _columns(columns: object) -> list[str]:
    where = "dataframe_split.columns"
    if not isinstance(columns, list) or not columns or not all(isinstance(name, str) for name in columns):
        raise RequestError(f"{where} must be a list of names", where)
    seen: set[str] = set()
    for name in columns:
        if name in seen:
            raise RequestError(f"{where} names {name!r} twice; send it once", where)
        seen.add(name)
    return columns


def _split_place(positions: Mapping[str, int]) -> Place:
    def place(number: int, name: str | None) -> str:
        if name is None:
            return f"dataframe_split.data[{number}]"
        if name not in positions:
            return f"dataframe_split.columns: {name}"
        return f"dataframe_split.data[{number}][{positions[name]}]"

    return place


def read_body(body: str | bytes | None, resource: str) -> Asked:
    """Read the body of a call of a resource, such as ``/v2/models/{model}/infer``; errors as `read_asked`."""
    if not resource.startswith("/v2/"):
        return read_asked(body)
    from perennial.serving.tensors import read_tensors  # late: most callers send rows

    return read_tensors(body)
