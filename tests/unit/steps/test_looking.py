"""One look: planted shifts are found and told, what has not moved is not, and no more often than stated."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from perennial.definitions import Monitor
from perennial.errors import DataError
from perennial.fakes import FixedClock
from perennial.manifest import Kept
from perennial.ports import Ports
from perennial.steps.log_window import LogReader
from perennial.steps.looking import Look, look
from tests.support.artifacts import FEATURES, MODEL
from tests.support.records import AT
from tests.support.watched import (
    Matrix,
    a_baseline,
    label,
    register_watched,
    rows,
    serve,
    true,
    watched_by,
)

LIMITS = Monitor(window_rows=1000, min_rows=500)


def looked(ports: Ports, limits: Monitor = LIMITS, *, hourly: bool = False) -> Look:
    champion = ports.catalog.champion(MODEL)
    assert champion is not None
    return look(watched_by(ports, limits), champion, LogReader(ports.artifacts), hourly=hourly)


def served(ports: Ports, features: Matrix) -> list[str]:
    """Log rows as requests of 500 rows, one a minute from `AT` on."""
    return [
        name
        for number, start in enumerate(range(0, len(features), 500))
        for name in serve(ports, features[start : start + 500], AT + timedelta(minutes=number), number)
    ]


@pytest.fixture
def draw() -> np.random.Generator:
    return np.random.default_rng(35)


@pytest.fixture
def watched(ports: Ports, draw: np.random.Generator) -> Ports:
    register_watched(ports, a_baseline(draw))
    return ports


def test_what_has_not_moved_needs_no_attention(watched: Ports, draw: np.random.Generator) -> None:
    served(watched, rows(draw, 1000))
    found = looked(watched).assessment
    assert not found.attention
    assert max(found.figures.values()) <= 1
    assert found.figures.keys() == {"features", "quality", "predictions", "multivariate", "estimated"}
    assert (found.moved, found.sentence) == ((), "nothing moved by more than chance and the limits allow")
    assert (found.since, found.until) == (AT, AT + timedelta(minutes=1))


def test_a_shift_of_one_feature_is_found_and_told_with_its_size(watched: Ports, draw: np.random.Generator) -> None:
    moved = rows(draw, 1000)
    moved[:, 2] += 0.5  # half a standard deviation, of a feature that nothing depends on
    served(watched, moved)
    found = looked(watched, Monitor(window_rows=1000, min_rows=500)).assessment
    assert found.attention
    assert {one.subject for one in found.moved} == {FEATURES[2]}
    (shift,) = (one for one in found.moved if one.kind == "shift")
    assert shift.value == pytest.approx(0.5, abs=0.1)
    assert found.figures["features"] > 1 >= max(found.figures["predictions"], found.figures["estimated"])
    assert f"{FEATURES[2]} moved: " in found.sentence
    assert found.sentence.endswith("training and serving may differ rather than the world")


def test_features_that_no_longer_go_together_are_found_though_each_is_as_it_was(
    watched: Ports, draw: np.random.Generator
) -> None:
    alone = rows(draw, 1000)
    alone[:, 3] = draw.permutation(alone[:, 3])
    served(watched, alone)
    found = looked(watched).assessment
    assert found.figures["multivariate"] > 1 >= found.figures["features"]
    assert "how the features go together moved" in found.sentence


def test_missing_and_far_out_values_are_matters_of_data_quality(watched: Ports, draw: np.random.Generator) -> None:
    broken = rows(draw, 1000)
    broken[:50, 0] = np.nan
    broken[100:140, 1] = 50
    served(watched, broken)
    found = looked(watched).assessment
    shares = {(one.subject, one.kind): one.value for one in found.moved if one.kind in ("missing", "beyond")}
    assert shares[FEATURES[0], "missing"] == 0.05
    assert shares[FEATURES[1], "beyond"] == pytest.approx(0.04, abs=0.005)
    assert found.figures["quality"] == pytest.approx(0.05 / 0.01)


def test_quality_is_estimated_before_labels_and_measured_with_them(watched: Ports, draw: np.random.Generator) -> None:
    pool = rows(draw, 20_000)
    wild = pool[(np.abs(pool[:, 1]) > 1) & (np.abs(pool[:, 1]) < 2.2)][:1000]  # the model errs more there
    ids = served(watched, wild)
    before = looked(watched).assessment
    assert before.estimated is not None
    assert before.performance is None
    assert before.figures["estimated"] > 1
    assert "mae is likely" in before.sentence
    told = true(draw, wild)
    for start in (0, 500):
        label(watched, ids[start : start + 500], told[start : start + 500].tolist(), AT + timedelta(days=2))
    after = looked(watched).assessment
    assert after.performance == pytest.approx(before.estimated, rel=0.15)
    assert after.performance_ratio is not None
    assert after.figures["performance"] == pytest.approx(after.performance_ratio / LIMITS.performance_ratio)
    assert f"({after.performance_ratio:.3g}×)" in after.sentence


def test_a_window_by_time_holds_what_is_not_older(watched: Ports, clock: FixedClock, draw: np.random.Generator) -> None:
    for day in range(3):
        serve(watched, rows(draw, 300), AT + timedelta(days=day), day)
    clock.set("2019-03-03T01:00:00Z")
    assert looked(watched, Monitor(window="1 day", min_rows=100)).assessment.rows == 300
    assert looked(watched, Monitor(window="2 days", min_rows=100)).assessment.rows == 600
    assert looked(watched, Monitor(window="2 days", window_rows=400, min_rows=100)).assessment.rows == 400


def test_only_what_may_be_all_of_a_version_is_called_its_first_window(
    watched: Ports, draw: np.random.Generator
) -> None:
    served(watched, rows(draw, 1000))
    assert looked(watched).assessment.first_window
    serve(watched, rows(draw, 1), AT + timedelta(hours=1), 3)
    assert not looked(watched).assessment.first_window


def test_of_masked_features_nothing_is_told_nor_of_features_together(ports: Ports, draw: np.random.Generator) -> None:
    register_watched(ports, a_baseline(draw), log=Kept(masked_features=(FEATURES[3],)))
    hidden = rows(draw, 1000)
    hidden[:, 3] = np.nan
    served(ports, hidden)
    found = looked(ports).assessment
    assert found.figures.keys() == {"features", "quality", "predictions"}
    assert not found.attention


def test_a_signal_without_an_alarm_is_told_and_needs_no_attention(watched: Ports, draw: np.random.Generator) -> None:
    moved = rows(draw, 1000)
    moved[:, 2] += 1
    served(watched, moved)
    quiet = watched_by(watched, LIMITS)
    model = quiet.definitions.model(MODEL)
    alarms = model.alarms.model_copy(update={"off": ("features", "multivariate")})
    quiet.definitions.models[MODEL] = model.model_copy(update={"alarms": alarms})
    champion = quiet.catalog.champion(MODEL)
    assert champion is not None
    found = look(quiet, champion, LogReader(quiet.artifacts), hourly=False).assessment
    assert found.figures["features"] > 1
    assert not found.attention


def test_a_baseline_that_is_not_the_registered_one_is_refused(watched: Ports) -> None:
    watched.artifacts.put(f"models/{MODEL}/1/baseline.json", b"{}")
    with pytest.raises(DataError, match=r"baseline\.json: has SHA-256"):
        looked(watched)


def test_stationary_resamples_alarm_no_more_often_than_stated(ports: Ports, draw: np.random.Generator) -> None:
    """A/A through the monitor's own path: the log's parts, the window, the baseline's file."""
    register_watched(ports, a_baseline(draw, rows(draw, 20_000)))
    limits = Monitor(window_rows=500, min_rows=500, level=0.1, min_psi=1e-9, min_shift=1e-9, min_share=1e-9)
    pool = rows(draw, 20_000)
    alarms = 0
    for number in range(40):
        serve(ports, pool[draw.choice(len(pool), 500, replace=False)], AT + timedelta(minutes=number), number)
        alarms += looked(ports, limits).assessment.attention
    # Of 40 looks at 10 %, more than 9 are too many at a chance of 1.5 % (binomial law).
    assert alarms <= 9
