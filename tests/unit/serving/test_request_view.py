"""The request view computes online what the same SQL computes offline, bit for bit."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args

import duckdb
import numpy as np
import pytest

from perennial.data.contract import column_sql
from perennial.definitions import Column
from perennial.errors import DefinitionError
from perennial.manifest import RequestView
from perennial.serving import request_view
from perennial.serving.request_view import RequestRunner, connect

INPUTS = {
    "a": Column(type="integer", nullable=True),
    "b": Column(type="double", nullable=True),
    "c": Column(type="string", nullable=True),
    "d": Column(type="boolean", nullable=True),
    "e": Column(type="timestamp", nullable=True),
    "f": Column(type="date", nullable=True),
}
ROWS: list[tuple[Any, ...]] = [
    (1, 0.1, "Y", True, datetime(2019, 3, 1, 8, 30, 0, 123456), date(2019, 3, 1)),
    (2**63 - 1, 5e-324, "", False, datetime(1970, 1, 1), date(1969, 12, 31)),
    (-(2**63) + 1, 1.7976931348623157e308, "naïve ☃ '\";", None, None, None),
    (None, -0.0, None, None, datetime(2019, 12, 31, 23, 59, 59), date(2020, 2, 29)),
    (2**53 + 1, 1 / 3, "x\0y", True, datetime(2016, 2, 29), None),
    (0, None, "n", False, None, date(1, 1, 1)),
]
VIEW_SQL = """WITH halves AS (SELECT *, a / 3 AS third FROM "t")
SELECT third, a % 7 AS seventh, b * 1.1 AS scaled, ln(abs(b) + 1) AS logarithm, length(c) AS letters, c = 'Y' AS yes,
    d AS flag, hour(e) AS hour, epoch(e) AS seconds, dayofyear(f) AS day, coalesce(a, -1) AS filled -- a comment"""
VIEW_SQL += "\nFROM halves"
COLUMNS = ("third", "seventh", "scaled", "logarithm", "letters", "yes", "flag", "hour", "seconds", "day", "filled")


def a_runner(sql: str = VIEW_SQL, columns: tuple[str, ...] = COLUMNS) -> RequestRunner:
    return RequestRunner(RequestView(name="v", table="t", sql=sql, columns=columns), INPUTS, connect())


def as_columns(rows: list[tuple[Any, ...]]) -> dict[str, list[Any]]:
    return dict(zip(INPUTS, (list(column) for column in zip(*rows, strict=True)), strict=True))


def test_online_values_equal_the_offline_values_bit_for_bit(tmp_path: Path) -> None:
    offline = duckdb.connect()
    offline.execute("CREATE TABLE t (a BIGINT, b DOUBLE, c VARCHAR, d BOOLEAN, e TIMESTAMP, f DATE)")
    offline.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", ROWS)
    file = tmp_path / "t.parquet"
    offline.execute(f"COPY t TO '{file}' (FORMAT parquet)")
    chosen = ", ".join(f"CAST({name} AS DOUBLE)" for name in COLUMNS)
    offline.execute(f"CREATE OR REPLACE TABLE t AS SELECT * FROM '{file}'")
    expected = np.array(offline.execute(f"SELECT {chosen} FROM ({VIEW_SQL})").fetchall(), dtype=np.float64)

    values = a_runner().run(as_columns(ROWS))

    assert np.array_equal(values.view(np.int64)[~np.isnan(values)], expected.view(np.int64)[~np.isnan(expected)])
    assert np.array_equal(np.isnan(values), np.isnan(expected))


@pytest.mark.parametrize("kind", get_args(Column.model_fields["type"].annotation))
def test_offline_and_online_types_of_a_column_agree(kind: Any) -> None:
    """They are two tables, for serving does not import ``perennial.data``."""
    column = Column(type=kind, **({"precision": 18, "scale": 2} if kind == "decimal" else {}))
    assert request_view.sql_type(column) == column_sql.sql_type(column)


HOUR_SEEN = """
import tempfile
from pathlib import Path
from perennial.data import engine
from perennial.serving import request_view
sql = "SELECT epoch(TIMESTAMP '2019-03-01 08:30:00'::TIMESTAMPTZ)"
with engine.connect(Path(tempfile.gettempdir())) as offline:
    print(offline.execute(sql).fetchone()[0], request_view.connect().execute(sql).fetchone()[0])
"""


def test_the_zone_of_the_machine_changes_nothing() -> None:
    # The engine reads the zone once in a process's life.
    environment = {**os.environ, "TZ": "Asia/Tokyo", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HOUR_SEEN]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    moment = datetime(2019, 3, 1, 8, 30, tzinfo=UTC).timestamp()
    assert done.stdout.split() == [str(moment)] * 2


def test_rows_come_out_in_the_order_in_which_they_went_in() -> None:
    rows = [(number, *ROWS[0][1:]) for number in np.random.default_rng(7).permutation(5000).tolist()]
    assert a_runner(columns=("filled",)).run(as_columns(rows)).reshape(-1).tolist() == [row[0] for row in rows]


def test_one_row_of_nulls_is_a_row_of_missing_values() -> None:
    values = a_runner().run(as_columns([(None,) * 6]))
    assert values.shape == (1, len(COLUMNS))
    assert np.isnan(values[0, :-1]).all()
    assert values[0, -1] == -1


@pytest.mark.parametrize("sql", ["SELECT a FROM t WHERE a > 0", "SELECT count(*) AS a FROM t"])
def test_a_view_that_does_not_keep_the_rows_is_refused(sql: str) -> None:
    with pytest.raises(DefinitionError, match=r"features/v\.sql: made \d rows of 6"):
        a_runner(sql, ("a",)).run(as_columns(ROWS))


def test_sql_that_fails_names_its_file() -> None:
    with pytest.raises(DefinitionError, match=r"features/v\.sql: Binder Error"):
        a_runner("SELECT nothing AS a FROM t", ("a",)).run(as_columns(ROWS))


@pytest.mark.parametrize(
    "sql", ["SELECT size AS a FROM read_text('/etc/hostname')", "SELECT a FROM '/etc/hostname.csv'"]
)
def test_sql_reaches_no_file(sql: str) -> None:
    with pytest.raises(DefinitionError, match=r"Permission Error|disabled"):
        a_runner(sql, ("a",)).run(as_columns(ROWS))


def test_a_view_that_reads_nothing_of_a_request_is_refused() -> None:
    with pytest.raises(DefinitionError, match="reads no column of t"):
        RequestRunner(RequestView(name="v", table="t", sql="SELECT 1 AS a", columns=("a",)), {}, connect())
