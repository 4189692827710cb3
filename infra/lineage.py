"""What the terminal shows of a lineage: two trees, one of what a thing was made from, one of what was made from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.tree import Tree

from perennial.client.lineage import Lineage


def tree(lineage: Lineage) -> list[Tree]:
    """Return the trees; what is reached twice is shown with all that follows once only."""
    root = Tree(f"[bold]{escape(lineage.nodes[lineage.thing].title)}[/]")
    for title, neighbours in (("made from", lineage.before), ("made from it", lineage.after)):
        if neighbours.get(lineage.thing):
            _grow(root.add(f"[cyan]{title}[/]"), lineage, lineage.thing, neighbours, {lineage.thing})
    return [root]


def _grow(branch: Tree, lineage: Lineage, name: str, neighbours: Mapping[str, Sequence[str]], shown: set[str]) -> None:
    for other in neighbours.get(name, ()):
        node = lineage.nodes[other]
        kind = f"[dim]{escape(node.kind.replace('_', ' '))}[/]  "
        again = other in shown and bool(neighbours.get(other))
        grown = branch.add(f"{kind}{escape(node.title)}" + (" [dim](above)[/]" if again else ""))
        if other not in shown:
            shown.add(other)
            _grow(grown, lineage, other, neighbours, shown)
