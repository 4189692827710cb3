"""A compiled request view: what its SQL makes of a row, computed without an engine and with the standard library alone.

`perennial.data.views.compiled` makes programs, when a version is made; a version carries one only if it gave the very
values of the SQL on held-out rows. A program is JSON::

    {"format": 1, "view": "trip", "columns": [["hour", "number", expression], …]}

An expression is ``[operation, parameters, *expressions]``. Reading one makes a closure of each operation and checks
that every operation gets what it takes, so that a program which can be read cannot fail but by the values of a row.
Nulls are None. Inside of a program whole numbers, decimals (by their digits), dates (days since 1970) and timestamps
(microseconds since 1970) are ints, and intervals are (months, days, microseconds) as in DuckDB.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from perennial.errors import DataError, RequestError
from perennial.serving import program_moments, program_numbers, program_texts
from perennial.serving.program_parts import Made, Reader, RefusedError, column, constant
from perennial.serving.program_shapes import SHAPES

if TYPE_CHECKING:
    from perennial.serving.values import Value

FORMAT = 1
MAX_DEPTH = 100
"""Deepest nesting of expressions; a program is read by recursion."""
_FUNCTIONS = {**program_numbers.FUNCTIONS, **program_moments.FUNCTIONS, **program_texts.FUNCTIONS}
_MAKERS = {**program_numbers.MAKERS, **program_moments.MAKERS, **program_texts.MAKERS}


class Program:
    """The features of a request view, ready to be computed; made by :meth:`read`.

    Parameters
    ----------
    view : str
        Its name.
    names : sequence of str
        Its columns, in order.
    columns : sequence of callable
        For each, from a row to a float (NaN for null), or to a text or None if it is categorical.
    """

    def __init__(self, view: str, names: Sequence[str], columns: Sequence[Reader]) -> None:
        self.view = view
        self.names = tuple(names)
        self._columns = tuple(columns)

    @classmethod
    def read(cls, content: object) -> Program:
        """Read a program from JSON values.

        Raises
        ------
        DataError
            It is of another format, or holds what no program holds.
        """
        try:
            if not isinstance(content, dict) or content["format"] != FORMAT:
                raise DataError(f"program: is not of format {FORMAT}; train the model again with this release")
            made = [_column(*entry) for entry in content["columns"]]
            return cls(str(content["view"]), [name for name, _ in made], [reader for _, reader in made])
        except (KeyError, TypeError, ValueError, OverflowError, IndexError, AttributeError) as error:
            raise DataError(f"program: cannot be read ({error!r}); train the model again") from error

    def run(self, row: Mapping[str, Value]) -> list[float | str | None]:
        """Compute the columns of one row; as :meth:`run_rows`."""
        return self._run(row, 0)

    def run_rows(self, columns: Mapping[str, Sequence[Value]], count: int) -> list[list[float | str | None]]:
        """Compute the columns of some rows.

        Parameters
        ----------
        columns : mapping
            Of each input its values, as `perennial.serving.values.reader` gives them.
        count : int
            How many rows.

        Returns
        -------
        list of lists
            For each row one value a column: a float, NaN for null; of a categorical column a text, or None.

        Raises
        ------
        RequestError
            The SQL would fail on a row's values; it names the row as ``instances[i]``.
        """
        names, run = tuple(columns), self._run
        if not names:
            return [run({}, index) for index in range(count)]
        return [
            run(dict(zip(names, values, strict=True)), index)
            for index, values in enumerate(zip(*columns.values(), strict=True))
        ]

    def _run(self, row: Mapping[str, Value], index: int) -> list[float | str | None]:
        try:
            return [made(row) for made in self._columns]
        except RefusedError as error:
            place = f"instances[{index}]"
            raise RequestError(f"{place} cannot be used: features/{self.view}.sql: {error}", place) from error


def _column(name: str, wanted: str, expression: Any) -> tuple[str, Reader]:
    kind, read, _ = _expression(expression, 0)
    if (wanted, kind) not in (("number", "d"), ("text", "t"), ("number", "n"), ("text", "n")):
        raise DataError(f"program: column {name} is no {wanted}")
    return str(name), read if wanted == "text" else _number(read)


def _number(read: Reader) -> Reader:
    def number(row: Mapping[str, Any]) -> float:
        value = read(row)
        return math.nan if value is None else value

    return number


def _expression(node: Any, depth: int) -> Made:
    """Make the closure of an expression, from its leaves on."""
    if depth > MAX_DEPTH:
        raise DataError(f"program: is nested more than {MAX_DEPTH} deep")
    operation, parameters, *children = node
    if operation == "column":
        return column(*parameters)
    if operation == "value":
        return constant(*parameters)
    made = [_expression(child, depth + 1) for child in children]
    if operation in SHAPES:
        return Made(*SHAPES[operation](made, *parameters))
    if operation in _MAKERS:
        signature, function = _MAKERS[operation](*parameters)
    elif operation in _FUNCTIONS:
        signature, function = _FUNCTIONS[operation]
        if parameters:
            raise DataError(f"program: {operation} takes no parameter")
    else:
        raise DataError(f"program: there is no operation {operation!r}; update perennial, or train the model again")
    takes, _, kind = signature.partition(":")
    _require(operation, takes, made)
    return _applied(kind, function, made)


def _require(operation: str, takes: str, children: Sequence[Made]) -> None:
    found = "".join(child.kind for child in children)
    fits = len(found) == len(takes) and all(had in (wanted, "n") for had, wanted in zip(found, takes, strict=True))
    if not fits:
        raise DataError(f"program: {operation} takes {takes!r}, not {found!r}")


def _applied(kind: str, function: Any, children: Sequence[Made]) -> Made:
    """Apply a function that is null for a null; of constants alone at once, if it does not refuse them."""
    readers = [child.read for child in children]
    read = _strict(function, readers)
    if all(child.constant for child in children):
        try:
            value = read({})
        except RefusedError:  # as late as the row that asks for it, which may be none
            return Made(kind, read)
        return Made(kind, lambda _: value, constant=True)
    if len(children) == 2 and children[1].constant and (known := readers[1]({})) is not None:
        return Made(kind, _with_constant(function, readers[0], known))
    return Made(kind, read)


def _with_constant(function: Any, first: Reader, second: Any) -> Reader:
    def read(row: Mapping[str, Any]) -> Any:
        value = first(row)
        return None if value is None else function(value, second)

    return read


def _strict(function: Any, readers: Sequence[Reader]) -> Reader:
    if len(readers) == 1:
        (only,) = readers

        def read_one(row: Mapping[str, Any]) -> Any:
            value = only(row)
            return None if value is None else function(value)

        return read_one
    if len(readers) == 2:
        first, second = readers

        def read_two(row: Mapping[str, Any]) -> Any:
            left, right = first(row), second(row)
            return None if left is None or right is None else function(left, right)

        return read_two

    def read_all(row: Mapping[str, Any]) -> Any:
        values = [reader(row) for reader in readers]
        return None if None in values else function(*values)

    return read_all
