"""A request view as the program that it was compiled to, with categories as their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perennial.errors import DataError
from perennial.serving.payload import Columns
from perennial.serving.program import Program

_NAN = float("nan")


class CompiledView:
    """Runs a program for the rows of a request.

    Parameters
    ----------
    content : mapping
        The program, as a manifest has it.
    columns : sequence of str
        The view's columns that the model reads, in order.
    categories : mapping
        Categorical columns of the view, with the values that were learnt.
    """

    def __init__(
        self, content: Mapping[str, Any], columns: Sequence[str], categories: Mapping[str, Sequence[str]]
    ) -> None:
        self._program = Program.read(content)
        if self._program.names != tuple(columns):
            raise DataError(
                f"manifest.json: request.program: computes {', '.join(self._program.names)}, "
                f"but the model reads {', '.join(columns)}; register the version again"
            )
        self._categorical = [
            (position, {category: float(place) for place, category in enumerate(categories[column])})
            for position, column in enumerate(columns)
            if column in categories
        ]

    def run_rows(self, columns: Columns, count: int) -> list[list[float]]:
        """Compute the view's columns for each of ``count`` rows; NaN stands for null, a place for a category.

        Raises
        ------
        RequestError
            The SQL would fail on a row's values; it names the row as ``instances[i]``.
        """
        rows: list[list[Any]] = self._program.run_rows(columns, count)
        for row in rows:
            for position, places in self._categorical:
                row[position] = places.get(row[position], _NAN)
        return rows
