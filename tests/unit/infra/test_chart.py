"""The demo's picture."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import pytest

from infra.chart import draw_months
from infra.demo import Month
from tests.support.records import an_assessment


def a_month(month: str, version: str, served: float, frozen: float, ratio: float | None, happened: str) -> Month:
    drift = an_assessment(performance_ratio=ratio)
    return Month(month, 100, {version: 100}, served, frozen, drift, [happened])


def test_the_picture_is_drawn_also_of_a_month_that_the_monitor_has_no_figure_of(tmp_path: Path) -> None:
    months = [
        a_month("2019-01", "1", 1.4, 1.4, None, "quiet"),
        a_month("2019-02", "1", 2.5, 2.5, 1.4, "retrained: version 2"),
        a_month("2019-03", "2", 1.5, 2.6, 1.0, "quiet"),
    ]
    path = tmp_path / "new folder" / "demo.png"
    draw_months(months, 1.25, path)
    height, width, _ = matplotlib.image.imread(path).shape

    assert (width, height) == (9 * 130, 6 * 130)


@pytest.mark.parametrize("version", ["1", "2"])
def test_one_month_is_enough(tmp_path: Path, version: str) -> None:
    draw_months([a_month("2019-01", version, 1.4, 1.4, 1.0, "quiet")], 1.25, tmp_path / "demo.png")

    assert (tmp_path / "demo.png").exists()
