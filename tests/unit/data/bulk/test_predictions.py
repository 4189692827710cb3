"""Predictions as they are written."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from perennial.data.bulk.predictions import Predicted, output_name, write_predictions
from perennial.data.engine import Resources, connect
from perennial.manifest import Manifest
from tests.support.artifacts import PRICE_GRAPH, REASONS, a_classifier, a_manifest, logistic_graph


def write(folder: Path, manifest: Manifest, features: Any, values: Any, kept: Any, key: tuple[str, ...] = ()) -> Path:
    count = len(features)
    part, path = folder / "rows.parquet", folder / "predictions.parquet"
    duckdb.execute(f"COPY (SELECT 'c' || x AS id, x AS value FROM range({count}) t(x)) TO '{part}' (FORMAT parquet)")
    lines = np.arange(count) * 2 + 2
    made = Predicted(part, "a'b.csv", lines, np.array(features, float), np.array(values, float), np.array(kept))
    with connect(folder, Resources(threads=1)) as connection:
        write_predictions(connection, manifest, key, made, path)
    return path


def rows(path: Path) -> list[dict[str, Any]]:
    found = duckdb.execute(f"SELECT * FROM '{path}'")
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def test_a_row_says_whom_it_is_about_where_it_stands_and_what_is_missing(tmp_path: Path) -> None:
    nan = np.nan
    features = [[1, 2, 3, 4], [1, nan, 3, nan], [1, 2, 3, 4]]
    found = rows(write(tmp_path, a_manifest(), features, [10.5, 11.5, 12.5], [True, True, False], ("id",)))
    assert found == [
        {"id": "c0", "file": "a'b.csv", "row": 2, "version": 1, "value": 10.5, "missing": []},
        {
            "id": "c1", "file": "a'b.csv", "row": 4, "version": 1, "value": 11.5,
            "missing": ["trip_context__hour", "zone_stats__mean_speed"],
        },
    ]  # fmt: skip


def test_a_condition_holds_where_it_is_more_likely_than_not(tmp_path: Path) -> None:
    manifest = a_classifier("binary", logistic_graph([1.0, 1.0]))
    found = rows(write(tmp_path, manifest, [[0, 1]] * 3, [0.25, 0.5, 0.75], [True] * 3))
    assert [(row["value"], row["label"]) for row in found] == [(0.25, False), (0.5, False), (0.75, True)]


def test_of_classes_the_likeliest_and_all_probabilities_are_told(tmp_path: Path) -> None:
    manifest = a_classifier("multiclass", PRICE_GRAPH)
    values = [[0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [0.4, 0.4, 0.2]]
    found = rows(write(tmp_path, manifest, [[0, 1]] * 3, values, [True] * 3))
    # Of equals, the first by name.
    assert [(row["label"], row["value"]) for row in found] == [("moved", 0.5), ("service", 0.5), ("moved", 0.4)]
    assert [row["probabilities"] for row in found] == [dict(zip(REASONS, each, strict=True)) for each in values]


def test_a_key_column_with_a_name_of_ours_keeps_its_values_under_another(tmp_path: Path) -> None:
    (found,) = rows(write(tmp_path, a_manifest(), [[1, 2, 3, 4]], [10.5], [True], ("value",)))
    assert (found["key_value"], found["value"]) == (0, 10.5)
    assert output_name("Row") == "key_Row"


def test_the_same_predictions_make_the_same_bytes(tmp_path: Path) -> None:
    features = np.random.default_rng(1).choice([1.0, np.nan], (150_000, 4))
    digests = set()
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        path = write(folder, a_manifest(), features, np.arange(150_000.0), np.ones(150_000, bool), ("id",))
        digests.add(hashlib.sha256(path.read_bytes().replace(str(folder).encode(), b"")).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("column", ["file", "row", "version", "value", "label", "probabilities", "missing"])
def test_no_key_column_hides_one_of_ours(column: str) -> None:
    assert output_name(column) != column
