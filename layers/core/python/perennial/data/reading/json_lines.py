r"""Reading one line of JSON Lines by RFC 8259 and not a bit more leniently.

DuckDB's own reader takes ``NaN`` and a comma too many, keeps the first of two equal keys and prints numbers anew,
so that a decimal's digits may change. So lines are parsed here, and numbers stay the text that they were.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from perennial.data.reading.sources import MAX_RAW, MAX_RECORD, BadRecord, listed
from perennial.definitions import Dataset
from perennial.errors import DataError

MAX_ADDED = 1000
"""Keys unknown to the contract beyond which they are taken for values, and the file is refused."""

_MAX_LAYOUTS = 1000
_WRONG = "\x02"
"""Makes a value of the wrong JSON type a text that is of no type for the engine either."""


class Number(str):
    """A number as it is written."""

    __slots__ = ()


_TAKEN: dict[str, set[type]] = {
    "integer": {Number},
    "double": {Number},
    "decimal": {Number, str},  # as text is how many programs keep a decimal's digits
    "boolean": {bool},
}
_TEXT: set[type] = {str}
_KINDS = {
    Number: "a number",
    str: "a text",
    bool: "true or false",
    list: "an array",
    tuple: "an object",
}


@dataclass(frozen=True)
class _Layout:
    """Where the contract's columns stand in objects with given keys."""

    places: tuple[int | None, ...]
    twice: str | None
    """A key that stands more than once."""
    kinds: set[tuple[type, ...]]
    """Types of values that were found to be right already."""


