"""Reading the rows that a person hands to ``predict`` and ``feedback``."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import re
import sys
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from infra.deployment import Deployment
from perennial.definitions import Column
from perennial.errors import DataError, NotFoundError
from perennial.manifest import Manifest
from perennial.serving.values import Number, reader

DELIMITERS = (",", ";", "\t", "|")
"""What may stand between two fields of a CSV; its header tells which does."""


def read_instances(deployment: Deployment, model: str, file: str, version: int | str | None) -> list[dict[str, Any]]:
    """Read rows to predict: JSON (``instances`` or a list), JSON Lines, or CSV typed by what the version needs."""
    if not file.removesuffix(".gz").endswith(".csv"):
        return read_json_rows(file, "instances")
    manifest = _manifest(deployment, model, version)
    return read_csv_rows(file, manifest.inputs, manifest.null)


def read_json_rows(file: str, key: str) -> list[dict[str, Any]]:
    """Read a list of objects: a JSON list, a JSON object that holds the list under ``key``, or JSON Lines.

    Raises
    ------
    DataError
        The file cannot be read, is no JSON or holds no such list; the message names it.
    """
    text = _text(file)
    try:
        if file.removesuffix(".gz").endswith(".jsonl"):
            content: Any = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            content = json.loads(text)
    except ValueError as error:
        raise DataError(f"{file}: is not JSON: {error}") from None
    rows = content.get(key) if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise DataError(f'{file}: holds no list of objects; write [{{…}}, …] or {{"{key}": [{{…}}, …]}}')
    return _some(rows, file)


def read_csv_rows(file: str, columns: Mapping[str, Column], null: Collection[str] = ("",)) -> list[dict[str, Any]]:
    """Read a CSV with a header: the columns that are asked for, as JSON values; other columns are left out.

    Texts mean what they mean in an upload of the dataset: ``00123`` and ``5.0`` are whole numbers, ``1_000`` is none,
    and those in ``null`` are absent values.

    Raises
    ------
    DataError
        The file cannot be read, lacks a column or holds no rows, or a value is not of its column's type.
    """
    text = _text(file).removeprefix("\ufeff")
    header = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=lambda one: len(columns.keys() & _fields(header, one)))
    missing = [n for n, c in columns.items() if not c.nullable and n not in _fields(header, delimiter)]
    if missing:
        raise DataError(f"{file}: lacks the column {missing[0]}; the model reads {', '.join(columns)}")
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    return _some([_typed(row, columns, null, f"{file}: line {rows.line_num}") for row in rows], file)


def _fields(header: str, delimiter: str) -> set[str]:
    return set(next(csv.reader([header.rstrip("\r")], delimiter=delimiter), []))


def _some(rows: list[dict[str, Any]], file: str) -> list[dict[str, Any]]:
    if not rows:
        raise DataError(f"{file}: holds no rows; give it at least one")
    return rows


def _text(file: str) -> str:
    path = Path(file)
    try:
        if file == "-":
            return sys.stdin.buffer.read().decode()
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return content.decode()
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (EOFError, zlib.error) as error:
        raise DataError(f"{file}: is broken gzip ({error}); compress it again") from None
    except UnicodeDecodeError:
        raise DataError(f"{file}: is not UTF-8 text; save it as UTF-8") from None


def _manifest(deployment: Deployment, model: str, version: int | str | None) -> Manifest:
    catalog = deployment.ports.catalog
    if isinstance(version, str):
        version = catalog.alias(model, version).version
    if version is not None:
        key = catalog.version(model, version).manifest_key
    elif (champion := catalog.champion(model)) is not None:
        key = champion.manifest_key
    else:
        raise NotFoundError(f"model {model!r} has no champion; see `perennial models`")
    return Manifest.model_validate_json(deployment.ports.artifacts.get(key))


def _typed(
    row: dict[str, str | None], columns: Mapping[str, Column], null: Collection[str], place: str
) -> dict[str, Any]:
    """Turn the texts of a CSV row into the JSON values that the columns ask for."""
    values: dict[str, Any] = {}
    for name, column in columns.items():
        text = row.get(name)
        if text is None or text in null:
            values[name] = None
            continue
        try:
            values[name] = text_value(column, text)
        except ValueError:
            raise DataError(f"{place}: {name}: {text!r} is no {column.type}", field=name) from None
    return values


def text_value(column: Column, text: str) -> Any:
    """Return a text of a CSV or of the command line as the JSON value that a column asks for; ValueError if none."""
    try:
        return _CONVERSIONS.get(column.type, str)(text)
    except KeyError:
        raise ValueError(text) from None


_NUMBER = re.compile(r"[+-]?(\d+[.]?\d*|[.]\d+)([eE][+-]?\d+)?", re.ASCII)
_BOOLEANS = dict.fromkeys(("true", "t", "yes", "y", "1"), True) | dict.fromkeys(("false", "f", "no", "n", "0"), False)
_INTEGER = Column(type="integer")


def _number(text: str) -> Number:
    if _NUMBER.fullmatch(text.strip()) is None:  # Python takes 1_000, and the digits of all scripts
        raise ValueError(text)
    number = Number(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _integer(text: str) -> Any:
    return reader(_INTEGER)(_number(text))


def _boolean(text: str) -> bool:
    """Read a boolean as the contract of a dataset does."""
    return _BOOLEANS[text.lower()]


_CONVERSIONS: dict[str, Any] = {"integer": _integer, "double": _number, "boolean": _boolean}
