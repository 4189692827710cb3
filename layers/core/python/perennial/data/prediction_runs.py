"""Which lines of the prediction log are in a part, in few words: how the loss of lines is told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from perennial.data.prediction_parts import opened


class LineRun(NamedTuple):
    """Lines of one process with successive numbers."""

    process: str
    first: int
    last: int
    at: datetime
    """Time of the first line, in UTC, without a zone."""
    unwritten_before: int
    """Rows that the process had failed to write before the first line."""
    unwritten: int
    """The same before the last line."""


_QUERY = """
WITH lines AS (
    SELECT process, sequence, min(answered_at) AS answered_at, max(unwritten) AS unwritten
    FROM {source} GROUP BY process, sequence
), numbered AS (
    SELECT *, sequence - row_number() OVER (PARTITION BY process ORDER BY sequence) AS run FROM lines
)
SELECT process, min(sequence), max(sequence), min(answered_at), min(unwritten), max(unwritten)
FROM numbered GROUP BY process, run ORDER BY ALL
"""


def read_runs(parts: Sequence[bytes]) -> list[list[LineRun]]:
    """Return, for each part, the runs of lines that it holds."""
    with opened(parts) as (connection, sources):
        return [
            [LineRun(*row) for row in connection.execute(_QUERY.format(source=source)).fetchall()] for source in sources
        ]