class LineReader:
    """What turns a file's lines into the texts of the contract's columns.

    Parameters
    ----------
    dataset : Dataset
        The contract.
    name : str
        What messages call the file.
    """

    def __init__(self, dataset: Dataset, name: str) -> None:
        self.seen: set[str] = set()
        """Keys of all lines so far."""
        self.added: dict[str, None] = {}
        """Those that the contract does not know, in the order in which they came."""
        self.objects = 0
        """How many lines were objects."""
        self._dataset = dataset
        self._name = name
        self._names = list(dataset.columns)
        self._taken = [_TAKEN.get(column.type, _TEXT) for column in dataset.columns.values()]
        self._textual = [column.type in ("string", "categorical") for column in dataset.columns.values()]
        self._layouts: dict[tuple[str, ...], _Layout] = {}
        self._parse: Callable[[str], object] = json.JSONDecoder(
            object_pairs_hook=tuple, parse_float=Number, parse_int=Number, parse_constant=_no_number
        ).decode

    def read(self, text: bytes, line: int) -> Sequence[object] | BadRecord:
        """Return one text (or true, false, None) per column of the contract, or what is wrong with the line.

        A value of the wrong JSON type becomes a text that the engine takes for a value of no type, except in a column
        of texts, where the engine would take any: there the line is bad at once.

        Raises
        ------
        DataError
            The contract refuses columns that it does not know, or there are too many of them.
        """
        try:
            values, layout = self._object(text, line)
        except _FaultyLineError as fault:
            return BadRecord(line, None, None, fault.rule, str(fault), shown(text))
        self.objects += 1
        row = [None if place is None else values[place] for place in layout.places]
        kinds = tuple(map(type, row))
        if kinds in layout.kinds:
            return row
        wrong = [
            position
            for position, value in enumerate(row)
            if value is not None and type(value) not in self._taken[position]
        ]
        for position in wrong:
            if self._textual[position]:
                return self._wrong_kind(position, row[position], text, line)
            row[position] = f"{_WRONG}{_written(row[position])[:100]}"
        if not wrong and len(layout.kinds) < _MAX_LAYOUTS:
            layout.kinds.add(kinds)
        return row

    def written(self, text: bytes, column: int) -> str | None:
        """Return a column's value in a line that is an object, as it is written there."""
        values, layout = self._object(text, 0)
        place = layout.places[column]
        value = None if place is None else values[place]
        if value is None or type(value) in self._taken[column]:
            return None if value is None else _plain(value)
        return _written(value)

    def _object(self, text: bytes, line: int) -> tuple[Sequence[object], _Layout]:
        if len(text) > MAX_RECORD:
            raise _FaultyLineError("too_long", f"the row is longer than {MAX_RECORD >> 20} MiB")
        if not text.strip():
            raise _FaultyLineError("json", "the line is empty; write one JSON object a line")
        try:
            pairs = self._parse(text.decode("utf-8"))
        except UnicodeDecodeError:
            encoding = self._dataset.encoding
            raise _FaultyLineError("not_utf8", f"the row is not {encoding} text; save the file as {encoding}") from None
        except RecursionError:
            raise _FaultyLineError("json", "the line holds arrays or objects within one another too deeply") from None
        except json.JSONDecodeError as error:
            where = f"{error.msg} at character {error.pos + 1}"
            raise _FaultyLineError("json", f"the line is not JSON: {where}") from None
        except _NoNumberError as error:
            raise _FaultyLineError(
                "json", f"the line is not JSON: {error} is no number; write null or a number"
            ) from None
        if type(pairs) is not tuple:
            raise _FaultyLineError("json", f"the line is {_KINDS.get(type(pairs), 'null')}, not an object")
        keys, values = zip(*pairs, strict=True) if pairs else ((), ())
        if b"\\u" in text:
            _check_characters(keys, values)
        layout = self._layouts.get(keys) or self._new_layout(keys, line)
        if layout.twice is not None:
            raise _FaultyLineError(
                "duplicate_key", f"{listed([layout.twice], 'key')} stands more than once in the line"
            )
        return values, layout

    def _new_layout(self, keys: tuple[str, ...], line: int) -> _Layout:
        if len(self._layouts) >= _MAX_LAYOUTS:
            self._layouts.clear()
        twice = next((key for key in keys if keys.count(key) > 1), None) if len(set(keys)) < len(keys) else None
        if twice is None:
            self.seen.update(keys)
            self._note_added([key for key in keys if key not in self._dataset.columns], line)
        places = tuple(keys.index(name) if name in keys else None for name in self._names)
        layout = self._layouts[keys] = _Layout(places, twice, set())
        return layout

    def _note_added(self, unknown: Sequence[str], line: int) -> None:
        if unknown and self._dataset.extra_columns == "refuse":
            what = listed(unknown, "key")
            raise DataError(
                f"{self._name}: line {line} has {what}, which the contract does not know, so the file is refused as a "
                f"whole; take it out or add it to datasets/{self._dataset.name}.toml"
            )
        self.added.update(dict.fromkeys(unknown))
        if len(self.added) > MAX_ADDED:
            raise DataError(
                f"{self._name}: has more than {MAX_ADDED} keys that the contract does not know; "
                "a key is a column's name, so write what differs from line to line as a value"
            )

    def _wrong_kind(self, position: int, value: object, text: bytes, line: int) -> BadRecord:
        name = self._names[position]
        written = _written(value)
        reason = f"{name} {written[:100]} is {_KINDS[type(value)]}, not a text; write it in quotes"
        return BadRecord(line, name, written, "type", reason, shown(text), (f"{name}: type",))


class _FaultyLineError(Exception):
    """A line is no row; its text says why."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule


class _NoNumberError(Exception):
    """NaN or an infinity stands where JSON has a number."""


def _check_characters(keys: Sequence[str], values: Sequence[object]) -> None:
    """Refuse escaped characters that no text can hold."""
    for text in (*keys, *(value for value in values if isinstance(value, str))):
        if "\0" in text:
            raise _FaultyLineError("nul_byte", "the row holds a NUL character")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise _FaultyLineError("json", r"the line holds half a character, a lone \ud800 to \udfff") from None


def _no_number(constant: str) -> NoReturn:
    raise _NoNumberError(constant)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _written(value: object) -> str:
    """Return a value as JSON, at most ``MAX_RAW`` characters of it."""
    if type(value) is Number or isinstance(value, bool):
        return _plain(value)
    if isinstance(value, tuple):
        return "{…}"
    return "[…]" if isinstance(value, list) else json.dumps(value, ensure_ascii=False)[:MAX_RAW]


def shown(text: bytes) -> str:
    r"""Return a line as text for people: at most ``MAX_RAW`` characters, invalid UTF-8 as ``\xNN``."""
    return text[: 4 * MAX_RAW].decode("utf-8", "backslashreplace")[:MAX_RAW]
