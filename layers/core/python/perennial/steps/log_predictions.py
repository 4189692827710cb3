"""Put predictions into their log: lines that CloudWatch Logs delivered become parts of Parquet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import date

from pydantic import BaseModel

from perennial import keys
from perennial.data.prediction_parts import PartRow, part_of
from perennial.errors import DataError, NotFoundError
from perennial.ports import Ports
from perennial.serving.ids import moment_of
from perennial.serving.log_reading import LogLine, is_line, read_line

SHOWN = 5
"""Faults that the result tells."""


class Request(BaseModel):
    """What was delivered."""

    lines: list[str]
    """As `perennial.serving.log_lines` writes them; other output among them is passed over."""


class Logged(BaseModel):
    """What became of it."""

    rows: int
    """Predictions that are in the log now; those of a repeated delivery count again."""
    parts: list[str]
    """Keys of the parts that hold them."""
    unreadable: int
    """Lines that were cut or fit no version; their rows are lost, and the monitor counts them as such."""
    faults: list[str]
    """What was wrong with the first of these."""


Window = tuple[str, int, date, str]
"""Model, version, day, and the beginning of the request ids."""


def run(request: Request, ports: Ports) -> Logged:
    """Write lines as parts, by version and half a minute; the same delivery again writes the same objects.

    Raises
    ------
    TransientError
        A service was busy; the delivery is repeated.
    """
    windows: dict[Window, list[LogLine]] = {}
    faults: list[str] = []
    for text in filter(is_line, request.lines):
        try:
            line = read_line(text)
        except DataError as error:
            faults.append(str(error))
            continue
        at = moment_of(line.request_id)
        windows.setdefault((line.model, line.version, at.date(), line.request_id[:7]), []).append(line)
    parts: dict[str, int] = {}
    for (model, version, _, _), lines in windows.items():
        features = _features(ports, model, version)
        fitting = [line for line in lines if _fits(line, features)]
        faults += [f"version {version} of {model} has no such features"] * (len(lines) - len(fitting))
        if fitting:
            parts |= _write(ports, fitting, features)
    return Logged(rows=sum(parts.values()), parts=sorted(parts), unreadable=len(faults), faults=faults[:SHOWN])


def _features(ports: Ports, model: str, version: int) -> tuple[str, ...]:
    """Return the names of a version's features, which the lines leave out; none of an unknown version."""
    try:
        manifest = json.loads(ports.artifacts.get(keys.artifact(model, version, "manifest.json")))
    except NotFoundError:
        return ()
    return tuple(manifest["features"])


def _fits(line: LogLine, features: Sequence[str]) -> bool:
    return bool(features) and all(len(row) == len(features) for row in line.features)


def _write(ports: Ports, lines: Sequence[LogLine], features: Sequence[str]) -> dict[str, int]:
    """Write lines of one window as a part; return its key with how many rows it has."""
    content, rows = part_of([row for line in lines for row in _rows(line)], features)
    first = lines[0]
    address = hashlib.sha256(content).hexdigest()
    at = moment_of(first.request_id)
    key = keys.prediction_part(first.model, first.version, first.request_id, at, rows, address)
    ports.artifacts.put_new(key, content)  # what a repeated delivery finds there is the same
    return {key: rows}


def _rows(line: LogLine) -> Iterator[PartRow]:
    for number in range(line.rows):
        inputs = {name: values[number] for name, values in line.inputs.items()}
        yield PartRow(
            request_id=line.request_id,
            row=line.row + number,
            rows=line.of,
            answered_at=line.at,
            route=line.route,
            milliseconds=line.milliseconds,
            error=line.error,
            inputs=json.dumps(inputs, separators=(",", ":")),
            prediction=line.values[number] if line.values else None,
            probabilities=line.probabilities[number] if line.probabilities else None,
            process=line.process,
            sequence=line.sequence,
            unwritten=line.unwritten,
            features=line.features[number] if line.features else (),
        )
