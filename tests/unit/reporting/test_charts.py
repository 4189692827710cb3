"""Charts: where things are drawn, and what is said of them in words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.reporting.charts import (
    HEIGHT,
    WIDTH,
    Bar,
    Chart,
    Distribution,
    Line,
    bars,
    histogram,
    lines,
    round_values,
)


def shape(chart: Chart, style: str) -> str:
    return next(shape.path for shape in chart.shapes if shape.style == style)


def boxes(path: str) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of each bar of a histogram."""
    found = re.findall(r"M([\d.]+) ([\d.]+)V([\d.]+)H([\d.]+)V", path)
    return [(float(left), float(top), float(right), float(bottom)) for left, bottom, top, right in found]


def test_the_area_of_a_bar_is_its_share_whatever_its_width() -> None:
    chart = histogram("miles", Distribution("now", [0, 1, 4], [0.5, 0.5]))
    narrow, wide = [(right - left) * (bottom - top) for left, top, right, bottom in boxes(shape(chart, "now"))]
    assert narrow == pytest.approx(wide, rel=0.01)


def test_two_distributions_share_one_scale() -> None:
    chart = histogram("miles", Distribution("now", [0, 10], [1.0]), Distribution("before", [10, 20], [1.0]))
    ((_, _, right, _),) = boxes(shape(chart, "now"))
    assert right == pytest.approx(WIDTH / 2)
    assert shape(chart, "before").startswith(f"M{right:.1f} ")
    assert [style for style, _ in chart.legend] == ["now", "before"]


def test_a_histogram_says_in_words_where_most_values_lie() -> None:
    chart = histogram("miles", Distribution("now", [0, 1, 2, 3], [0.2, 0.7, 0.1]))
    assert chart.description == "now: from 0 to 3, most often between 1 and 2 (70\u202f%)"


def test_bars_say_their_values_and_what_they_are_compared_with() -> None:
    chart = bars("kinds", [Bar("a", 0.75, 0.5), Bar("b", 0.25)])
    assert chart.description == "a: 75\u202f% (before 50\u202f%); b: 25\u202f%"
    widths = [float(width) for width in re.findall(r"h([\d.]+)v", shape(chart, "now"))]
    assert widths[0] == pytest.approx(3 * widths[1], rel=0.01)


def test_bars_of_nothing_are_drawn_without_failing() -> None:
    assert bars("kinds", [Bar("a", 0.0, 0.0)]).labels
    assert bars("kinds", []).labels == []


def test_lines_run_from_left_to_right_and_higher_values_lie_higher() -> None:
    chart = lines("error", [Line("frozen", [(0, 1.0), (1, 3.0)]), Line("served", [(0, 1.0), (1, 1.0)])])
    start, end = [tuple(map(float, point.split())) for point in shape(chart, "line-1").removeprefix("M").split("L")]
    assert start[0] < end[0]
    assert start[1] > end[1]
    assert chart.legend == (("line-1", "frozen"), ("line-2", "served"))


def test_lines_end_below_a_value_of_their_axis_and_name_each_place_that_has_room() -> None:
    points = [(0, 0.51), (50, 0.54), (100, 0.58)]
    chart = lines("log loss", [Line("trees", points)], size=(480, 220))
    upright = [label.text for label in chart.labels if label.anchor == "end" and label.x < 100]
    assert upright == ["0", "0.2", "0.4", "0.6"]
    assert [label.text for label in chart.labels if label.y == 214] == ["0", "50", "100"]
    close = lines("log loss", [Line("trees", [*points[:1], (1, 0.5), *points[1:]])], size=(480, 220))
    assert [label.text for label in close.labels if label.y == 214] == ["0", "100"]


def test_one_point_is_seen_as_well() -> None:
    chart = lines("error", [Line("served", [(5.0, 2.0)])])
    assert shape(chart, "line-1").endswith("h.01")  # a line of no length is not drawn


finite = st.floats(-1e12, 1e12)


@given(finite, finite, st.integers(2, 8))
def test_round_values_lie_between_their_ends_and_are_not_too_many(a: float, b: float, most: int) -> None:
    low, high = sorted((a, b))
    found = round_values(low, high, most)
    assert 1 <= len(found) <= most
    slack = 1e-9 * max(abs(low), abs(high), high - low)
    assert all(low - slack <= value <= high + slack for value in found)


def test_round_values_are_what_a_person_would_choose() -> None:
    assert round_values(0, 1) == [0, 0.5, 1]
    assert round_values(0.1, 37.5) == [10, 20, 30]
    assert round_values(-3, 3, 7) == [-3, -2, -1, 0, 1, 2, 3]


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=40),
    st.floats(-1e9, 1e9),
    st.floats(1e-3, 1e9),
)
def test_nothing_is_drawn_outside_of_a_chart(shares: list[float], start: float, width: float) -> None:
    edges = [start + index * width for index in range(len(shares) + 1)]
    chart = histogram("x", Distribution("now", edges, shares))
    for left, top, right, bottom in boxes(shape(chart, "now")):
        assert 0 <= left <= right <= WIDTH
        assert 0 <= top <= bottom <= HEIGHT
