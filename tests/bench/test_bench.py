"""The benchmarks run; what they print is for reading, not for gating."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.functions import SHAPES
from perennial.records import StepRecord
from tests.bench.orchestration import gaps
from tests.bench.serving import MEBIBYTES


def test_the_ingest_benchmark_prints_ratios() -> None:
    script = Path(__file__).with_name("ingest.py")
    command = [sys.executable, str(script), "2000", "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.count("× as fast") == 5 - done.stdout.count("is not installed")


def test_the_point_in_time_benchmark_prints_ratios_and_that_all_find_the_same() -> None:
    script = Path(__file__).with_name("point_in_time.py")
    command = [sys.executable, str(script), "2000x300", "--feast", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.count("same values") == 4
    assert done.stdout.count("× as fast") == 2


def test_the_views_benchmark_prints_what_a_refresh_costs_of_a_rebuild() -> None:
    script = Path(__file__).with_name("views.py")
    done = subprocess.run([sys.executable, str(script), "9000", "50"], capture_output=True, text=True, check=True)

    assert "refresh / rebuild = " in done.stdout


def test_the_search_benchmark_prints_what_each_search_gains_on_the_defaults() -> None:
    script = Path(__file__).with_name("search.py")
    options = ["--seeds", "1", "--candidates", "2", "--seconds", "1", "--processes", "1"]
    done = subprocess.run([sys.executable, str(script), "600", *options], capture_output=True, text=True, check=True)

    assert done.stdout.count("of the defaults' error above the noise") == 4
    assert "ours gains" in done.stdout


def test_the_bulk_benchmark_prints_ratios_and_that_both_find_the_same() -> None:
    command = [sys.executable, "-m", "tests.bench.bulk", "2000"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])

    assert done.stdout.count("× as fast; 100.0% of its predictions are the other's") == 1


def test_the_serving_benchmark_prints_what_calls_take_and_what_predictions_cost() -> None:
    command = [sys.executable, "-m", "tests.bench.serving", "--rivals", "none", "--seconds", "0.1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])

    assert done.stdout.count("× ours in the handler") == 3
    assert "a million predictions cost, by 1 rows a call $" in done.stdout
    assert SHAPES["predict"].memory == MEBIBYTES


def test_the_drift_benchmark_prints_what_moved_and_how_many_rows_a_shift_takes() -> None:
    script = Path(__file__).with_name("drift.py")
    options = ["--evidently", "none", "--nannyml", "none", "--looks", "2", "--alarms", "500"]
    done = subprocess.run([sys.executable, str(script), "30000", *options], capture_output=True, text=True, check=True)

    assert "moved: f0, f1, c0\n" in done.stdout
    assert done.stdout.count("false alarms of 5 % stated") == 1
    assert done.stdout.count("90 % of looks find it") == 4


def test_the_benchmark_of_the_monitor_prints_false_alarms_and_what_is_found() -> None:
    command = [sys.executable, "-m", "tests.bench.watched", "500", "--looks", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])

    assert "3 looks at 500 stationary rows: " in done.stdout
    assert "of 5% stated" in done.stdout


def test_the_benchmark_of_estimates_prints_how_far_they_are_from_labels() -> None:
    script = Path(__file__).with_name("estimated.py")
    done = subprocess.run(
        [sys.executable, str(script), "--nannyml", "none"], capture_output=True, text=True, check=True
    )

    assert done.stdout.count("mean distance from labels: perennial 0.0") == 4


@pytest.mark.e2e
def test_the_online_benchmark_prints_ratios_and_that_both_find_the_same() -> None:
    command = [sys.executable, "-m", "tests.bench.online", "3x4"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])

    assert done.stdout.count("same values") == 1
    assert done.stdout.count("× as fast") == 1


@pytest.mark.e2e
def test_the_orchestration_benchmark_prints_what_a_step_costs_and_what_it_does_not_say() -> None:
    command = [sys.executable, "-m", "tests.bench.orchestration", "3", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])

    assert "local cloud: " in done.stdout
    assert ("local cloud / Metaflow = " in done.stdout) != ("metaflow is not installed" in done.stdout)
    assert "a local emulator is not AWS" in done.stdout


def test_a_pause_between_steps_is_one_in_which_no_step_worked() -> None:
    at = datetime(2019, 3, 1, tzinfo=UTC)

    def step(name: str, began: float, ended: float) -> StepRecord:
        times = {"started_at": at + timedelta(seconds=began), "ended_at": at + timedelta(seconds=ended)}
        return StepRecord(run_id="r", step=name, status="succeeded", **times)

    assert gaps([step("admit", 0, 1), step("train#a", 3, 9), step("train#b", 4, 5), step("evaluate", 9.5, 10)]) == [
        2,
        0.5,
    ]


def test_the_cold_start_benchmark_prints_a_ratio_and_that_ours_loads_nothing_heavy() -> None:
    script = Path(__file__).with_name("cold_start.py")
    done = subprocess.run([sys.executable, str(script), "1"], capture_output=True, text=True, check=True)

    assert "ours / rival = " in done.stdout
    assert "heavy packages loaded: []" in done.stdout
