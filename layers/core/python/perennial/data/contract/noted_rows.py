"""Bad rows, noted by the engine as it passes them: so one pass writes the good rows and tells of the others."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator

import duckdb

from perennial.sql import identifier

NOTE = identifier("\x01note")
"""SQL name of the function that notes a row and is false: ``NOTE(row from 1, 'ways|states')``.

``ways`` are places in the list of faults, ``states`` one of those below for each column that is asked about, each with
commas between.
"""
ABSENT, FITTING, UNFIT = 0, 1, 2
"""What a bad row holds in a column that is asked about: nothing, a value of its type, a text that is none."""


class NotedRows:
    """The bad rows of a stretch, in its order, in a few bytes each, as all of its rows may be bad."""

    def __init__(self) -> None:
        self.rows = array("q")
        """Rows of the stretch, from 0."""
        self._found = array("q")
        self._texts: dict[str, int] = {}

    def note(self, row: int, found: str) -> bool:
        """Note a row (from 1); what is the same for many rows is kept once."""
        self.rows.append(row - 1)
        self._found.append(self._texts.setdefault(found, len(self._texts)))
        return False

    def clear(self) -> None:
        """Forget all rows: the stretch is read again."""
        del self.rows[:], self._found[:]
        self._texts.clear()

    def __iter__(self) -> Iterator[tuple[int, list[int]]]:
        """Give each row with the places of the faults that it has."""
        ways = [_numbers(text.partition("|")[0]) for text in self._texts]
        return ((row, ways[found]) for row, found in zip(self.rows, self._found, strict=True))

    def ways(self) -> set[int]:
        """Return the places of all faults that a row has."""
        return {way for text in self._texts for way in _numbers(text.partition("|")[0])}

    def states(self, index: int) -> Counter[int]:
        """Count the states of one of the columns that are asked about."""
        of_text = [_numbers(text.partition("|")[2])[index] for text in self._texts]
        counts = Counter[int]()
        for found, rows in Counter(self._found).items():
            counts[of_text[found]] += rows
        return counts


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]


def note_rows(connection: duckdb.DuckDBPyConnection) -> NotedRows:
    """Give a connection's SQL the function `NOTE`, and return where it notes rows."""
    noted = NotedRows()
    connection.create_function(NOTE.strip('"'), noted.note, ["BIGINT", "VARCHAR"], "BOOLEAN", side_effects=True)
    return noted
