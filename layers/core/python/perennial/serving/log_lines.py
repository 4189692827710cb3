"""The prediction log on its way: lines of JSON on a function's standard output (`log_reading` reads them).

CloudWatch Logs carries the lines to the function ``log_predictions``, so a caller waits for no service. A line holds
rows of one request as one version saw it, column by column; a request that is too long for a line is cut by rows.

Each process counts its lines of a version without a gap, so what is lost on the way shows as a gap.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from math import nan
from typing import Any, TextIO

from perennial.serving.logged import LoggedRequest

MARKER = "prediction_log"
"""The word by which CloudWatch Logs picks the lines out; each begins ``{"prediction_log":1,``."""
MAX_LINE = 100_000
"""Most characters of a line's rows, all of them ASCII: CloudWatch Logs takes events of 256 KiB."""

BEGINNING = f'{{"{MARKER}":1,'
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FAULTS = (ArithmeticError, LookupError, OSError, TypeError, ValueError)
"""How writing fails: values that JSON cannot say, rows of unequal lengths, a stream that is closed or full."""


def _plain(value: object) -> str:
    """Return what JSON does not know, a decimal or a moment, as text."""
    return value.isoformat() if isinstance(value, date) else str(value)  # a datetime is a date, too


_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False, default=_plain).encode
_floats = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class StdoutPredictionLog:
    """Writes answered requests to a stream, each line at once; any number of threads may share it.

    Parameters
    ----------
    stream : callable
        Returns the stream; asked each time, for a runtime may replace ``sys.stdout``.
    name : callable
        Returns a request id (:func:`perennial.serving.ids.make_request_id`) that no other process has: it tells, too,
        when this one began. It is asked at the first request, for processes may be copies of one that was warmed up.
    """

    def __init__(self, stream: Callable[[], TextIO], name: Callable[[], str]) -> None:
        self._stream = stream
        self._name = name
        self._process = ""
        self._lock = threading.Lock()
        self._written: dict[tuple[str, int], int] = {}
        self._unwritten: dict[tuple[str, int], int] = {}

    def write(self, logged: LoggedRequest) -> None:
        """Write a request, unless its version's policy leaves it out.

        It raises nothing: rows that cannot be written are counted, and the version's next line says how many they are
        in this process so far.
        """
        rows = missing = logged.rows
        try:
            if not logged.policy.keeps(logged.request_id):
                return
            common = _json(
                {
                    "process": self._named(),
                    "model": logged.model,
                    "version": logged.version,
                    "route": logged.route,
                    "request_id": logged.request_id,
                    "at": (logged.at - _EPOCH) // _MICROSECOND,
                    "milliseconds": round(logged.milliseconds, 3),
                    "error": logged.error,
                    "of": rows,
                }
            )[1:-1]
            for count, columns in _cut(logged, rows):
                self._emit((logged.model, logged.version), f"{common},{columns}")
                missing -= count
        except _FAULTS:
            pass  # counted below
        if missing:
            with self._lock:
                version = (logged.model, logged.version)
                self._unwritten[version] = self._unwritten.get(version, 0) + missing

    def _named(self) -> str:
        with self._lock:
            self._process = self._process or self._name()
            return self._process

    def _emit(self, version: tuple[str, int], rest: str) -> None:
        with self._lock:
            sequence, unwritten = self._written.get(version, 0), self._unwritten.get(version, 0)
            stream = self._stream()
            # In one piece, or what another thread prints would cut the line.
            stream.write(f'{BEGINNING}"sequence":{sequence},"unwritten":{unwritten},{rest}}}\n')
            stream.flush()
            self._written[version] = sequence + 1


def _cut(logged: LoggedRequest, rows: int) -> Iterator[tuple[int, str]]:
    """Yield the rows of a request in pieces that fit a line, as how many they are and their JSON.

    A row that is too long by itself is left out.
    """
    start, step = 0, rows
    columns_of = [*logged.inputs.values(), *filter(len, (logged.features, logged.values, logged.probabilities or ()))]
    if any(len(column) != rows for column in columns_of):
        raise ValueError("the columns of a request differ in length")
    while start < rows:
        stop = min(start + step, rows)
        columns = _columns(logged, start, stop)
        if len(columns) <= MAX_LINE:
            yield stop - start, columns
            start = stop
        elif stop - start > 1:
            fitting = (stop - start) * MAX_LINE * 9 // 10 // len(columns)
            step = min(max(1, fitting), (stop - start) // 2)
        else:
            start, step = stop, rows


def _columns(logged: LoggedRequest, start: int, stop: int) -> str:
    """Return rows as the members of a JSON object."""
    policy = logged.policy
    inputs = {name: values[start:stop] for name, values in logged.inputs.items() if name not in policy.masked_inputs}
    features = logged.features[start:stop]
    if policy.masked_features:
        masked = policy.masked_features
        features = [[nan if place in masked else value for place, value in enumerate(row)] for row in features]
    columns = f'"row":{start},"rows":{stop - start},"inputs":{_json(inputs)},"features":{_numbers(features)}'
    columns += f',"values":{_numbers(logged.values[start:stop])}'
    if logged.probabilities is not None:
        columns += f',"probabilities":{_numbers(logged.probabilities[start:stop])}'
    return columns


def _numbers(values: Sequence[Any]) -> str:
    """Return numbers as JSON that has null for NaN; there are no texts among them that could hold the word."""
    return _floats(values).replace("NaN", "null")
