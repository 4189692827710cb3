"""DuckDB for what a version was not compiled for: imported and opened when something first needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from perennial.serving.columns import Column

if TYPE_CHECKING:
    import duckdb

    from perennial.serving.payload import Columns


class View(Protocol):
    """A request view as a version holds it: its SQL, and the columns of it that the model reads."""

    @property
    def name(self) -> str: ...
    @property
    def table(self) -> str: ...
    @property
    def sql(self) -> str: ...
    @property
    def columns(self) -> tuple[str, ...]: ...


class ViewProgram(Protocol):
    """A request view that is ready to run."""

    def run_rows(self, columns: Columns, count: int) -> list[list[float]]:
        """Compute the view's columns for each of ``count`` rows; NaN stands for null, a place for a category."""


class Engine:
    """One DuckDB connection for all that a process serves; not for several threads."""

    def __init__(self) -> None:
        self._connection: duckdb.DuckDBPyConnection | None = None

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The connection, opened on first use."""
        if self._connection is None:
            from perennial.serving.request_view import connect

            self._connection = connect()
        return self._connection

    def program(self, view: View, inputs: Mapping[str, Column], categories: Mapping[str, Sequence[str]]) -> ViewProgram:
        """Return a request view that runs as the SQL it is."""
        from perennial.serving.request_view import RequestRunner

        return RequestRunner(view, inputs, self.connection, categories)

    def matches(self, pattern: str, texts: Sequence[str]) -> list[bool]:
        """Tell of each text whether the whole of it matches an RE2 pattern."""
        from perennial.serving.request_view import matches

        return matches(self.connection, pattern, texts)

    def category_texts(self, values: Sequence[object]) -> list[str | None]:
        """Return online values as the texts that training sets have of them (`perennial.sql.category`).

        A boolean and a whole number are as short to write here; the engine alone knows how it writes a double.
        """
        texts = [_written(value) for value in values]
        places = [place for place, value in enumerate(values) if isinstance(value, float)]
        if places:
            from perennial.serving.request_view import double_texts

            doubles: list[float] = [float(values[place]) for place in places]  # type: ignore[arg-type]
            for place, text in zip(places, double_texts(self.connection, doubles), strict=True):
                texts[place] = text
        return texts


def _written(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)
