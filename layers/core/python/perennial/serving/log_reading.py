"""Lines of the prediction log, read: apart from their writing, for `predict` never reads one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from perennial.errors import DataError
from perennial.serving.ids import REQUEST_ID
from perennial.serving.log_lines import BEGINNING, MARKER
from perennial.serving.logged import Route

_MODEL = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class LogLine:
    """What a line says."""

    process: str
    """Request id that names the process."""
    sequence: int
    """How many lines of the version the process has written before."""
    unwritten: int
    """How many rows of the version the process could not write before."""
    model: str
    version: int
    route: Route
    request_id: str
    at: int
    """Microseconds since 1970."""
    milliseconds: float
    error: str
    of: int
    """How many rows the request has."""
    row: int
    """Place of the line's first row in the request."""
    rows: int
    inputs: Mapping[str, Sequence[Any]]
    """Input column to a JSON value per row; decimals and moments are texts."""
    features: Sequence[Sequence[float | None]]
    """A list per row; none of a request that failed before there were any."""
    values: Sequence[float | None]
    probabilities: Sequence[Sequence[float]] | None = None


def is_line(text: str) -> bool:
    """Tell whether a line of a function's output is one of the log, and no other that holds its word."""
    return text.startswith(BEGINNING)


def read_line(text: str) -> LogLine:
    """Read a line that `StdoutPredictionLog` wrote.

    Raises
    ------
    DataError
        The line is cut, or was not written by it.
    """
    fault = DataError(f"a line of the prediction log cannot be read; it begins {text[:120]!r}")
    try:
        line = LogLine(**{name: value for name, value in json.loads(text).items() if name != MARKER})
        whole = _is_whole(line)
    except (AttributeError, TypeError, ValueError):
        raise fault from None
    if not whole:
        raise fault
    return line


def _is_whole(line: LogLine) -> bool:
    columns = [*line.inputs.values(), *(rows for rows in (line.features, line.values, line.probabilities) if rows)]
    return (
        min(line.version, line.rows) >= 1
        and min(line.at, line.row, line.sequence, line.unwritten, line.of - line.row - line.rows) >= 0
        and all(len(column) == line.rows for column in columns)
        and _MODEL.fullmatch(line.model) is not None
        and line.route in get_args(Route)
        and all(REQUEST_ID.fullmatch(name) for name in (line.request_id, line.process))
    )
