"""What the page on monitoring shows runs, and its figures are what the code gives."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from perennial.definitions import Monitor
from perennial.monitoring.distances import psi_threshold
from perennial.monitoring.power import rows_needed
from perennial.monitoring.published import METRICS
from perennial.monitoring.signals import Policy

PAGE = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text()


def test_the_example_runs_and_names_the_feature_that_moved(capsys: pytest.CaptureFixture[str]) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(snippet, "monitoring.md", "exec"), {})
    told = capsys.readouterr().out
    assert "trip__distance: shift 0.5" in told
    assert "trip__hour" not in told


def test_the_definition_of_the_page_is_one_and_has_every_key() -> None:
    (snippet,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    given = tomllib.loads(snippet)["monitor"]
    Monitor.model_validate_json(json.dumps(given), strict=True)
    assert given.keys() == Monitor.model_fields.keys()


def test_the_page_names_every_metric_that_is_published() -> None:
    assert set(re.findall(r"^\| `([A-Z]\w+)` \|", PAGE, re.MULTILINE)) == set(METRICS)


def test_the_thresholds_and_rows_of_the_page_are_those_of_the_code() -> None:
    for rows, shown in ((200, "0.166"), (1_000, "0.034"), (5_000, "0.0072"), (50_000, "0.0012"), (10**7, "0.00056")):
        assert psi_threshold(0.01 / 80, 10, rows, 60_000) == pytest.approx(float(shown), rel=0.02)
        assert f"| {shown} " in PAGE
    for effect, alone, together in re.findall(r"^\| (0\.\d+) \| ([\d,]+) \| ([\d,]+) \|$", PAGE, re.MULTILINE):
        for shown, design in ((alone, 1), (together, 3)):
            assert rows_needed(float(effect), 0.01 / 80, 0.9, 10, 60_000, design) == int(shown.replace(",", ""))


def test_the_default_sizes_of_the_page_are_those_of_the_policy() -> None:
    policy = Policy()
    assert (policy.min_psi, policy.min_shift, policy.min_share, policy.min_worsening) == (0.1, 0.1, 0.01, 0.05)
    assert policy.level == 0.01
