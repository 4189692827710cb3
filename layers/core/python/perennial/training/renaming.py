"""Names of a graph that somebody else made, by the order in which they occur.

skl2onnx counts some names on from one conversion to the next in a process, so equal estimators gave unequal files.
"""

from __future__ import annotations

from onnx import GraphProto


def rename(graph: GraphProto) -> dict[str, str]:
    """Rename every value and node of a graph, and of the graphs within it, in place.

    Returns
    -------
    dict
        Old name to new name of each value; none of them is ``features`` or ``prediction``.
    """
    names: dict[str, str] = {"": ""}  # an input that is left out
    _rename(graph, names)
    return names


def _rename(graph: GraphProto, names: dict[str, str]) -> None:
    graph.name = "inner"
    del graph.value_info[:]
    for entry in (*graph.input, *graph.initializer):
        entry.name = _new(entry.name, names)
    for place, node in enumerate(graph.node):
        node.name = f"inner_node_{place}"
        for values in (node.input, node.output):
            values[:] = [_new(name, names) for name in values]
        for attribute in node.attribute:
            for within in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                _rename(within, names)
    for entry in graph.output:
        entry.name = _new(entry.name, names)


def _new(name: str, names: dict[str, str]) -> str:
    return names.setdefault(name, f"inner_{len(names)}")
