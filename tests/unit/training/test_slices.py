"""Parts of the held-out rows."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest

from perennial.training.bootstrap import resamples
from perennial.training.slices import MISSING, MOST_VALUES, OTHERS, SliceFigures, read_slices, slice_figures


def judged(texts: list[str | None], target: list[float], ours: list[float], theirs: list[float]) -> list[SliceFigures]:
    rows = len(target)
    at = np.datetime64("2019-01-01", "us") + np.arange(rows) * np.timedelta64(1, "h")
    found = slice_figures(
        {"zone": np.array(texts, dtype=np.object_)}, np.array(target), np.array(ours), np.array(theirs),
        task="regression", metric="mae", draws=resamples(at, 0),
    )  # fmt: skip
    return list(found)


def test_each_value_is_judged_by_itself_the_largest_first() -> None:
    north, south = judged(["n", "s", "s"], [0.0, 0, 0], [2.0, 1, 3], [4.0, 1, 1])[::-1]
    assert (north.value, north.rows, north.metric, north.champion, north.improvement) == ("n", 1, 2.0, 4.0, 0.5)
    assert (south.value, south.rows, south.metric, south.champion, south.improvement) == ("s", 2, 2.0, 1.0, -1.0)


def test_what_has_no_value_is_a_slice_and_the_rarest_are_one() -> None:
    texts = [None, None, *(f"v{number:02}" for number in range(60)), *(f"v{number:02}" for number in range(49))]
    found = judged(texts, [0.0] * 111, [1.0] * 111, [1.0] * 111)
    assert len(found) == MOST_VALUES + 1
    assert MISSING in {each.value for each in found}
    assert (found[-1].value, found[-1].rows) == (OTHERS, 11)
    assert sum(each.rows for each in found) == 111


def test_a_slice_has_an_interval_that_is_wider_than_the_wholes() -> None:
    rng = np.random.default_rng(0)
    found = judged(["n", "s"] * 2000, [0.0] * 4000, rng.normal(size=4000).tolist(), [1.0] * 4000)
    (low, high), mean = found[0].interval or (0, 0), np.sqrt(2 / np.pi)
    assert low < mean < high
    # The standard error of a mean of 2,000 absolute normal values, whose variance is 1 - 2/pi.
    assert (high - low) / 2 / 1.96 == pytest.approx(np.sqrt((1 - 2 / np.pi) / 2000), rel=0.2)
    assert found[0].improvement_interval is not None


def test_columns_of_slices_are_read_as_text(tmp_path: Path) -> None:
    path = tmp_path / "holdout.parquet"
    with duckdb.connect() as connection:
        columns = """'a' || i AS "slice:zone", CASE WHEN i = 1 THEN NULL ELSE 'true' END AS "slice:late\""""
        connection.execute(f"COPY (SELECT {columns} FROM range(3) t(i)) TO '{path}' (FORMAT parquet)")
    found = read_slices(path, ("zone", "late"))
    assert found["zone"].tolist() == ["a0", "a1", "a2"]
    assert found["late"].tolist() == ["true", None, "true"]
    assert read_slices(path, ()) == {}
