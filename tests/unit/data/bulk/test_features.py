"""The features of a file's rows, and which stored values count for them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from perennial.data.bulk.features import FeatureQuery, StoredTable, check_tables
from perennial.data.engine import connect
from perennial.definitions import FeatureView
from perennial.errors import DataError, DefinitionError
from perennial.manifest import Manifest, RequestView
from tests.support.artifacts import a_classifier, a_manifest, logistic_graph

ZONES = FeatureView.model_validate(
    {
        "name": "zone_stats",
        "kind": "stored",
        "dataset": "taxi_trips",
        "entity": ["pickup_location_id"],
        "feature_time": "known_at",
        "ttl": "92 days",
        "sql": "SELECT 1",
    }
)


def parquet(path: Path, select: str) -> Path:
    duckdb.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
    return path


def trips(folder: Path, *rows: tuple[str, int, float]) -> Path:
    values = ", ".join(f"(TIMESTAMP '{at}', {zone}::BIGINT, {miles}::DOUBLE)" for at, zone, miles in rows)
    select = "pickup_datetime, NULL::BIGINT AS passenger_count, trip_distance, pickup_location_id"
    return parquet(
        folder / "rows.parquet",
        f"SELECT {select} FROM (VALUES {values}) t(pickup_datetime, pickup_location_id, trip_distance)",
    )


def features(folder: Path, manifest: Manifest, part: Path, tables: Any = (), at: datetime | None = None) -> list[Any]:
    query = FeatureQuery(manifest, dict(tables), at)
    with connect(folder) as connection:
        query.prepare(connection)
        found = query.run(connection, part)
    return [[None if np.isnan(value) else value for value in row] for row in found.tolist()]


@pytest.fixture
def zones(tmp_path: Path) -> dict[str, StoredTable]:
    values = "(42, '2019-01-01', 10.0), (42, '2019-02-01', 20.0), (7, '2018-01-01', 30.0)"
    path = parquet(
        tmp_path / "zones.parquet",
        "SELECT a::BIGINT AS pickup_location_id, b::TIMESTAMP AS known_at, c AS mean_speed "
        f"FROM (VALUES {values}) t(a, b, c)",
    )
    return {"zone_stats": StoredTable(ZONES, [path])}


def test_a_row_gets_what_was_known_of_its_entity_at_its_time(tmp_path: Path, zones: dict[str, StoredTable]) -> None:
    part = trips(
        tmp_path,
        ("2019-02-01 08:00:00", 42, 1.5),
        ("2019-01-31 23:59:59.999999", 42, 2.5),
        ("2018-12-31", 42, 3.5),
        ("2019-02-01", 7, 4.5),  # what is known of it is older than 92 days
        ("2019-02-01", 8, 5.5),
    )
    found = features(tmp_path, a_manifest(), part, zones)
    assert found == [
        [1.5, 8.0, 1.0, 20.0],
        [2.5, 23.0, 1.0, 10.0],
        [3.5, 0.0, 1.0, None],
        [4.5, 0.0, 1.0, None],
        [5.5, 0.0, 1.0, None],
    ]


def test_rows_that_do_not_say_their_time_happen_at_the_given_one(tmp_path: Path, zones: dict[str, StoredTable]) -> None:
    part = parquet(
        tmp_path / "rows.parquet", "SELECT NULL::TIMESTAMP AS pickup_datetime, 42::BIGINT AS pickup_location_id"
    )
    manifest = a_manifest(request=None, features=("zone_stats__mean_speed",))
    assert features(tmp_path, manifest, part, zones, datetime(2019, 1, 15)) == [[10.0]]
    assert features(tmp_path, manifest, part, zones, datetime(2019, 2, 15)) == [[20.0]]


def test_a_category_is_its_place_and_one_that_was_not_learnt_is_missing(tmp_path: Path) -> None:
    texts = "('plus', 1), ('basic', 2), ('gold', 3), (NULL, 4)"
    part = parquet(
        tmp_path / "rows.parquet", f"SELECT plan, calls::BIGINT AS calls FROM (VALUES {texts}) t(plan, calls)"
    )
    found = features(tmp_path, a_classifier("binary", logistic_graph([1.0, 1.0])), part)
    assert found == [[1.0, 1.0], [0.0, 2.0], [None, 3.0], [None, 4.0]]


def test_infinite_features_stay_and_minus_zero_becomes_zero(tmp_path: Path) -> None:
    part = parquet(
        tmp_path / "rows.parquet", "SELECT NULL::VARCHAR AS plan, x::BIGINT AS calls FROM (VALUES (0), (1)) t(x)"
    )
    view = RequestView(
        name="customer", table="customers", sql="SELECT 1 / calls AS turned, -0.0::DOUBLE AS zero FROM customers",
        columns=("turned", "zero"),
    )  # fmt: skip
    manifest = a_classifier(
        "binary",
        logistic_graph([1.0, 1.0]),
        request=view,
        features=("customer__turned", "customer__zero"),
        categories={},
    )
    query = FeatureQuery(manifest, {}, None)
    with connect(tmp_path) as connection:
        found = query.run(connection, part)
    assert found[:, 0].tolist() == [np.inf, 1.0]
    assert not np.signbit(found[:, 1]).any()


def test_a_view_that_fails_on_the_rows_is_named(tmp_path: Path) -> None:
    part = parquet(tmp_path / "rows.parquet", "SELECT 'x' AS plan, 1::BIGINT AS calls")
    view = RequestView(
        name="customer", table="customers", sql="SELECT CAST(plan AS INTEGER) AS n FROM customers", columns=("n",)
    )
    manifest = a_classifier("binary", logistic_graph([1.0]), request=view, features=("customer__n",), categories={})
    with pytest.raises(DefinitionError, match=r"features/customer\.sql: .*Conversion"):
        features(tmp_path, manifest, part)


def test_a_table_of_another_view_is_refused(zones: dict[str, StoredTable]) -> None:
    check_tables(a_manifest(), zones)
    other = StoredTable(ZONES.model_copy(update={"ttl": None}), zones["zone_stats"].files)
    with pytest.raises(DataError, match="another ttl"):
        check_tables(a_manifest(), {"zone_stats": other})
