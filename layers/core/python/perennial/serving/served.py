"""What serving reads of the registry and of a version's manifest: plain values, checked as far as they are used.

`perennial.records` and `perennial.manifest` describe the same JSON to everybody else. They are pydantic models, whose
import alone takes longer than all else that a first answer needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perennial.errors import DataError
from perennial.serving.integrity import require_sha256

TASKS = ("regression", "binary", "multiclass")


@dataclass(frozen=True)
class Registered:
    """Where a version's manifest is, and what it was when it was registered."""

    version: int
    manifest_key: str
    manifest_sha256: str


@dataclass(frozen=True)
class Named:
    """What an alias stands for."""

    version: int


@dataclass(frozen=True)
class Challenger(Registered):
    """A version on its way to serve."""

    weight: float
    """Share of the callers that it answers."""
    shadow: bool
    """Whether it scores what the champion answers, for the log alone."""


@dataclass(frozen=True)
class Pointer(Registered):
    """The version that serves, and the one that is on its way to."""

    previous: int | None
    challenger: Challenger | None


@dataclass(frozen=True)
class InputColumn:
    """A column of a request (see `perennial.definitions.Column`)."""

    type: str
    nullable: bool = False
    min: float | str | None = None
    max: float | str | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    allowed: tuple[bool | int | float | str, ...] | None = None
    open: bool = False
    precision: int | None = None
    scale: int | None = None
    format: str | None = None
    zone: str | None = None
    ambiguous: str = "reject"


@dataclass(frozen=True)
class ServedRequestView:
    """The request view of a version (see `perennial.manifest.RequestView`)."""

    name: str
    table: str
    sql: str
    columns: tuple[str, ...]
    reads: tuple[str, ...] | None
    """Columns of a request that the SQL reads; None if the version was registered before that was kept."""
    program: Mapping[str, Any] | None = field(repr=False)
    """What serves in place of the SQL; None leaves it to the engine."""


@dataclass(frozen=True)
class ServedStoredView:
    """A stored view of a version (see `perennial.manifest.StoredView`)."""

    name: str
    version: str
    entity: tuple[str, ...]
    columns: tuple[str, ...]
    ttl_seconds: float | None


@dataclass(frozen=True)
class Served:
    """A version's manifest, as far as serving needs it (see `perennial.manifest.Manifest`)."""

    model: str
    version: int
    task: str
    features: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    classes: tuple[str, ...]
    request: ServedRequestView | None
    stored: tuple[ServedStoredView, ...]
    inputs: Mapping[str, InputColumn]
    ignored: tuple[str, ...]
    event_time: str | None
    onnx_input: str
    onnx_output: str
    files: Mapping[str, str]
    required: frozenset[str]
    """Features without whose value a row is refused."""
    content: Mapping[str, Any] = field(repr=False)
    """The whole manifest as JSON has it: what a scorer or a program needs of it is theirs to read."""


def read_pointer(text: str) -> Pointer:
    """Read the champion pointer's JSON, or raise DataError."""
    content = _object(text, "champion pointer")
    what = "champion pointer"
    with_challenger = content.get("challenger")
    challenger = None
    if with_challenger is not None:
        found = _mapping(with_challenger, f"{what}: challenger")
        weight = _get(found, "weight", float | int, f"{what}: challenger")
        shadow = bool(_get(found, "shadow", bool, f"{what}: challenger", False))
        if not 0 <= weight <= 1:
            raise DataError(f"{what}: challenger.weight: is {weight}, not between 0 and 1; deploy the version again")
        challenger = Challenger(*_registered(found, f"{what}: challenger"), float(weight), shadow)
    previous = content.get("previous")
    if previous is not None and type(previous) is not int:
        raise DataError(f"{what}: previous: is not a version; promote a version again")
    return Pointer(*_registered(content, what), previous, challenger)


def read_registered(text: str) -> Registered:
    """Read where a version's manifest is from the version's JSON, or raise DataError."""
    return Registered(*_registered(_object(text, "registered version"), "registered version"))


def read_alias(text: str) -> Named:
    """Read an alias's JSON, or raise DataError."""
    return Named(_get(_object(text, "alias"), "version", int, "alias"))


def read_served(content: bytes, sha256: str) -> Served:
    """Return a manifest, or raise DataError if it is not the registered one or not a manifest."""
    require_sha256("manifest.json", content, sha256)
    return served_of(_object(content, "manifest.json"))


