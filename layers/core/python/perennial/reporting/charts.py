"""Charts as plain geometry: what is drawn where; the templates write it as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from perennial.reporting.words import cut, number, share

WIDTH, HEIGHT = 320, 132
_TOP, _BOTTOM, _SIDE = 6, 20, 4
_ROW, _LABEL, _LETTER, _VALUE = 18, 104, 6.6, 64
"""Of a bar chart: height of a row, most room for the labels on its left, room for a letter of them, and room for the
figures on its right."""
_DATE = 72
"""Room for a value below a chart of lines."""

Format = Callable[[float], str]


@dataclass(frozen=True)
class Shape:
    """An SVG path."""

    style: str
    """Its CSS class: ``now`` and ``before`` for two that are compared, ``line-1`` … for more, ``axis``."""
    path: str


@dataclass(frozen=True)
class Label:
    """A text within a chart."""

    x: float
    y: float
    text: str
    anchor: str = "middle"
    style: str = ""


@dataclass(frozen=True)
class Chart:
    """A drawing with its description in words, for those who cannot see it."""

    title: str
    description: str
    shapes: Sequence[Shape]
    labels: Sequence[Label]
    legend: Sequence[tuple[str, str]] = ()
    """CSS class and what is drawn with it."""
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True)
class Distribution:
    """How values are spread."""

    name: str
    """What the legend says."""
    edges: Sequence[float]
    shares: Sequence[float]
    """Share of all values that lies between two edges, one fewer than there are edges."""


@dataclass(frozen=True)
class Bar:
    """A row of a bar chart."""

    label: str
    value: float
    before: float | None = None
    """What is drawn for comparison."""


@dataclass(frozen=True)
class Line:
    """Points that belong together, such as a metric by month."""

    name: str
    points: Sequence[tuple[float, float]]
    """x and y, by rising x."""


def histogram(
    title: str,
    now: Distribution,
    before: Distribution | None = None,
    *,
    form: Format = number,
    ticks: Sequence[float] | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> Chart:
    """Draw a distribution as bars, and one to compare it with as an outline.

    Heights are densities, share over width, so that the areas compare even where the edges differ.

    Parameters
    ----------
    title : str
        What is distributed.
    now, before : Distribution
        At least two edges each.
    form : callable
        Writes a value of the axis.
    ticks : sequence of float or None
        Where the axis bears values; None chooses round numbers.
    size : pair of int
        Width and height.
    """
    across, high_up = size
    drawn = [now] if before is None else [now, before]
    low = min(each.edges[0] for each in drawn)
    high = max(each.edges[-1] for each in drawn)
    densities = [_densities(each, high - low) for each in drawn]
    top = max(max(values) for values in densities) or 1.0
    base = high_up - _BOTTOM

    def x(value: float) -> float:
        return _SIDE + (value - low) / (high - low) * (across - 2 * _SIDE)

    def y(density: float) -> float:
        return base - density / top * (base - _TOP)

    bars = "".join(
        f"M{x(left):.1f} {base}V{y(density):.1f}H{max(x(right), x(left) + 0.8):.1f}V{base}z"
        for (left, right), density in zip(pairwise(now.edges), densities[0], strict=True)
        if density
    )
    shapes = [Shape("axis", f"M{_SIDE} {base + 0.5}H{across - _SIDE}"), Shape("now", bars)]
    if before is not None:
        steps = "".join(
            f"V{y(density):.1f}H{x(right):.1f}" for right, density in zip(before.edges[1:], densities[1], strict=True)
        )
        shapes.append(Shape("before", f"M{x(before.edges[0]):.1f} {base}{steps}V{base}"))
    shown = [value for value in (round_values(low, high) if ticks is None else ticks) if low <= value <= high]
    return Chart(
        title,
        "; ".join(_in_words(each, form) for each in drawn),
        shapes,
        _axis(shown, x, form, size),
        _legend(drawn),
        *size,
    )


def bars(title: str, rows: Sequence[Bar], names: tuple[str, str] = ("now", "before"), *, form: Format = share) -> Chart:
    """Draw values as horizontal bars with their labels, and what they are compared with as thin bars below.

    Parameters
    ----------
    title : str
        What the bars show.
    rows : sequence of Bar
        From top to bottom; values are not negative.
    names : pair of str
        What the legend says of ``value`` and ``before``.
    form : callable
        Writes a value.
    """
    labelled = min(_LABEL, round(_LETTER * max((len(row.label) for row in rows), default=0)) + 10)
    room = WIDTH - labelled - _VALUE
    top = max([max(row.value, row.before or 0) for row in rows], default=0) or 1.0
    compared = any(row.before is not None for row in rows)
    now, before, labels = [], [], []
    for index, row in enumerate(rows):
        y = index * _ROW
        deep = 8 if compared else 11
        now.append(f"M{labelled} {y + 3}h{row.value / top * room:.1f}v{deep}h-{row.value / top * room:.1f}z")
        if row.before:
            before.append(f"M{labelled} {y + 12.5}h{row.before / top * room:.1f}v2.5h-{row.before / top * room:.1f}z")
        labels.append(Label(labelled - 6, y + 12.5, cut(row.label, 15), "end"))
        longest = max(row.value, row.before or 0) / top * room
        labels.append(Label(labelled + longest + 5, y + 12.5, form(row.value), "start", "quiet"))
    words = "; ".join(
        f"{row.label}: {form(row.value)}" + (f" ({names[1]} {form(row.before)})" if row.before is not None else "")
        for row in rows
    )
    shapes = [Shape("now", "".join(now)), *([Shape("before solid", "".join(before))] if before else [])]
    legend = (("now", names[0]), ("before", names[1])) if compared else ()
    return Chart(title, words, shapes, labels, legend, height=max(len(rows), 1) * _ROW)


def lines(
    title: str,
    series: Sequence[Line],
    *,
    form: Format = number,
    form_x: Format = number,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> Chart:
    """Draw lines over one axis; the scale of y begins at 0 unless values lie below, and ends at a round number.

    Parameters
    ----------
    title : str
        What the lines show.
    series : sequence of Line
        At most five, at least one point in all.
    form, form_x : callable
        Write a value of the vertical and of the horizontal axis.
    size : pair of int
        Width and height.
    """
    points = [point for line in series for point in line.points]
    low, high = min(x for x, _ in points), max(x for x, _ in points)
    bottom, top = min(0.0, *(y for _, y in points)), max(y for _, y in points)
    base, left, width = size[1] - _BOTTOM, 44, high - low or 1.0
    marked = _up_to_a_round_value(bottom, top, 3 if size[1] <= HEIGHT else 5)
    height = max(top, marked[-1]) - bottom or 1.0

    def x(value: float) -> float:
        return left + (value - low) / width * (size[0] - left - 2 * _SIDE)

    def y(value: float) -> float:
        return base - (value - bottom) / height * (base - _TOP - 4)

    shapes = [Shape("axis", "".join(f"M{left} {y(value):.1f}H{size[0] - _SIDE}" for value in marked))]
    for order, line in enumerate(series, start=1):
        path = "L".join(f"{x(across):.1f} {y(up):.1f}" for across, up in line.points)
        shapes.append(Shape(f"line-{order}", f"M{path}" + ("h.01" if len(line.points) == 1 else "")))
    marks = [Label(left - 5, y(value) + 4, form(value), "end", "quiet") for value in marked]
    words = "; ".join(
        f"{line.name}: " + ", ".join(f"{form(up)} at {form_x(across)}" for across, up in line.points) for line in series
    )
    named = sorted({across for across, _ in points})
    if any(x(after) - x(before) < _DATE for before, after in pairwise(named)):
        named = [low, high]
    legend = tuple((f"line-{order}", line.name) for order, line in enumerate(series, start=1))
    return Chart(title, words, shapes, [*marks, *_axis(named, x, form_x, size)], legend, *size)


def round_values(low: float, high: float, most: int = 5) -> list[float]:
    """Return at most ``most`` round numbers, evenly spaced, that lie between two values (both included).

    Their distance is 1, 2 or 5 times a power of ten; where not even one lies between, the lower value stands alone.
    """
    span = high - low
    if not (0 < span < math.inf):
        return [low]
    power = math.floor(math.log10(span / most))
    for exponent in (power, power + 1):
        for factor in (1, 2, 5):
            step = factor * 10.0**exponent
            first, last = math.ceil(low / step), math.floor(high / step)
            if last - first + 1 <= most:
                found = [round(index * step, 12 - exponent) for index in range(first, last + 1)]
                return found or [low]
    return [low]


def _up_to_a_round_value(low: float, high: float, most: int) -> list[float]:
    """Return round values of which the last is not below ``high``, unless there is but one."""
    found = round_values(low, high, most)
    return [*found, 2 * found[-1] - found[-2]] if len(found) > 1 and high > found[-1] else found


def _densities(distribution: Distribution, span: float) -> list[float]:
    return [
        value / ((right - left) / span)
        for (left, right), value in zip(pairwise(distribution.edges), distribution.shares, strict=True)
    ]


def _axis(values: Sequence[float], x: Callable[[float], float], form: Format, size: tuple[int, int]) -> list[Label]:
    labels = []
    for value in values:
        anchor = "start" if x(value) < 24 else "end" if x(value) > size[0] - 24 else "middle"
        labels.append(Label(round(x(value), 1), size[1] - 6, form(value), anchor, "quiet"))
    return labels


def _legend(drawn: Sequence[Distribution]) -> tuple[tuple[str, str], ...]:
    return tuple(zip(("now", "before"), (each.name for each in drawn), strict=False)) if len(drawn) > 1 else ()


def _in_words(distribution: Distribution, form: Format) -> str:
    fullest = max(range(len(distribution.shares)), key=lambda index: distribution.shares[index])
    left, right = distribution.edges[fullest : fullest + 2]
    low, high = distribution.edges[0], distribution.edges[-1]
    return (
        f"{distribution.name}: from {form(low)} to {form(high)}, most often between {form(left)} and {form(right)} "
        f"({share(distribution.shares[fullest])})"
    )
