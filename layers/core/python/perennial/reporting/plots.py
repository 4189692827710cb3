"""Charts of figures with their uncertainty: intervals beside one another, reliability, bands, bars with spreads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perennial.reporting.charts import Chart, Format, Label, Shape, round_values
from perennial.reporting.words import cut, number, share

SIZE = WIDTH, HEIGHT = 480, 220
_TOP, _BOTTOM, _LEFT, _RIGHT = 8, 22, 52, 8
_ROW, _NAMES, _LETTER, _FIGURE = 24, 200, 6.4, 60
"""Of a chart with a line for each name: its height, most room for names on the left, room for a letter of them, and
room for a figure on the right."""


@dataclass(frozen=True)
class Dot:
    """A value, and where it likely lies."""

    label: str
    value: float
    ends: tuple[float, float] | None = None
    style: int = 1
    """1 for what is looked at, 2 for what it is compared with, 3 for what is there for scale."""
    beside: float | None = None
    """What it is compared with, as a second dot on the same line."""


@dataclass(frozen=True)
class SpreadBar:
    """A value from 0 on, and how much it varies."""

    label: str
    value: float
    spread: float


@dataclass(frozen=True)
class Band:
    """A line's value at a place, and the band about it."""

    x: float
    value: float
    low: float
    high: float


def dots(title: str, rows: Sequence[Dot], *, form: Format = number, guide: float | None = None) -> Chart:
    """Draw values as dots with their intervals as lines, one below the other over one axis.

    Parameters
    ----------
    title : str
        What the values are.
    rows : sequence of Dot
        From top to bottom, at least one.
    form : callable
        Writes a value.
    guide : float or None
        A value at which a dashed line stands, such as 0.
    """
    names = _room(rows)
    values = [
        end for row in rows for end in (row.value, *(row.ends or ()), *([] if row.beside is None else [row.beside]))
    ] + ([] if guide is None else [guide])
    low, high = _widened(min(values), max(values))
    x = _scale(low, high, names, WIDTH - _FIGURE)
    base = len(rows) * _ROW
    marks = round_values(low, high, 5)
    shapes = [Shape("axis", "".join(f"M{x(value):.1f} 0V{base}" for value in marks))]
    if guide is not None:
        shapes.append(Shape("guide", f"M{x(guide):.1f} 0V{base}"))
    labels = [Label(x(value), base + 14, form(value), "middle", "quiet") for value in marks]
    for index, row in enumerate(rows):
        y = index * _ROW + _ROW / 2
        if row.ends is not None:
            left, right = (x(end) for end in row.ends)
            style = "rule-3" if row.style == 3 else f"line-{row.style}"
            ends = f"M{left:.1f} {y - 4}v8M{right:.1f} {y - 4}v8"
            shapes.append(Shape(style, f"M{left:.1f} {y}H{right:.1f}{ends}"))
        if row.beside is not None:
            shapes.append(Shape("dot-2", _circle(x(row.beside), y, 3)))
        shapes.append(Shape(f"dot-{row.style}", _circle(x(row.value), y)))
        labels.append(Label(names - 8, y + 4, cut(row.label, int(_NAMES / _LETTER)), "end"))
        labels.append(Label(WIDTH, y + 4, form(row.value), "end", "quiet"))
    words = "; ".join(
        f"{row.label}: {form(row.value)}" + (f" ({form(row.ends[0])} to {form(row.ends[1])})" if row.ends else "")
        for row in rows
    )
    return Chart(title, words, shapes, labels, width=WIDTH, height=base + 20)


def spread_bars(title: str, rows: Sequence[SpreadBar], *, form: Format = number) -> Chart:
    """Draw values as horizontal bars from 0 on, negative ones to the left, with their spread as thin lines.

    Parameters
    ----------
    title : str
        What the bars show.
    rows : sequence of SpreadBar
        From top to bottom, at least one.
    form : callable
        Writes a value.
    """
    names = _room(rows)
    low = min(0.0, *(row.value - row.spread for row in rows))
    high = max(0.0, *(row.value + row.spread for row in rows))
    x = _scale(low, high if high > low else low + 1.0, names, WIDTH - _FIGURE)
    bars, spreads, labels = [], [], []
    for index, row in enumerate(rows):
        y = index * _ROW
        bars.append(f"M{x(0):.1f} {y + 5}H{x(row.value):.1f}v{_ROW - 10}H{x(0):.1f}z")
        if row.spread > 0:
            spreads.append(f"M{x(row.value - row.spread):.1f} {y + _ROW / 2}H{x(row.value + row.spread):.1f}")
        labels.append(Label(names - 8, y + _ROW / 2 + 4, cut(row.label, int(_NAMES / _LETTER)), "end"))
        labels.append(Label(WIDTH, y + _ROW / 2 + 4, form(row.value), "end", "quiet"))
    words = "; ".join(f"{row.label}: {form(row.value)}, give or take {form(row.spread)}" for row in rows)
    base = len(rows) * _ROW
    shapes = [Shape("now", "".join(bars)), Shape("line-2", "".join(spreads)), Shape("axis", f"M{x(0):.1f} 0V{base}")]
    return Chart(title, words, [shape for shape in shapes if shape.path], labels, width=WIDTH, height=base)


