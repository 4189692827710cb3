"""Consecutive rows of a file, held against a contract, with the line on which each stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from perennial.data.contract.column_sql import Limits
from perennial.data.contract.judge import Judge
from perennial.data.contract.noted_rows import NotedRows, note_rows
from perennial.data.reading.sources import Prepare, Stretch
from perennial.definitions import Dataset

Lines = npt.NDArray[np.int64]


@dataclass(frozen=True)
class GoodRows:
    """What became of a stretch of a file."""

    part: Path | None
    """Parquet of the rows that keep the contract, in the file's order; None if there are none."""
    lines: Lines
    """Of each such row; of a Parquet file the row's number, from 1."""
    rejects: Path | None
    """JSON Lines of the other rows, as a quarantine has them; None if there are none."""
    rejected_by: Counter[str]
    """These rows by what they break first."""


class StretchReader:
    """Reads the stretches of one file; several threads may use it, each with its own connection.

    Parameters
    ----------
    dataset : Dataset
        The contract.
    name : str
        What messages call the file.
    """

    def __init__(self, dataset: Dataset, name: str) -> None:
        self._judge = Judge(dataset, name, Limits())

    def read(
        self, connection: duckdb.DuckDBPyConnection, noted: NotedRows, prepare: Prepare, number: int, folder: Path
    ) -> GoodRows:
        """Read one stretch; files that it leaves in the folder are named in the answer.

        Parameters
        ----------
        connection, noted
            A connection, and where it notes rows (`note_rows`).
        prepare : callable
            As the file's source gives it.
        number : int
            Tells the files of stretches apart.
        """
        prepared: list[Stretch] = []

        def keeping(connection: duckdb.DuckDBPyConnection) -> Stretch:
            prepared.append(prepare(connection))
            return prepared[0]

        verdict = self._judge.judge(connection, noted, keeping, number, folder)
        rows = np.delete(np.arange(prepared[0].rows), np.asarray(verdict.bad_rows, np.int64))
        return GoodRows(verdict.part, lines_of(prepared[0].line, rows), verdict.rejects, Counter(verdict.bad))


def lines_of(line: Callable[[int], int], rows: npt.NDArray[np.int64]) -> Lines:
    """Return the line of each row of a stretch.

    Lines grow from row to row, so where two rows lie as far apart as their lines do, all between them do: a stretch
    without line ends in its fields asks for two lines.

    Parameters
    ----------
    line : callable
        Row of the stretch, from 0, to its line.
    rows : int array
        Ascending.
    """
    lines = np.empty(len(rows), np.int64)
    waiting = [(0, len(rows) - 1)] if len(rows) else []
    while waiting:
        first, last = waiting.pop()
        begin, end = line(int(rows[first])), line(int(rows[last]))
        lines[first], lines[last] = begin, end
        if end - begin == rows[last] - rows[first]:
            lines[first : last + 1] = begin + (rows[first : last + 1] - rows[first])
        elif last - first > 1:
            middle = (first + last) // 2
            waiting += [(first, middle), (middle, last)]
    return lines


__all__ = ["GoodRows", "Lines", "StretchReader", "lines_of", "note_rows"]
