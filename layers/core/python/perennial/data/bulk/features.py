"""The features of many rows at once: the SQL and the point-in-time join that also made the training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from perennial.data.engine import one
from perennial.data.point_in_time import StoredLookup, join_features
from perennial.data.training_set import double
from perennial.data.views.request_sql import passing_through
from perennial.data.views.view_sql import moment
from perennial.definitions import FeatureView
from perennial.errors import DataError, DefinitionError
from perennial.manifest import Manifest, RequestView, feature_column
from perennial.sql import category, identifier, literal

Matrix = npt.NDArray[np.float64]

# No dataset can have columns of these names, as they are not printable.
_ROW, _AT, _ENTITY = "\x01row", "\x01event_time", "\x01entity "


@dataclass(frozen=True)
class StoredTable:
    """A stored view's offline table."""

    view: FeatureView
    files: Sequence[Path]
    """Parquet of its parts, in any order."""


class FeatureQuery:
    """Computes the features of a version for the rows of Parquet files.

    A value that is missing, or is a category that was not learnt, is NaN; infinite values stay.

    Parameters
    ----------
    manifest : Manifest
        The version's.
    tables : mapping
        Stored view to its table, of each that the manifest names.
    at : datetime or None
        When a row happens that does not say it; UTC, without a zone.
    """

    def __init__(self, manifest: Manifest, tables: Mapping[str, StoredTable], at: datetime | None) -> None:
        self._manifest = manifest
        self._tables = tables
        self._at = at
        self._place = f"features/{manifest.request.name}.sql" if manifest.request else f"models/{manifest.model}.toml"

    def prepare(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make a new connection ready for `run`: it learns the categories' places."""
        for number, values in enumerate(self._manifest.categories.values()):
            connection.execute(f"CREATE TYPE {_places(number)} AS ENUM ({', '.join(map(literal, values))})")

    def run(self, connection: duckdb.DuckDBPyConnection, part: Path) -> Matrix:
        """Compute the features of a file's rows.

        Parameters
        ----------
        connection : DuckDBPyConnection
            It may read the files, and was made ready (`prepare`).
        part : Path
            Parquet with the manifest's inputs as columns.

        Returns
        -------
        float64 array of shape (n, len(manifest.features))
            In the order of the file's rows.

        Raises
        ------
        DefinitionError
            The request view's SQL fails on the rows.
        """
        try:
            base = self._base(connection, part)
            joined = join_features(connection, base, _AT, self._lookups(connection, part))
            chosen = ", ".join(f"{self._value(name)} AS {identifier(name)}" for name in self._manifest.features)
            found = connection.execute(f"SELECT {chosen} FROM ({joined}) ORDER BY {identifier(_ROW)}").fetchnumpy()
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            raise DefinitionError(f"{self._place}: {str(error).splitlines()[0]}") from error
        columns = [np.ma.filled(found[name], np.nan) for name in self._manifest.features]
        matrix: Matrix = np.column_stack(columns).astype(np.float64, copy=False)
        rows = int(str(one(connection, f"SELECT count(*) FROM {_rows(part)}")[0]))
        if len(matrix) != rows:
            raise DefinitionError(f"{self._place}: made {len(matrix)} rows of {rows}; it must make one row of each row")
        return matrix

    def _value(self, feature: str) -> str:
        """Return a feature as training sets have it: a double, of a category its place."""
        column = identifier(feature)
        if feature not in self._manifest.categories:
            return double(column)
        places = _places(list(self._manifest.categories).index(feature))
        return f"CAST(enum_code(TRY_CAST({category(column)} AS {places})) AS DOUBLE)"

    def _base(self, connection: duckdb.DuckDBPyConnection, part: Path) -> str:
        """Return the SELECT of rows: place, moment, entities, the request view's features."""
        entities = dict.fromkeys(column for view in self._manifest.stored for column in view.entity)
        passed = {
            _ROW: "file_row_number",
            _AT: self._moment(),
            **{_ENTITY + column: identifier(column) for column in entities},
        }
        renamed = ", ".join(f"{expression} AS {identifier(name)}" for name, expression in passed.items())
        rows = f"read_parquet({literal(str(part))}, file_row_number = true)"
        request = self._manifest.request
        if request is None:
            return f"SELECT {renamed} FROM {rows}"
        features = ", ".join(
            f"{identifier(column)} AS {identifier(feature_column(request.name, column))}" for column in request.columns
        )
        names = ", ".join(map(identifier, passed))
        inputs = ", ".join(map(identifier, self._manifest.inputs))
        return (
            f"WITH {identifier(request.table)} AS NOT MATERIALIZED (SELECT {inputs}, {renamed} FROM {rows}) "
            f"SELECT {names}, {features} FROM ({passing_through(_view(request), tuple(passed))})"
        )

    def _moment(self) -> str:
        time = self._manifest.event_time
        said = "NULL" if time is None else identifier(time)
        absent = "NULL" if self._at is None else moment(self._at)
        return f"CAST(coalesce({said}, {absent}) AS TIMESTAMP)"

    def _lookups(self, connection: duckdb.DuckDBPyConnection, part: Path) -> list[StoredLookup]:
        if not self._manifest.stored:
            return []
        first, last = one(connection, f"SELECT min(t), max(t) FROM (SELECT {self._moment()} AS t FROM {_rows(part)})")
        assert isinstance(first, datetime)
        assert isinstance(last, datetime)
        return [
            StoredLookup(
                self._tables[view.name].view,
                self._tables[view.name].files,
                view.columns,
                tuple(_ENTITY + column for column in view.entity),
                since=None if view.ttl_seconds is None else first - timedelta(seconds=view.ttl_seconds),
                until=last,
            )
            for view in self._manifest.stored
        ]


def check_tables(manifest: Manifest, tables: Mapping[str, StoredTable]) -> None:
    """Make sure that a version's stored views are the ones whose tables there are.

    Raises
    ------
    DataError
        A view is kept by other columns, or ages differently, than the manifest says.
    """
    for stored in manifest.stored:
        view = tables[stored.name].view
        ttl = view.ttl.total_seconds() if view.ttl else None
        if (view.entity, ttl) != (stored.entity, stored.ttl_seconds):
            raise DataError(
                f"version {manifest.version} of {manifest.model} reads view {stored.name} by other columns, or with "
                "another ttl, than its definition has; train the model again"
            )


def _view(request: RequestView) -> FeatureView:
    return FeatureView(name=request.name, kind="request", dataset=request.table, sql=request.sql)


def _rows(part: Path) -> str:
    return f"read_parquet({literal(str(part))})"


def _places(number: int) -> str:
    return identifier(f"\x01places{number}")