def reliability(title: str, points: Sequence[tuple[float, float]]) -> Chart:
    """Draw how often things happened over the probability that was said, with the line on which both agree.

    Parameters
    ----------
    title : str
        Whose probabilities.
    points : sequence of pairs
        Predicted and observed share, by rising prediction.
    """
    base = HEIGHT - _BOTTOM
    x, up = _scale(0, 1, _LEFT, WIDTH - _RIGHT), _scale(0, 1, base, _TOP)
    marks = (0.0, 0.25, 0.5, 0.75, 1.0)
    path = "L".join(f"{x(said):.1f} {up(seen):.1f}" for said, seen in points)
    shapes = [
        Shape("axis", "".join(f"M{_LEFT} {up(mark):.1f}H{WIDTH - _RIGHT}" for mark in marks)),
        Shape("guide", f"M{x(0):.1f} {up(0):.1f}L{x(1):.1f} {up(1):.1f}"),
        Shape("line-1", f"M{path}"),
        Shape("dot-1", "".join(_circle(x(said), up(seen)) for said, seen in points)),
    ]
    labels = [Label(x(mark), HEIGHT - 6, share(mark), _anchor(mark, 0, 1), "quiet") for mark in marks]
    labels += [Label(_LEFT - 6, up(mark) + 4, share(mark), "end", "quiet") for mark in marks]
    words = "; ".join(f"said {share(said)}, happened {share(seen)}" for said, seen in points)
    legend = (("line-1", "how often it happened"), ("guide", "as often as was said"))
    return Chart(title, words, shapes, labels, legend, width=WIDTH, height=HEIGHT)


def band(
    title: str,
    points: Sequence[Band],
    names: tuple[str, str],
    *,
    form: Format = number,
    form_x: Format = number,
    guide: float = 0.0,
) -> Chart:
    """Draw a line with a band about it, and a dashed line where nothing would be off.

    Parameters
    ----------
    title : str
        What the line shows.
    points : sequence of Band
        By rising x, at least one.
    names : pair of str
        What the legend says of the line and of the band.
    form, form_x : callable
        Write a value of the vertical and of the horizontal axis.
    guide : float
        Where the dashed line stands.
    """
    base = HEIGHT - _BOTTOM
    low, high = _widened(min(guide, *(p.low for p in points)), max(guide, *(p.high for p in points)))
    left, right = points[0].x, points[-1].x
    x = _scale(left, right if right > left else left + 1.0, _LEFT, WIDTH - _RIGHT)
    up = _scale(low, high, base, _TOP)
    above = "L".join(f"{x(p.x):.1f} {up(p.high):.1f}" for p in points)
    below = "L".join(f"{x(p.x):.1f} {up(p.low):.1f}" for p in reversed(points))
    marks = round_values(low, high, 5)
    shapes = [
        Shape("axis", "".join(f"M{_LEFT} {up(mark):.1f}H{WIDTH - _RIGHT}" for mark in marks)),
        Shape("area", f"M{above}L{below}z"),
        Shape("guide", f"M{_LEFT} {up(guide):.1f}H{WIDTH - _RIGHT}"),
        Shape("line-1", "M" + "L".join(f"{x(p.x):.1f} {up(p.value):.1f}" for p in points)),
    ]
    across = round_values(left, right, 6)
    labels = [Label(x(mark), HEIGHT - 6, form_x(mark), _anchor(mark, left, right), "quiet") for mark in across]
    labels += [Label(_LEFT - 6, up(mark) + 4, form(mark), "end", "quiet") for mark in marks]
    words = "; ".join(f"at {form_x(p.x)}: {form(p.value)} ({form(p.low)} to {form(p.high)})" for p in points)
    return Chart(title, words, shapes, labels, (("line-1", names[0]), ("area", names[1])), width=WIDTH, height=HEIGHT)


def _room(rows: Sequence[Dot] | Sequence[SpreadBar]) -> float:
    return min(_NAMES, round(_LETTER * max(len(row.label) for row in rows)) + 12)


def _widened(low: float, high: float) -> tuple[float, float]:
    more = (high - low) * 0.04 or abs(high) * 0.04 or 1.0
    return low - more, high + more


def _scale(low: float, high: float, first: float, last: float) -> Callable[[float], float]:
    return lambda value: first + (value - low) / (high - low) * (last - first)


def _circle(x: float, y: float, radius: float = 4) -> str:
    return f"M{x - radius:.1f} {y:.1f}a{radius} {radius} 0 1 0 {2 * radius} 0a{radius} {radius} 0 1 0 {-2 * radius} 0z"


def _anchor(value: float, low: float, high: float) -> str:
    return "start" if value <= low else "end" if value >= high else "middle"
