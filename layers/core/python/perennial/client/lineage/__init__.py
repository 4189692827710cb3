"""Where something came from, and what was made of it."""

from perennial.client.lineage.drawing import draw_page, draw_svg
from perennial.steps.lineage import Edge, Lineage, Node, lineage_of

__all__ = ["Edge", "Lineage", "Node", "draw_page", "draw_svg", "lineage_of"]
