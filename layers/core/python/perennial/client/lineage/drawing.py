"""A lineage as a picture: layers from left to right, each thing right of all that it was made from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from perennial.steps.lineage.graph import Lineage, Node

WIDTH, GAP, ROW, MARGIN = 224, 32, 80, 16
"""Width of a box, room between columns, height of a row and the picture's margin, in pixels."""
_LETTERS, _LINES, _LINE, _BOX = 26, 3, 15, 66
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1c2530 } .kind { font-size: 10px; fill: #66717f }
rect { fill: #fff; stroke: #b8c1cc } .thing rect { stroke: #b4530a; stroke-width: 2.5 }
.file rect { fill: #f3f5f7 } .snapshot rect, .table rect { fill: #eaf3fb } .training_set rect { fill: #eef7ee }
.version rect { fill: #fdf1e3 } .prediction rect, .predictions rect { fill: #f6eefb }
path { fill: none; stroke: #93a0ae } .back { fill: #fff; stroke: none }
"""
_PAGE = """
body { font: 14px system-ui, sans-serif; margin: 2rem } h1 { font-size: 1.4rem; overflow-wrap: anywhere }
div { overflow: auto; margin-bottom: 1.5rem } div svg { max-width: 100%; min-width: 60rem; height: auto }
th, td { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; overflow-wrap: anywhere }
tr > :first-child { white-space: nowrap }
"""


@dataclass(frozen=True)
class _Box:
    node: Node
    x: float
    y: float


def draw_svg(lineage: Lineage, most: int = 4) -> str:
    """Return a lineage as a self-contained SVG; siblings beyond ``most`` are drawn as one box that says how many."""
    shown = lineage.collapsed(most)
    boxes = _boxes(shown)
    width = max(box.x for box in boxes.values()) + WIDTH + MARGIN
    height = max(box.y for box in boxes.values()) + _BOX + MARGIN
    lines = [_line(boxes[edge.source], boxes[edge.target]) for edge in sorted(shown.edges)]
    drawn = [_drawn(box, box.node.id == shown.thing) for box in boxes.values()]
    title = escape(f"Lineage of {shown.nodes[shown.thing].title}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}"><title>{title}</title><style>{_STYLE}</style>'
        f'<rect class="back" width="100%" height="100%"/>{"".join(lines)}{"".join(drawn)}</svg>\n'
    )


def draw_page(lineage: Lineage, most: int = 4) -> str:
    """Return a self-contained HTML page: the picture, and below it every node, none taken together."""
    rows = "".join(
        f"<tr><td>{escape(node.kind.replace('_', ' '))}<td>{escape(node.title)}<td><code>{escape(node.id)}</code>"
        for node in sorted(lineage.nodes.values(), key=lambda node: (node.kind, node.order, node.id))
    )
    title = escape(f"Lineage of {lineage.nodes[lineage.thing].title}")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_PAGE}</style>'
        f"<h1>{title}</h1><div>{draw_svg(lineage, most)}</div><table><tr><th>What<th>Which<th>Id{rows}</table></html>\n"
    )


def _boxes(lineage: Lineage) -> dict[str, _Box]:
    """Place each node: its column by the longest way from what nothing is known to be made from."""
    columns: dict[int, list[str]] = defaultdict(list)
    for name, layer in _layers(lineage).items():
        columns[layer].append(name)
    tallest = max(map(len, columns.values()))
    boxes: dict[str, _Box] = {}
    for layer in sorted(columns):
        names = _ordered(columns[layer], lineage.before, boxes)
        top = MARGIN + (tallest - len(names)) * ROW / 2
        for row, name in enumerate(names):
            boxes[name] = _Box(lineage.nodes[name], MARGIN + layer * (WIDTH + GAP), top + row * ROW)
    return boxes


def _layers(lineage: Lineage) -> dict[str, int]:
    layers: dict[str, int] = {}

    def layer(name: str, path: frozenset[str]) -> int:
        if name not in layers:
            before = [one for one in lineage.before.get(name, ()) if one not in path]
            layers[name] = max((layer(one, path | {name}) + 1 for one in before), default=0)
        return layers[name]

    for name in sorted(lineage.nodes):
        layer(name, frozenset())
    return layers


def _ordered(names: Sequence[str], before: Mapping[str, Sequence[str]], boxes: Mapping[str, _Box]) -> list[str]:
    """Order a column by the mean height of what its nodes were made from, so that few lines cross."""

    def height(name: str) -> float:
        heights = [boxes[one].y for one in before.get(name, ()) if one in boxes]
        return sum(heights) / len(heights) if heights else 0.0

    return sorted(names, key=lambda name: (height(name), name))


def _line(source: _Box, target: _Box) -> str:
    x, y, to_x, to_y = source.x + WIDTH, source.y + _BOX / 2, target.x, target.y + _BOX / 2
    bend = max(GAP, (to_x - x) / 2)
    return f'<path d="M{x:.0f} {y:.0f}C{x + bend:.0f} {y:.0f} {to_x - bend:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}"/>'


def _drawn(box: _Box, is_thing: bool) -> str:
    node = box.node
    texts = "".join(
        f'<text x="{box.x + 10:.0f}" y="{box.y + 28 + place * _LINE:.0f}">{escape(line)}</text>'
        for place, line in enumerate(_wrapped(node.title))
    )
    kind = escape(node.kind.replace("_", " "))
    return (
        f'<g class="{escape(node.kind)}{" thing" if is_thing else ""}"><title>{escape(node.title)}</title>'
        f'<rect x="{box.x:.0f}" y="{box.y:.0f}" width="{WIDTH}" height="{_BOX}" rx="6"/>'
        f'<text class="kind" x="{box.x + 10:.0f}" y="{box.y + 13:.0f}">{kind}</text>{texts}</g>'
    )


def _wrapped(text: str) -> list[str]:
    """Return a title in at most three lines that a box is wide enough for; the end of a long word is what tells."""
    lines: list[str] = []
    for word in text.split(" "):
        short = word if len(word) <= _LETTERS else f"…{word[1 - _LETTERS :]}"
        if lines and len(lines[-1]) + 1 + len(short) <= _LETTERS:
            lines[-1] += f" {short}"
        else:
            lines.append(short)
    return lines if len(lines) <= _LINES else [*lines[: _LINES - 1], f"{lines[_LINES - 1][: _LETTERS - 1]}…"]
