"""How far back a candidate learns, chosen by what would have served best lately."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from perennial.definitions import Candidate
from perennial.monitoring.change_points import change_points, unchanged_since
from perennial.training.rows import Rows
from perennial.training.windows import choose_window, latest_change, window_start

BEGIN = datetime(2019, 1, 1)
DAY = timedelta(days=1)
WINDOWS: tuple[str | timedelta, ...] = ("all", timedelta(days=20), "since change")


def since(series: Sequence[float], rows: Sequence[float]) -> int:
    return unchanged_since(change_points(series, rows))


def world(days: int, changes_after: int | None, by: float = 3.0, seed: int = 1) -> Rows:
    """Return 40 rows a day, ``target = 2 x + noise``, which rises by ``by`` from a day on."""
    rng = np.random.default_rng(seed)
    count = 40 * days
    minutes = np.arange(count) * (24 * 60 // 40)
    x = rng.normal(size=count)
    target = 2 * x + rng.normal(scale=0.5, size=count)
    if changes_after is not None:
        target[40 * changes_after :] += by
    times = np.datetime64(BEGIN, "us") + minutes.astype("timedelta64[m]")
    return Rows(times, np.column_stack([x, np.full(count, np.nan)]), target)


def by_line(learning: Rows, features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    design = np.column_stack([np.ones(len(learning)), learning.features[:, 0]])
    weights = np.linalg.lstsq(design, learning.target, rcond=None)[0]
    return np.column_stack([np.ones(len(features)), features[:, 0]]) @ weights  # type: ignore[no-any-return]


def choose(rows: Rows, days: int, windows: tuple[str | timedelta, ...] = WINDOWS) -> Any:
    return choose_window(
        by_line, rows, BEGIN + days * DAY, 7 * DAY, windows, task="regression", metric="mae", unchanged_since=since
    )


def test_after_a_change_the_rows_since_it_are_learnt_from() -> None:
    start, trials = choose(world(100, changes_after=60), 100)
    taken = {trial.window: trial for trial in trials if trial.chosen}
    assert "all" not in taken
    assert start is not None
    assert start >= BEGIN + 60 * DAY
    figures = {trial.window: trial.metrics["mae"] for trial in trials}
    # Of 93 days before the stretch 33 have the new level: a line through all lies 3 × 60 / 93 below it.
    assert figures["all"] == pytest.approx(3 * 60 / 93, abs=0.1)
    # Noise alone is left, of which the mean absolute value is σ √(2/π).
    assert figures["since change"] == pytest.approx(0.5 * np.sqrt(2 / np.pi), abs=0.05)


def test_without_a_change_since_change_means_all() -> None:
    rows = world(100, changes_after=None)
    assert latest_change(rows, since) is None
    start, trials = choose(rows, 100, ("since change", "all"))
    assert start is None
    assert [trial.chosen for trial in trials] == [True, False]  # of equals the first


def test_the_latest_of_two_changes_counts() -> None:
    rows = world(100, changes_after=40)
    rows.target[40 * 80 :] -= 5
    changed = latest_change(rows, since)
    assert changed is not None
    assert abs(changed - (BEGIN + 80 * DAY)) <= DAY


def test_a_change_of_the_features_alone_is_none() -> None:
    rows = world(100, changes_after=None)
    rows.features[40 * 60 :, 0] += 4
    rows.target[40 * 60 :] += 8  # as the line has it
    assert latest_change(rows, since) is None


def test_nothing_of_the_stretch_that_judges_lays_a_window() -> None:
    """A change within the stretch is not seen when its windows are laid, but is when the final one is."""
    rows = world(100, changes_after=96)
    _, trials = choose(rows, 100, ("since change", "all"))
    assert trials[0].rows == trials[1].rows == 40 * 93
    begin = window_start("since change", rows, BEGIN + 100 * DAY, since)
    assert begin is None or begin >= BEGIN + 95 * DAY


def test_with_too_few_rows_to_judge_the_first_window_is_taken() -> None:
    start, trials = choose(world(2, changes_after=None), 2)
    assert start is None
    assert [trial.chosen for trial in trials] == [True, False, False]
    assert all(trial.metrics == {} for trial in trials)


def test_windows_are_written_as_lengths_or_words() -> None:
    candidate = Candidate.model_validate(
        {"name": "line", "algorithm": "ridge", "windows": ["all", "60 days", "since change"]}
    )
    assert candidate.windows == ("all", timedelta(days=60), "since change")
    assert candidate.longest is None
    bounded = Candidate.model_validate({"name": "line", "algorithm": "ridge", "windows": ["60 days", "20 days"]})
    assert bounded.longest == timedelta(days=60)


@pytest.mark.parametrize(
    ("windows", "more", "sentence"),
    [
        (["all"], {"history": "9 days"}, "write history or windows, not both"),
        (["all", "all"], {}, "windows must be different"),
        (["some"], {}, "windows"),
        (["0 days"], {}, "longer than nothing"),
    ],
)
def test_wrong_windows_are_refused(windows: list[str], more: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Candidate.model_validate({"name": "line", "algorithm": "ridge", "windows": windows, **more})
