"""A lineage as the API tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perennial.errors import DataError, RequestError
from perennial.ports import Ports
from perennial.steps.describe import Described, whole
from perennial.steps.lineage.search import lineage_of

MOST, DEFAULT = 1000, 100
"""Siblings of a kind that are told one by one: at most, and unless the caller says."""


class EdgeDetail(Described):
    """One thing was made from another."""

    source: str
    """What it was made from."""
    target: str


class LineageDetail(Described):
    """What something was made from, and what was made from it."""

    thing: str
    """Id of the node that was asked for."""
    nodes: list[dict[str, Any]]
    """Each with its ``id``, ``kind`` and ``title``, and what else is known of it."""
    edges: list[EdgeDetail]


def described(ports: Ports, thing: str, query: Mapping[str, str]) -> LineageDetail:
    """Show a lineage; of many siblings, as there are uploads of years, those beyond ``most`` are one node.

    Raises
    ------
    NotFoundError
        There is no such thing.
    RequestError
        Several begin so, or ``most`` is no number that is allowed.
    """
    most = whole(query, "most", DEFAULT, MOST)
    try:
        found = lineage_of(ports, thing, latest_runs=0)
    except DataError as error:
        raise RequestError(str(error), "thing") from None
    told = found.collapsed(most).to_json()
    return LineageDetail.model_validate(told)
