"""The program of a model's request view: compiled, and held against the SQL on rows that nothing was learnt from."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from perennial.data.counted_rows import counted_rows, faults_of
from perennial.data.engine import DEFAULTS, Resources, connect
from perennial.data.views.columns_read import columns_read
from perennial.data.views.compiled import compile_request_view
from perennial.data.views.request_sql import passing_through
from perennial.definitions import Dataset, FeatureView, Model
from perennial.definitions.files import Definitions
from perennial.errors import RequestError
from perennial.manifest import feature_column
from perennial.records import CompiledView
from perennial.serving.program import Program
from perennial.sql import category, identifier

SAMPLE = 100_000
"""Most held-out rows that a program is tried on."""
_CHUNK = 10_000
# No dataset can have a column of this name, as it is not printable.
_INPUT = "\x01input "


def compiled_request_view(
    model: Model,
    definitions: Definitions,
    parts: Sequence[Path],
    since: datetime,
    categorical: Collection[str],
    folder: Path,
    *,
    resources: Resources = DEFAULTS,
) -> CompiledView | None:
    """Compile a model's request view, and make sure that its program gives what the SQL gives.

    Parameters
    ----------
    model : Model
        Its features say which columns are wanted, its filter which rows count.
    definitions : Definitions
        Where its dataset and views stand.
    parts : sequence of Path
        Parquet of the dataset's rows.
    since : datetime
        Event time from which rows are held out: they are what the program is tried on, all of them or the `SAMPLE`
        whose hashes come first.
    categorical : collection of str
        The categorical feature columns.
    folder : Path
        Where DuckDB may spill.
    resources : Resources
        What DuckDB may use.

    Returns
    -------
    CompiledView or None
        Without a program, and with the reason, if the view is not compiled or a value differs; None if the model has
        no request view.
    """
    compiled = compile_request_view(model, definitions, categorical)
    if compiled is None:
        return None
    if compiled.program is None:
        return CompiledView(reason=compiled.reason)
    view = next(each for each in map(definitions.view, model.features) if each.kind == "request")
    dataset = definitions.dataset(model.dataset)
    inputs = columns_read(view, dataset.columns)
    wanted = {column: feature_column(view.name, column) in categorical for column in model.features[view.name]}
    with connect(folder, resources, parts) as connection, faults_of(f"features/{view.name}.sql"):
        rows = counted_rows(connection, model, dataset, parts, since)
        trial = _Trial(connection, view, dataset, inputs, wanted)
        difference, count = trial.run(rows, Program.read(compiled.program))
    if difference:
        return CompiledView(reason=difference, rows=count)
    return CompiledView(program=compiled.program, rows=count)


@dataclass(frozen=True)
class _Trial:
    """Runs a program and the SQL over the same rows."""

    connection: duckdb.DuckDBPyConnection
    view: FeatureView
    dataset: Dataset
    inputs: Sequence[str]
    wanted: Mapping[str, bool]
    """Column to whether it is categorical."""

    def run(self, rows: str, program: Program) -> tuple[str, int]:
        """Return what differs first, or an empty text; and how many rows were alike."""
        found = self.connection.execute(self._sql(rows))
        count = 0
        while chunk := found.fetchmany(_CHUNK):
            for values in chunk:
                row = dict(zip(self.inputs, values, strict=False))
                difference = self._difference(program, row, values[len(row) :])
                if difference:
                    return difference, count
                count += 1
        return "", count

    def _sql(self, rows: str) -> str:
        """Return the SELECT of the inputs of the sampled rows, and of what the view makes of them."""
        names = [identifier(name) for name in self.inputs]
        passed = [identifier(_INPUT + name) for name in self.inputs]
        sample = f"SELECT {', '.join(names)} FROM ({rows}) ORDER BY hash({', '.join(names)}) LIMIT {SAMPLE}"
        renamed = ", ".join(f"{name} AS {given}" for name, given in zip(names, passed, strict=True))
        made = [
            category(identifier(name)) if categorical else f"CAST({identifier(name)} AS DOUBLE)"
            for name, categorical in self.wanted.items()
        ]
        select = passing_through(self.view, tuple(_INPUT + name for name in self.inputs))
        return (
            f"WITH {identifier(self.dataset.name)} AS MATERIALIZED (SELECT *, {renamed} FROM ({sample})) "
            f"SELECT {', '.join((*passed, *made))} FROM ({select})"
        )

    def _difference(self, program: Program, row: Mapping[str, Any], expected: Sequence[Any]) -> str:
        try:
            found = program.run(row)
        except RequestError as error:
            return f"the program refuses a row that the SQL takes: {error}"
        for name, value, wanted in zip(self.wanted, found, expected, strict=True):
            if not _same(value, wanted):
                return f"{name} is {value!r} by the program and {wanted!r} by the SQL"
        return ""


def _same(value: float | str | None, wanted: float | str | None) -> bool:
    """Compare bit for bit, but for the sign of zero, which features lose: NaN and null are both a missing value."""
    return value == wanted or (_missing(value) and _missing(wanted))


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
