"""Training sets become matrices, or a sentence says why not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import numpy as np
import pytest

from perennial.encoding import encode
from perennial.errors import DataError
from perennial.training.rows import columns_of, history_start, read_rows


def parquet(folder: Path, select: str) -> Path:
    path = folder / "rows.parquet"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
    return path


VALUES = """SELECT * FROM (VALUES
    (TIMESTAMP '2019-01-01 00:00:00', 1.5, true, 7, 10.0),
    (TIMESTAMP '2019-01-01 12:00:00', NULL, false, NULL, 20.0),
    (TIMESTAMP '2019-01-02 00:00:00', 'nan'::DOUBLE, NULL, 9, 30.0)
) t(event_time, v__a, v__flag, v__count, target)"""


def test_null_and_nan_are_missing_and_every_type_becomes_a_double(tmp_path: Path) -> None:
    rows = read_rows(parquet(tmp_path, VALUES), ("v__count", "v__a", "v__flag"))
    expected = [[7, 1.5, 1], [np.nan, np.nan, 0], [9, np.nan, np.nan]]
    np.testing.assert_array_equal(rows.features, expected)
    np.testing.assert_array_equal(rows.target, [10, 20, 30])
    assert rows.features.dtype == np.float64


def test_since_keeps_the_rows_at_and_after_a_moment(tmp_path: Path) -> None:
    rows = read_rows(parquet(tmp_path, VALUES), ("v__a",))
    noon = datetime(2019, 1, 1, 12)
    assert rows.since(noon).target.tolist() == [20, 30]
    assert rows.since(noon.replace(tzinfo=UTC)).target.tolist() == [20, 30]
    in_paris = datetime(2019, 1, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    assert rows.since(in_paris).target.tolist() == [20, 30]
    assert rows.since(noon + timedelta(microseconds=1)).target.tolist() == [30]


def test_an_event_time_with_a_zone_is_compared_in_utc(tmp_path: Path) -> None:
    zoned = "SELECT TIMESTAMPTZ '2019-01-01 01:00:00+01' AS event_time, 1.0 AS v__a, 2.0 AS target"
    rows = read_rows(parquet(tmp_path, zoned), ("v__a",))
    assert rows.event_time[0] == np.datetime64("2019-01-01T00:00:00")


def test_history_reaches_back_from_the_split() -> None:
    assert history_start(datetime(2019, 3, 1), timedelta(days=28)) == datetime(2019, 2, 1)
    assert history_start(datetime(2019, 3, 1), None) is None


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column 'v__b' among event_time, v__a") as caught:
        read_rows(parquet(tmp_path, VALUES), ("v__b",))
    assert caught.value.field == "v__b"


def test_text_is_no_feature(tmp_path: Path) -> None:
    select = "SELECT TIMESTAMP '2019-01-01' AS event_time, 'Y' AS v__flag, 1.0 AS target"
    with pytest.raises(DataError, match=r"features and target must be numbers, but .*'Y'"):
        read_rows(parquet(tmp_path, select), ("v__flag",))


@pytest.mark.parametrize("value", ["NULL::DOUBLE", "'inf'::DOUBLE", "'nan'::DOUBLE"])
def test_a_target_that_is_no_finite_number_is_refused(tmp_path: Path, value: str) -> None:
    select = f"SELECT TIMESTAMP '2019-01-01' AS event_time, 1.0 AS v__a, {value} AS target"
    with pytest.raises(DataError, match="target is missing or infinite in 1 of 1 rows"):
        read_rows(parquet(tmp_path, select), ("v__a",))


def test_an_infinite_feature_is_refused_with_the_mend(tmp_path: Path) -> None:
    select = "SELECT TIMESTAMP '2019-01-01' AS event_time, '-inf'::DOUBLE AS v__a, 1.0 AS target"
    with pytest.raises(DataError, match="feature 'v__a' is infinite in 1 of 1 rows; let its view give NULL"):
        read_rows(parquet(tmp_path, select), ("v__a",))


def test_columns_are_listed_in_the_files_order(tmp_path: Path) -> None:
    assert columns_of(parquet(tmp_path, VALUES)) == ("event_time", "v__a", "v__flag", "v__count", "target")


CATEGORIES = """SELECT * FROM (VALUES
    (TIMESTAMP '2019-01-01', 'b', 7, 'cat'),
    (TIMESTAMP '2019-01-02', NULL, 8, 'it''s'),
    (TIMESTAMP '2019-01-03', 'B', NULL, 'dodo'),
    (TIMESTAMP '2019-01-04', 'a', 7, 'cat')
) t(event_time, v__a, v__zip, target)"""


def test_categories_are_read_as_serving_encodes_them(tmp_path: Path) -> None:
    known = {"v__a": ("a", "b", "o'clock"), "v__zip": ("7", "9")}
    path = parquet(tmp_path, CATEGORIES)
    rows = read_rows(path, ("v__zip", "v__a"), known, ("cat", "dodo", "it's"))
    expected = np.column_stack([encode([7, 8, None, 7], known["v__zip"]), encode(["b", None, "B", "a"], known["v__a"])])
    np.testing.assert_array_equal(rows.features, expected)
    np.testing.assert_array_equal(rows.features[:, 1], [1, np.nan, np.nan, 0])
    np.testing.assert_array_equal(rows.target, [0, 2, 1, 0])
    assert len(rows.dropped) == 0


def test_a_feature_whose_values_are_all_unknown_is_missing_throughout(tmp_path: Path) -> None:
    rows = read_rows(parquet(tmp_path, CATEGORIES), ("v__a",), {"v__a": ()}, ("cat", "dodo", "it's"))
    assert np.isnan(rows.features).all()


def test_rows_of_a_class_that_was_not_learnt_are_left_out_and_named(tmp_path: Path) -> None:
    rows = read_rows(parquet(tmp_path, CATEGORIES), ("v__zip",), {}, ("cat", "dodo"))
    np.testing.assert_array_equal(rows.target, [0, 1, 0])
    np.testing.assert_array_equal(rows.features[:, 0], [7, np.nan, 7])
    assert [str(at)[:10] for at in rows.event_time] == ["2019-01-01", "2019-01-03", "2019-01-04"]
    np.testing.assert_array_equal(rows.dropped, [1])


def test_a_class_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="target is missing or infinite in 1 of 4 rows"):
        read_rows(parquet(tmp_path, CATEGORIES.replace("'dodo'", "NULL")), ("v__zip",), {}, ("cat", "it's"))


def test_the_two_classes_of_a_binary_target_leave_its_numbers_alone(tmp_path: Path) -> None:
    rows = read_rows(parquet(tmp_path, VALUES.replace("10.0", "1.0")), ("v__a",), {}, ("false", "true"))
    np.testing.assert_array_equal(rows.target, [1, 20, 30])
