"""Charts with uncertainty: where marks stand, read back from the paths."""

from __future__ import annotations

import re

import pytest

from perennial.reporting.charts import Chart
from perennial.reporting.plots import Band, Dot, SpreadBar, band, dots, reliability, spread_bars


def path(chart: Chart, style: str) -> str:
    return "".join(shape.path for shape in chart.shapes if shape.style == style)


def centres(chart: Chart, style: str) -> list[float]:
    return [float(left) + radius for left, radius in (
        (left, float(size)) for left, size in re.findall(r"M(\S+) \S+?a(\d+)", path(chart, style))
    )]  # fmt: skip


def test_a_dot_stands_between_its_ends_to_scale() -> None:
    chart = dots("mae", [Dot("a", 2.0, (1.0, 5.0)), Dot("b", 5.0, None, 2)])
    (dot,), (other,) = centres(chart, "dot-1"), centres(chart, "dot-2")
    left, right = (float(x) for x in re.findall(r"M(\S+) \S+?H(\S+?)M", path(chart, "line-1"))[0])
    assert (dot - left) / (right - left) == pytest.approx(0.25, abs=0.01)
    assert other == pytest.approx(right, abs=0.2)
    assert "a: 2 (1 to 5); b: 5" in chart.description


def test_what_a_dot_is_compared_with_stands_on_its_line() -> None:
    chart = dots("mae", [Dot("a", 2.0, beside=3.0)])
    assert centres(chart, "dot-2")[0] > centres(chart, "dot-1")[0]
    assert chart.height == dots("mae", [Dot("a", 2.0)]).height


def test_equal_values_can_be_drawn() -> None:
    assert dots("mae", [Dot("a", 0.0), Dot("b", 0.0)]).shapes
    assert band("b", [Band(1.0, 0.0, 0.0, 0.0)], ("mean", "most")).shapes
    assert spread_bars("i", [SpreadBar("a", 0.0, 0.0)]).shapes


def test_bars_are_as_long_as_their_values_and_go_left_below_0() -> None:
    chart = spread_bars("importance", [SpreadBar("a", 4.0, 0.5), SpreadBar("b", 2.0, 0.0), SpreadBar("c", -1.0, 0.0)])
    lengths = [float(to) - float(begin) for begin, to in re.findall(r"M(\S+) \d+H(\S+?)v", path(chart, "now"))]
    assert lengths[0] / lengths[1] == pytest.approx(2.0, abs=0.01)
    assert lengths[2] / lengths[1] == pytest.approx(-0.5, abs=0.01)
    assert len(re.findall("M", path(chart, "line-2"))) == 1


def test_on_the_dashed_line_what_was_said_happened() -> None:
    chart = reliability("said", [(0.5, 0.5), (1.0, 0.75)])
    (x1, y1), (x2, y2) = ((float(x), float(y)) for x, y in re.findall(r"(\d+\.\d) (\d+\.\d)", path(chart, "guide")))
    (px, py), (_, qy) = ((float(x), float(y)) for x, y in re.findall(r"(\d+\.\d) (\d+\.\d)", path(chart, "line-1")))
    assert (px, py) == (pytest.approx((x1 + x2) / 2, abs=0.1), pytest.approx((y1 + y2) / 2, abs=0.1))
    assert (qy - y1) / (y2 - y1) == pytest.approx(0.75, abs=0.01)


def test_a_band_lies_about_its_line() -> None:
    chart = band("misses", [Band(0, 1, -1, 3), Band(10, 1, -1, 3)], ("mean", "most"))
    heights = [float(y) for _, y in re.findall(r"(\d+\.\d) (\d+\.\d)", path(chart, "area"))]
    (line, _) = [float(y) for _, y in re.findall(r"(\d+\.\d) (\d+\.\d)", path(chart, "line-1"))]
    assert line == pytest.approx((min(heights) + max(heights)) / 2, abs=0.1)
    assert chart.legend == (("line-1", "mean"), ("area", "most"))
