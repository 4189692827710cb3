"""The guesses that need no model."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest

from perennial.errors import DataError
from perennial.training.baseline import CONSTANT, PREVIOUS, best_baseline, read_known
from perennial.training.rows import Rows


def written(folder: Path, values: str, rows: int = 6) -> Path:
    path = folder / "train.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT TIMESTAMP '2019-01-01' + i * INTERVAL 1 HOUR AS event_time, {values} AS target "
            f"FROM range({rows}) t(i) ORDER BY i DESC) TO '{path}' (FORMAT parquet)"
        )
    return path


def holdout(target: list[float], hours: list[int] | None = None) -> Rows:
    at = np.datetime64("2019-02-01", "us") + np.array(hours or range(len(target))) * np.timedelta64(1, "h")
    return Rows(at, np.zeros((len(target), 1)), np.array(target, dtype=float))


def test_the_constant_of_an_absolute_error_is_the_median_and_of_a_squared_one_the_mean(tmp_path: Path) -> None:
    known = read_known(written(tmp_path, "CAST([1, 1, 2, 3, 100, 1][i + 1] AS DOUBLE)"), ())
    assert (known.median, known.mean, known.last) == (1.5, 18.0, 1.0)
    assert best_baseline(known, holdout([50.0, 2.0, 50.0]), "regression", "mae").prediction.tolist() == [1.5] * 3
    assert best_baseline(known, holdout([18.0, 90.0, 18.0]), "regression", "rmse").prediction.tolist() == [18.0] * 3


def test_the_previous_value_is_the_latest_from_before_a_row(tmp_path: Path) -> None:
    known = read_known(written(tmp_path, "CAST(i AS DOUBLE)"), ())
    # Two rows in one hour know of the hour before only; the first of all of the last training row, 5.
    found = best_baseline(known, holdout([6.0, 7.0, 7.5, 8.0], [0, 1, 1, 2]), "regression", "mae")
    assert found.name == PREVIOUS
    assert found.prediction.tolist() == [5.0, 6.0, 6.0, 7.5]
    assert found.metrics["mae"] == pytest.approx((1 + 1 + 1.5 + 0.5) / 4)


def test_classes_are_guessed_by_their_shares(tmp_path: Path) -> None:
    known = read_known(written(tmp_path, "['a', 'b', 'a', 'a', 'b', 'a'][i + 1]"), ("a", "b"))
    assert known.shares.tolist() == pytest.approx([4 / 6, 2 / 6])
    assert best_baseline(known, holdout([0, 0, 1]), "multiclass", "accuracy").metrics["accuracy"] == pytest.approx(
        2 / 3
    )


def test_the_previous_class_says_what_came_after_it(tmp_path: Path) -> None:
    """Ten days of each in turn: after "a" came "a" 9 times of 10, or (9 + 1/2) of 11 with one imagined row."""
    known = read_known(written(tmp_path, "(i // 10) % 2 = 1", 20), ("false", "true"))
    assert known.following[0] == pytest.approx([9.5 / 11, 1.5 / 11])
    lasting = holdout([1.0] * 10 + [0.0] * 10)
    found = best_baseline(known, lasting, "binary", "log_loss")
    assert found.name == PREVIOUS
    assert found.prediction[1] == pytest.approx(9.5 / 10)  # of nine rows after "true", all were true


def test_the_constant_that_f1_likes_is_always_true(tmp_path: Path) -> None:
    known = read_known(written(tmp_path, "i = 2"), ("false", "true"))
    found = best_baseline(known, holdout([0, 1, 0, 1]), "binary", "f1")
    assert found.name == CONSTANT
    assert found.metrics["f1"] == pytest.approx(2 / 3)


def test_a_target_that_is_no_number_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="training set: target"):
        read_known(written(tmp_path, "'much'"), ())
    with pytest.raises(DataError, match="no training rows with a target"):
        read_known(written(tmp_path, "CAST(NULL AS DOUBLE)"), ())
