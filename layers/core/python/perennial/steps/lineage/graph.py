"""A lineage as nodes and edges, and siblings taken together where there are too many to look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

KINDS = ("file", "snapshot", "table", "run", "training_set", "version", "prediction", "predictions")
"""Kinds of nodes, in the order in which one is made from another."""
_MANY = {
    "file": "files",
    "snapshot": "snapshots",
    "table": "tables",
    "run": "runs",
    "training_set": "training sets",
    "version": "versions",
    "prediction": "predictions",
    "predictions": "prediction logs",
}


@dataclass(frozen=True)
class Node:
    """A thing."""

    id: str
    """Such as ``version:fare@3``; unique in a lineage."""
    kind: str
    """One of `KINDS`."""
    title: str
    order: str = ""
    """What sorts it among its siblings, such as a month."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else is known of it: JSON values."""
    members: tuple[str, ...] = ()
    """Ids of the nodes that it stands for, if for several."""

    def to_json(self) -> dict[str, Any]:
        """Return the node as JSON values."""
        return {"id": self.id, "kind": self.kind, "title": self.title, **self.facts}


@dataclass(frozen=True, order=True)
class Edge:
    """One thing was made from another."""

    source: str
    """Id of what it was made from."""
    target: str
    """Id of what was made."""


@dataclass(frozen=True)
class Lineage:
    """What something was made from, and what was made from it."""

    thing: str
    """Id of the node that was asked for."""
    nodes: Mapping[str, Node]
    edges: frozenset[Edge]

    @cached_property
    def before(self) -> Mapping[str, Sequence[str]]:
        """Node to what it was made from, in order."""
        return self._neighbours((edge.target, edge.source) for edge in self.edges)

    @cached_property
    def after(self) -> Mapping[str, Sequence[str]]:
        """Node to what was made from it, in order."""
        return self._neighbours((edge.source, edge.target) for edge in self.edges)

    def to_json(self) -> dict[str, Any]:
        """Return nodes and edges as JSON values, in an order that does not change."""
        return {
            "thing": self.thing,
            "nodes": [node.to_json() for node in sorted(self.nodes.values(), key=_place)],
            "edges": [{"source": edge.source, "target": edge.target} for edge in sorted(self.edges)],
        }

    def collapsed(self, most: int = 4) -> Lineage:
        """Return this lineage with one node in place of siblings of a kind, if there are more than ``most`` of them.

        Siblings are as far from the thing, on the same side of it, and lead to the same nodes that are nearer to it
        (which may be taken together themselves).
        """
        group = {self.thing: self.thing}
        nodes = {self.thing: self.nodes[self.thing]}
        sides = (self.after, self.before), (self.before, self.after)
        # Last what is reached round a corner only: from a run over its training set to what this was made from.
        for (towards, away), starts in zip((*sides, *sides), (1, 1, None, None), strict=True):
            level = list(group)[:starts]
            while level:
                found = dict.fromkeys(node for one in level for node in away.get(one, ()) if node not in group)
                siblings: dict[tuple[str, frozenset[str]], list[str]] = defaultdict(list)
                for name in found:
                    reached = frozenset(group[other] for other in towards.get(name, ()) if other in group)
                    siblings[self.nodes[name].kind, reached].append(name)
                for (kind, _), names in siblings.items():
                    for node in self._taken_together(kind, names, most):
                        nodes[node.id] = node
                        group.update(dict.fromkeys(node.members or (node.id,), node.id))
                level = list(found)
        edges = {Edge(group[edge.source], group[edge.target]) for edge in self.edges}
        return Lineage(self.thing, nodes, frozenset(edge for edge in edges if edge.source != edge.target))

    def _taken_together(self, kind: str, names: Sequence[str], most: int) -> list[Node]:
        found = sorted((self.nodes[name] for name in names), key=_place)
        if len(found) <= most:
            return found
        first, last = (node.order or node.title for node in (found[0], found[-1]))
        title = f"{len(found):,} {_MANY[kind]}, {first} … {last}"
        ids = tuple(node.id for node in found)
        return [Node(f"{kind}:{ids[0]}…{ids[-1]}", kind, title, found[0].order, members=ids)]

    def _neighbours(self, pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for one, other in pairs:
            found[one].append(other)
        return {one: sorted(others, key=lambda other: _place(self.nodes[other])) for one, others in found.items()}


def _place(node: Node) -> tuple[int, str, str]:
    return KINDS.index(node.kind), node.order, node.id
