"""Where something came from, and what was made of it: for the client, the command line and the API."""

from perennial.steps.lineage.answer import LineageDetail, described
from perennial.steps.lineage.graph import Edge, Lineage, Node
from perennial.steps.lineage.search import RUNS, lineage_of

__all__ = ["RUNS", "Edge", "Lineage", "LineageDetail", "Node", "described", "lineage_of"]