def served_of(content: Mapping[str, Any]) -> Served:
    """Return what serving needs of a manifest's JSON; DataError, with the key, if it is not a manifest."""
    what = "manifest.json"
    task = _get(content, "task", str, what)
    if task not in TASKS:
        raise DataError(f"{what}: task: is {task!r}, not {', '.join(TASKS)}; register the version again")
    request = content.get("request")
    return Served(
        model=_get(content, "model", str, what),
        version=_get(content, "version", int, what),
        task=task,
        features=_texts(content, "features", what),
        categories={
            name: _tuple(values, str, f"{what}: categories.{name}")
            for name, values in _mapping(content.get("categories", {}), f"{what}: categories").items()
        },
        classes=_texts(content, "classes", what, ()),
        request=None if request is None else _request_view(_mapping(request, f"{what}: request")),
        stored=tuple(_stored_view(view) for view in _get(content, "stored", list, what)),
        inputs={
            name: _column(name, column) for name, column in _mapping(content.get("inputs"), f"{what}: inputs").items()
        },
        ignored=_texts(content, "ignored", what, ()),
        event_time=_optional(content, "event_time", str, what),
        onnx_input=_get(content, "onnx_input", str, what),
        onnx_output=_get(content, "onnx_output", str, what),
        files={
            name: _text(sha256, f"{what}: files.{name}")
            for name, sha256 in _mapping(content.get("files"), f"{what}: files").items()
        },
        required=frozenset(_texts(content, "required", what, ())),
        content=content,
    )


def _request_view(content: Mapping[str, Any]) -> ServedRequestView:
    what = "manifest.json: request"
    return ServedRequestView(
        name=_get(content, "name", str, what),
        table=_get(content, "table", str, what),
        sql=_get(content, "sql", str, what),
        columns=_texts(content, "columns", what),
        reads=None if content.get("reads") is None else _texts(content, "reads", what),
        program=_optional(content, "program", dict, what),
    )


def _stored_view(view: object) -> ServedStoredView:
    what = "manifest.json: stored"
    content = _mapping(view, what)
    ttl = _optional(content, "ttl_seconds", float | int, what)
    return ServedStoredView(
        name=_get(content, "name", str, what),
        version=_get(content, "version", str, what),
        entity=_texts(content, "entity", what),
        columns=_texts(content, "columns", what),
        ttl_seconds=None if ttl is None else float(ttl),
    )


_RULES: dict[str, Any] = {
    "type": str,
    "nullable": bool,
    "min": float | int | str,
    "max": float | int | str,
    "min_length": int,
    "max_length": int,
    "pattern": str,
    "open": bool,
    "precision": int,
    "scale": int,
    "format": str,
    "zone": str,
    "ambiguous": str,
}
"""Key of a column to the type of its value; ``allowed`` is a list, what else there is (``max_null``) is about files."""


def _column(name: str, column: object) -> InputColumn:
    what = f"manifest.json: inputs.{name}"
    content = _mapping(column, what)
    rules: dict[str, Any] = {
        key: _get(content, key, kind, what) for key, kind in _RULES.items() if content.get(key) is not None
    }
    for bound in ("min", "max"):  # as pydantic reads a bound that is written as a whole number
        if isinstance(rules.get(bound), int):
            rules[bound] = float(rules[bound])
    if content.get("allowed") is not None:
        rules["allowed"] = _tuple(content["allowed"], bool | int | float | str, f"{what}.allowed")
    if rules.get("type") not in _TYPES:
        raise DataError(f"{what}.type: is {rules.get('type')!r}, which is no type of a column; register it again")
    return InputColumn(**rules)


_TYPES = frozenset(
    {"integer", "double", "decimal", "string", "categorical", "boolean", "timestamp", "timestamptz", "date"}
)


def _registered(content: Mapping[str, Any], what: str) -> tuple[int, str, str]:
    return (
        _get(content, "version", int, what),
        _get(content, "manifest_key", str, what),
        _get(content, "manifest_sha256", str, what),
    )


def _object(text: str | bytes, what: str) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(text), what)
    except ValueError:
        raise DataError(f"{what}: is not JSON; register the version again") from None


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{what}: is not an object; register the version again")
    return value


_ABSENT: Any = object()


def _get(content: Mapping[str, Any], key: str, kind: Any, what: str, default: Any = _ABSENT) -> Any:
    """Return a value of a type (a bool is no number here), or raise DataError."""
    value = content.get(key, default)
    if value is _ABSENT:
        raise DataError(f"{what}: {key}: is missing; register the version again")
    if not isinstance(value, kind) or (type(value) is bool and kind in _NUMBERS):
        raise DataError(f"{what}: {key}: is a {type(value).__name__}; register the version again")
    return value


_NUMBERS = (int, float | int)


def _optional(content: Mapping[str, Any], key: str, kind: Any, what: str) -> Any:
    return None if content.get(key) is None else _get(content, key, kind, what)


def _texts(content: Mapping[str, Any], key: str, what: str, default: Any = _ABSENT) -> tuple[str, ...]:
    return _tuple(_get(content, key, list | tuple, what, default), str, f"{what}: {key}")


def _tuple(values: Any, kind: Any, what: str) -> tuple[Any, ...]:
    if not isinstance(values, list | tuple) or not all(isinstance(value, kind) for value in values):
        raise DataError(f"{what}: is not a list of what it should hold; register the version again")
    return tuple(values)


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{what}: is not a text; register the version again")
    return value
