"""Parquet as matrices: in order, in parts, categories as places."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest

from perennial.data.engine import ROW_GROUP
from perennial.data.matrices import UNSEEN, read_matrices
from perennial.encoding import encode
from perennial.errors import DataError
from perennial.monitoring import cells


def test_values_are_read_in_order_and_what_is_no_category_is_told_from_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    texts = ["a", "b", None, "z", "a"]
    duckdb.execute(
        "COPY (SELECT unnest([1.5, NULL, 3, 4, 5]::DOUBLE[]) AS x, unnest([true, false, NULL, true, true]) AS y, "
        f"unnest(['a', 'b', NULL, 'z', 'a']) AS c) TO '{path}' (FORMAT parquet)"
    )
    (found,) = read_matrices([path], ["c", "x", "y"], {"c": ("b", "a")}, tmp_path)
    expected = encode(texts, ("b", "a"))
    expected[3] = UNSEEN
    assert np.array_equal(found[:, 0], expected, equal_nan=True)
    assert np.array_equal(found[:, 1:], [[1.5, 1], [np.nan, 0], [3, np.nan], [4, 1], [5, 1]], equal_nan=True)
    assert UNSEEN == cells.UNSEEN


def test_files_come_in_parts_one_after_the_other(tmp_path: Path) -> None:
    for name, first in (("a", 0), ("b", ROW_GROUP + 10)):
        query = f"SELECT i::DOUBLE AS x FROM range({first}, {first + ROW_GROUP + 10}) r(i)"
        duckdb.execute(f"COPY ({query}) TO '{tmp_path / name}.parquet' (FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP})")
    parts = list(read_matrices([tmp_path / "a.parquet", tmp_path / "b.parquet"], ["x"], {}, tmp_path))
    assert [len(part) for part in parts] == [ROW_GROUP, 10, ROW_GROUP, 10]
    assert np.array_equal(np.concatenate(parts)[:, 0], np.arange(2 * ROW_GROUP + 20))


def test_a_column_without_categories_has_none_seen(tmp_path: Path) -> None:
    duckdb.execute(f"COPY (SELECT unnest(['a', NULL]) AS c) TO '{tmp_path / 'c.parquet'}' (FORMAT parquet)")
    (found,) = read_matrices([tmp_path / "c.parquet"], ["c"], {"c": ()}, tmp_path)
    assert np.array_equal(found[:, 0], [UNSEEN, np.nan], equal_nan=True)


def test_a_column_that_is_not_there_or_no_number_is_named(tmp_path: Path) -> None:
    duckdb.execute(f"COPY (SELECT 'word' AS c) TO '{tmp_path / 'c.parquet'}' (FORMAT parquet)")
    with pytest.raises(DataError, match=r"c\.parquet: columns must be numbers or categories, but .*nothing"):
        list(read_matrices([tmp_path / "c.parquet"], ["nothing"], {}, tmp_path))
    with pytest.raises(DataError, match=r"c\.parquet: columns must be numbers or categories, but .*word"):
        list(read_matrices([tmp_path / "c.parquet"], ["c"], {}, tmp_path))
