"""What is wrong with a definition, said in one sentence: file, key and mend."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_LONGEST = 60
_NAMED_BY_FILE = ("Dataset", "FeatureView", "Model")
_EXPECTED = {
    "string_type": "should be text in quotes",
    "bool_type": "should be true or false",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "finite_number": "should be a finite number",
    "tuple_type": "should be a list in [ ]",
    "dict_type": "should be a table of keys and values",
    "model_type": "should be a table of keys and values",
    "model_attributes_type": "should be a table of keys and values",
    "string_pattern_mismatch": "should be lower-case letters, digits and _, beginning with a letter",
}
# A scalar's fault names the branch of ``bool | int | float | str`` that failed, which is no key of the file.
_BRANCHES = ("bool", "int", "float", "str")
_SCALARS = ("allowed", "choices", "parameters")


def first_fault(error: ValidationError, kind: type[BaseModel], place: str) -> str:
    """Say the fault to mend first: an unknown key (a misspelt one makes another go missing), else the first.

    Parameters
    ----------
    error : ValidationError
        What pydantic found.
    kind : type of BaseModel
        The definition that was read.
    place : str
        The file, below the folder of the definitions.
    """
    faults = error.errors()
    fault = next((one for one in faults if one["type"] == "extra_forbidden"), faults[0])
    path = [part for part in fault["loc"] if part != "[key]"]
    scalar = len(path) > 3 and path[-1] in _BRANCHES and path[-3] in _SCALARS
    path = path[:-1] if scalar else path
    header = kind.__name__ == "FeatureView"
    where = f"{place}: {_key(path)}: " if path else f"{place}: "
    if fault["type"] == "extra_forbidden":
        return f"{where}is not a key that perennial knows{_known_keys(kind, path)}"
    if fault["type"] == "missing":
        return f"{where}is missing; add {f'the line `-- {path[-1]}: …` above the SELECT' if header else 'it'}"
    if scalar:
        return f"{where}should be a number, text or true or false, not {shown(fault['input'])}"
    return where + _sentence(fault, kind, path)


def _key(path: Collection[int | str]) -> str:
    """Return a path as a reader of TOML says it: ``candidates[0].name``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _sentence(fault: ErrorDetails, kind: type[BaseModel], path: list[int | str]) -> str:
    got = shown(fault["input"])
    if fault["type"] == "tuple_type" and isinstance(fault["input"], Mapping) and kind.__name__ != "FeatureView":
        return f"should be a list of tables, each under [[{_key(path)}]] in double brackets"
    if path[-1:] == ["estimator"] and fault["type"] == "string_pattern_mismatch":
        return f"should be like 'estimators.fares:FareModel', a module, a colon and a class, not {got}"
    if fault["type"] in _EXPECTED:
        return f"{_EXPECTED[fault['type']]}, not {got}"
    if fault["type"] in ("too_short", "string_too_short"):
        return "should not be empty"
    message = fault["msg"].removeprefix("Value error, ")
    message = re.sub(r"^Input should be", "should be", message)
    return message if fault["type"] == "value_error" else f"{message[0].lower()}{message[1:]}, not {got}"


def shown(value: object) -> str:
    """Return a value as a message shows it: on one line, and not at length."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _known_keys(kind: type[BaseModel], path: list[int | str]) -> str:
    keys = _keys_at(kind, path[:-1])
    if not keys:
        return ""
    close = get_close_matches(str(path[-1]), keys, n=1)
    return f"; did you mean {close[0]}?" if close else f"; the keys here are {', '.join(keys)}"


def _keys_at(kind: type[BaseModel], path: list[int | str]) -> list[str]:
    """Return the known keys of the table at ``path`` below ``kind``."""
    for part in path:
        if not isinstance(part, int) and part in kind.model_fields:
            models = _models_in(kind.model_fields[part].annotation)
            kind = models[0] if models else kind
    own = kind.__name__ in _NAMED_BY_FILE
    return [name for name in kind.model_fields if not (own and name in ("name", "sql"))]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is Literal:
        return []
    return [model for argument in get_args(annotation) for model in _models_in(argument)]
