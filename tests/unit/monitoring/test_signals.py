"""Looks at real rows: false alarms stay at the stated rate, planted shifts are found in the rows that they take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from perennial.drift import population_stability_index
from perennial.monitoring.baseline import Baseline, make_baseline
from perennial.monitoring.cells import GROUPS, grouped
from perennial.monitoring.estimate import make_estimator
from perennial.monitoring.power import rows_needed
from perennial.monitoring.signals import Policy, Signals, assess, holm
from perennial.monitoring.window import count

UPLOADS = Path(__file__).parents[3] / "events" / "uploads" / "taxi_trips"
NAMES = ("distance", "hour", "weekday", "passengers", "rate", "payment", "vendor")
CATEGORIES = {"rate": 99, "payment": 6}
ANY_SIZE = Policy(level=0.05, min_psi=0, min_shift=0, min_share=0)


@pytest.fixture(scope="module")
def trips() -> np.ndarray:
    """Trips of seven months and their fare, in an order drawn by chance: stationary."""
    files = sorted(UPLOADS.glob("*.csv.gz"))[:7]
    table = pd.concat([pd.read_csv(file, parse_dates=["pickup_datetime"]) for file in files])
    at = table["pickup_datetime"].dt
    table = table.assign(hour=at.hour, weekday=at.day_of_week)
    columns = table[
        ["trip_distance", "hour", "weekday", "passenger_count", "rate_code_id", "payment_type", "vendor_id"]
    ]
    rows = np.column_stack([columns.to_numpy(np.float64), table["fare_amount"].to_numpy(np.float64)])
    return np.random.default_rng(0).permutation(rows)


def look(baseline: Baseline, rows: np.ndarray, policy: Policy) -> Signals:
    return assess(baseline, count(baseline, rows[:, :7], rows[:, 7]), policy)


def test_on_stationary_resamples_of_real_rows_the_rate_of_false_alarms_is_at_most_the_stated_one(
    trips: np.ndarray,
) -> None:
    draw, alarms = np.random.default_rng(1), 0
    for number in range(200):
        if number % 20 == 0:
            order = draw.permutation(len(trips))
            baseline = make_baseline(trips[order[:20_000], :7], NAMES, CATEGORIES, trips[order[:20_000], 7])
        window = draw.choice(order[20_000:], 500, replace=False)
        alarms += bool(look(baseline, trips[window], ANY_SIZE).alarms)
    # Of 200 looks at a rate of 5 % more than 20 would be seen once in a thousand times.
    assert alarms <= stats.binom.isf(1e-3, 200, 0.05)


def test_a_planted_shift_of_a_real_feature_is_found_within_the_rows_that_it_is_said_to_take(trips: np.ndarray) -> None:
    baseline = make_baseline(trips[:20_000, :7], NAMES, CATEGORIES, trips[:20_000, 7])
    moved = trips[20_000:].copy()
    moved[:, 0] *= 1.3
    column = baseline.columns["distance"]
    reference = grouped(np.array(column.histogram.counts), column.groups)
    effect = population_stability_index(
        reference.tolist(), grouped(count(baseline, moved[:, :7]).counts["distance"], column.groups).tolist()
    )
    signals = len(look(baseline, moved[:500], ANY_SIZE).signals)
    rows = rows_needed(effect, ANY_SIZE.level / signals, 0.9, GROUPS, 20_000)
    assert rows is not None
    draw = np.random.default_rng(2)
    looks = [look(baseline, moved[draw.choice(len(moved), rows, replace=False)], ANY_SIZE) for _ in range(50)]
    found = sum(any(signal.subject == "distance" for signal in seen.alarms) for seen in looks)
    assert found >= stats.binom.ppf(1e-3, 50, 0.9)


def test_a_change_too_small_to_matter_is_no_alarm_however_many_rows_show_it() -> None:
    draw = np.random.default_rng(3)
    rows = draw.standard_normal((50_000, 2))
    baseline = make_baseline(rows, ["a", "b"], {}, rows[:, 0])
    moved = draw.standard_normal((400_000, 2)) + 0.06
    found = assess(baseline, count(baseline, moved, moved[:, 0]))
    shifts = [signal for signal in found.signals if signal.kind == "shift" and signal.subject in ("a", "b")]
    assert all(signal.significant and not signal.large for signal in shifts)
    assert found.alarms == ()


def test_features_that_part_ways_alarm_by_their_reconstruction_alone() -> None:
    draw = np.random.default_rng(4)
    one = draw.standard_normal((30_000, 1))
    rows = one + 0.3 * draw.standard_normal((30_000, 4))
    baseline = make_baseline(rows[:20_000], list("abcd"), {}, rows[:20_000, 0])
    apart = np.stack([draw.permutation(column) for column in rows[20_000:].T], axis=1)
    assert {signal.subject for signal in assess(baseline, count(baseline, apart)).alarms} == {"reconstruction"}


def test_an_estimated_worsening_alarms_before_labels_come() -> None:
    draw = np.random.default_rng(5)

    def scores(rows: int, spread: float) -> np.ndarray:
        return 1 / (1 + np.exp(-spread * draw.standard_normal(rows)))

    said = scores(10_000, 3)
    none = np.zeros(10_000, dtype=np.int64)
    true = (draw.random(10_000) < said).astype(float)
    estimator = make_estimator({"prediction": none}, {"prediction": (0, -1)}, said, true, "binary", "roc_auc")
    baseline = make_baseline(np.zeros((2000, 1)), ["a"], {}, said, estimator=estimator)
    for spread, alarm in ((3, False), (1, True)):
        now = scores(3000, spread)
        found = assess(baseline, count(baseline, np.zeros((3000, 1)), now), scores=now)
        assert found.estimated is not None
        assert found.estimated_alarm is alarm


def test_holms_rule_is_that_of_a_worked_example() -> None:
    # At 0.05: 0.01 <= 0.05 / 4 and 0.015 <= 0.05 / 3, but 0.03 > 0.05 / 2, and then none after it.
    assert holm([0.03, 0.01, 0.04, 0.015], 0.05) == [False, True, False, True]
    assert holm([], 0.05) == []
