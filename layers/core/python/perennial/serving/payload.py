"""Strict reading of what callers of the API send: every fault is named by its place, nothing is guessed."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perennial.errors import RequestError, TooLargeError
from perennial.serving.columns import Column
from perennial.serving.json_body import read_object, require_keys
from perennial.serving.moments import shown
from perennial.serving.values import Value, reader

MAX_ROWS = 1000
"""Most instances, or labels, in one call."""

Row = Mapping[str, Any]
Columns = dict[str, list[Value]]
"""Column name to one value per row, each of the column's own Python type, None for a missing one."""
Matches = Callable[[str, Sequence[str]], Sequence[bool]]
"""A regular expression and texts → whether it matches the whole of each."""


Place = Callable[[int, str | None], str]
"""The number of a row and the name of a column (None: the row) → where that stands in what the caller sent."""


def instance_place(number: int, name: str | None) -> str:
    """Return a place in the list of instances, such as ``instances[3].trip_distance``."""
    return f"instances[{number}]" if name is None else f"instances[{number}].{name}"


@dataclass(frozen=True)
class Label:
    """What turned out to be true of a prediction."""

    prediction_id: str
    label: bool | float | str
    """A number; true or false; or the text of a class. What it must be, the model that predicted knows."""


def parse_instances(body: str | bytes | None) -> list[Row]:
    """Read ``{"instances": [{column: value, …}, …]}``.

    Raises
    ------
    TooLargeError
        More than ``MAX_BYTES`` bytes or ``MAX_ROWS`` instances.
    RequestError
        The body is not that; ``field`` names the place.
    """
    return _objects(body, "instances")


def parse_labels(body: str | bytes | None) -> list[Label]:
    """Read ``{"labels": [{"prediction_id": text, "label": number, boolean or text}, …]}``.

    The same prediction may be labelled twice in one call, if the two labels agree.

    Raises
    ------
    TooLargeError
        More than ``MAX_BYTES`` bytes or ``MAX_ROWS`` labels.
    RequestError
        The body is not that; ``field`` names the place.
    """
    labels: list[Label] = []
    first: dict[str, Label] = {}
    for number, entry in enumerate(_objects(body, "labels")):
        place = f"labels[{number}]"
        require_keys(entry, ("prediction_id", "label"), place)
        prediction_id, label = entry["prediction_id"], entry["label"]
        if type(prediction_id) is not str:
            raise RequestError(f"{place}.prediction_id must be a text", f"{place}.prediction_id")
        if not isinstance(label, bool | int | float | str):
            raise RequestError(f"{place}.label must be a number, true, false or a text", f"{place}.label")
        told = label if isinstance(label, bool | str) else _finite(label, f"{place}.label")
        labels.append(Label(prediction_id, told))
        known = first.setdefault(prediction_id, labels[-1])
        if known.label != labels[-1].label:
            raise RequestError(
                f"{place} says {shown(label)} of {shown(prediction_id)}, but an earlier one of this call says "
                f"{shown(known.label)}; send one of them",
                f"{place}.label",
            )
    return labels


def read_columns(
    rows: Sequence[Row],
    inputs: Mapping[str, Column],
    ignored: Collection[str] = (),
    matches: Matches | None = None,
    place: Place = instance_place,
    spared: Sequence[Collection[str]] | None = None,
) -> Columns:
    """Check the rows of a request against the columns that a model reads, and turn them into columns.

    Parameters
    ----------
    rows : sequence of mappings
        One mapping of column name to JSON value per row.
    inputs : mapping
        The columns that must be there (a nullable one may be left out).
    ignored : collection of str
        Columns that may be there and are not looked at.
    matches : callable or None
        Finds out which texts fit a ``pattern``: :func:`perennial.serving.request_view.matches`, the engine that
        ingesting asks too, as Python's regular expressions differ from RE2. Needed if an input has a pattern.
    place : callable
        Names the place of a value in what the caller sent.
    spared : sequence of collections or None
        For each row, inputs that it need not bring.

    Raises
    ------
    RequestError
        A column is unknown or missing, or a value breaks its column's rules; ``field`` is such as
        ``instances[3].trip_distance``.
    TooLargeError
        More than ``MAX_ROWS`` rows.
    """
    require_few(rows, "instances")
    known = {*inputs, *ignored}
    for number, row in enumerate(rows):
        unknown = row.keys() - known
        if unknown:
            name = min(unknown)
            where = place(number, name)
            raise RequestError(f"{where} is not known; the model reads {', '.join(inputs)}", where)
    columns: Columns = {}
    for name, column in inputs.items():
        read = reader(column)
        values: list[Value] = []
        for number, row in enumerate(rows):
            value = row.get(name)
            if value is None and spared is not None and name in spared[number]:
                values.append(None)
                continue
            try:
                values.append(read(value))
            except ValueError as error:
                fault = "is missing" if name not in row and not column.nullable else str(error)
                where = place(number, name)
                raise RequestError(f"{where} {fault}", where) from None
        if column.pattern is not None:
            _require_pattern(name, column.pattern, values, matches, place)
        columns[name] = values
    return columns


def _require_pattern(name: str, pattern: str, values: Sequence[Value], matches: Matches | None, place: Place) -> None:
    assert matches is not None, "whoever reads columns with patterns says how to match them"
    numbers = [number for number, value in enumerate(values) if value is not None]
    fits = matches(pattern, [str(values[number]) for number in numbers])
    for number, fit in zip(numbers, fits, strict=True):
        if not fit:
            where = place(number, name)
            raise RequestError(f"{where} is {shown(values[number])}, which is not of the form {pattern}", where)


def _objects(body: str | bytes | None, key: str) -> list[Row]:
    """Return the list of objects under the only key of a JSON object."""
    content = read_object(body, f'{{"{key}": [{{…}}]}}')
    require_keys(content, (key,), "")
    return read_rows(content[key], key)


def read_rows(entries: object, key: str) -> list[Row]:
    """Return a list of flat objects, or raise RequestError or TooLargeError with the place; ``key`` is its place."""
    if not isinstance(entries, list) or not entries:
        raise RequestError(f"{key} must be a list of at least one object", key)
    require_few(entries, key)
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise RequestError(f"{key}[{number}] must be an object", f"{key}[{number}]")
        for name, value in entry.items():
            if isinstance(value, dict | list):
                place = f"{key}[{number}].{name}"
                raise RequestError(f"{place} must be a single value, not a list or an object", place)
    return entries


def require_few(entries: Sequence[object], key: str) -> None:
    """Raise TooLargeError if there are more than ``MAX_ROWS`` entries at the place ``key``."""
    if len(entries) > MAX_ROWS:
        raise TooLargeError(f"{key} has {len(entries):,} entries, at most {MAX_ROWS:,} fit one call; send several", key)


def _finite(value: float, place: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RequestError(f"{place} is beyond what a double holds", place)
    return number
