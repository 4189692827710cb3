"""A request view's SELECT keeps its meaning when columns are passed through it."""

from __future__ import annotations

import duckdb
import pytest

from perennial.data.views.request_sql import passing_through
from perennial.definitions import FeatureView
from perennial.errors import DefinitionError

PASSED = ("\x01event_time", 'odd "name"')


def view(sql: str) -> FeatureView:
    return FeatureView(name="now", kind="request", dataset="rides", sql=sql)


def rows(sql: str) -> list[tuple[object, ...]]:
    """Run a SELECT over three rides, with the columns to pass beside."""
    with duckdb.connect() as connection:
        connection.execute(
            'CREATE TABLE rides AS SELECT i AS "\x01event_time", i * 10 AS "odd ""name""", i / 7 AS miles, '
            "'Straße ' || i AS text, TIMESTAMP '2019-01-01 12:00:00' + to_hours(i) AS began, "
            "CASE WHEN i <> 1 THEN i END AS zone FROM range(3) t(i)"
        )
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT miles * 1.10 AS a, a + 1e-300 AS b, hour(began) AS h FROM rides",
        'SELECT r.miles AS "Wei rd", -miles AS n, NOT (zone IN (1, 2)) AS x FROM rides AS r -- the end',
        "SELECT CASE WHEN zone > 1.50 THEN 'it''s' WHEN zone IS NULL THEN NULL ELSE upper(text) END AS c FROM rides",
        "SELECT CAST(miles AS DECIMAL(10, 3)) AS d, TRY_CAST(text AS INTEGER) AS t, miles::FLOAT AS f FROM rides",
        "SELECT began AT TIME ZONE 'UTC' > TIMESTAMPTZ '2019-01-01 13:00:00+00' AS z FROM rides",
        "SELECT list_sum(list_transform([miles, 2], x -> x + zone)) AS s, text[1:3] AS p FROM rides",
        "SELECT {'k': zone}.k AS k, began + INTERVAL 3 DAY AS later FROM rides",
        "SELECT coalesce(nullif(zone, 0), 1) AS c, zone IS DISTINCT FROM 2 AS d, text LIKE 'S%' AS e FROM rides",
        "SELECT 12345678901234567890 AS big, 2 ** 3 AS p, 7 // 2 AS q, miles BETWEEN 0 AND 1 AS b FROM rides",
        "SELECT 'odd \"\" \x02 ''quotes''' AS q FROM rides",
    ],
)
def test_features_are_the_same_with_columns_passed_through(sql: str) -> None:
    expected = rows(sql)
    found = rows(passing_through(view(sql), PASSED))
    assert [row[:-2] for row in found] == expected
    assert [row[-2:] for row in found] == [(0, 0), (1, 10), (2, 20)]


def test_a_view_of_all_columns_can_pass_some_of_them_again() -> None:
    sql = passing_through(view("SELECT *, miles + 1 AS more FROM rides"), PASSED)
    assert rows(f'SELECT "\x01event_time", "odd ""name""", miles, more FROM ({sql})')[2] == (2, 20, 2 / 7, 2 / 7 + 1)


def test_without_columns_to_pass_the_select_stays_as_it_is() -> None:
    assert rows(passing_through(view("SELECT zone FROM rides"), ())) == [(0,), (None,), (2,)]


def test_a_select_that_looks_at_other_rows_is_refused() -> None:
    with pytest.raises(DefinitionError, match="must go row by row over rides, without JOIN"):
        passing_through(view("SELECT a.miles FROM rides AS a, rides AS b"), PASSED)


def test_what_duckdb_cannot_write_again_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"features/now\.sql: cannot be taken apart"):
        passing_through(view("SELECT 1e400 AS endless FROM rides"), PASSED)
