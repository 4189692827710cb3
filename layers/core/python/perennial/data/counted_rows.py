"""The rows of a dataset that count for a model: those that pass its filter, with their target and slices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb

from perennial.data.views.view_sql import dataset_rows, moment
from perennial.definitions import Dataset, Model
from perennial.errors import DefinitionError
from perennial.sql import identifier

# No dataset can have columns of these names, as they are not printable.
TARGET, SLICE = "\x01target", "\x01slice "


def counted_rows(
    connection: duckdb.DuckDBPyConnection,
    model: Model,
    dataset: Dataset,
    parts: Sequence[Path],
    since: datetime | None = None,
    before: datetime | None = None,
    slices: Sequence[str] = (),
) -> str:
    """Return the SELECT of a dataset's rows that pass a model's filter, with their target and slices."""
    time = identifier(dataset.event_time)
    conditions = [f"{time} {sign} {moment(at)}" for sign, at in ((">=", since), ("<", before)) if at is not None]
    conditions.append(f"({model.filter}\n)")
    texts = "".join(f", CAST(({model.slices[name]}\n) AS VARCHAR) AS {identifier(SLICE + name)}" for name in slices)
    return (
        f"SELECT *, {_target(model)} AS {identifier(TARGET)}{texts} "
        f"FROM ({dataset_rows(connection, dataset, parts)}) AS {identifier(dataset.name)} "
        f"WHERE {' AND '.join(conditions)}"
    )


def _target(model: Model) -> str:
    """Return the target: a class's text, or a number (0 or 1 of a condition), null unless finite."""
    if model.task == "multiclass":
        return f"CAST(({model.target}\n) AS VARCHAR)"
    target = f"CAST(({model.target}\n) AS DOUBLE)"
    return f"CASE WHEN isfinite({target}) THEN {target} END"


@contextmanager
def faults_of(place: str) -> Iterator[None]:
    """Say of SQL that fails on the rows whose definition it is."""
    try:
        yield
    except (duckdb.BinderException, duckdb.ConversionException, duckdb.OutOfRangeException) as error:
        raise DefinitionError(f"{place}: {str(error).splitlines()[0]}") from error
