"""What the CLI tells of a run's search: how far it has come, the best so far, what stopped it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from infra.display import Markup, several, table


def search_progress(output: Mapping[str, Any]) -> list[Table | Markup]:
    """Return what to print of the record of the step ``search``; nothing if no round is planned yet."""
    if not output:
        return []
    metric = output["metric"]
    columns = ["candidate", "trials", "under way", "failed", "best", f"best {metric}", f"default {metric}"]
    rows = [
        (
            name,
            found["trials"],
            found["waiting"],
            found["failed"],
            None if found["number"] is None else f"trial {found['number']}",
            found["value"],
            found["default"],
            _parameters(found),
            found["stopped"] or "goes on",
        )
        for name, found in output["candidates"].items()
    ]
    rounds = several(output["round"] - output["done"], "round")
    spent = f"{rounds} in {output['seconds']:,.0f} s, ${output['dollars']:.4f} at list price"
    end = f"ended: {output['reason']}" if output["done"] else f"{several(output['trials'], 'trial')} under way"
    return [
        table("search", [*columns, "parameters", "stopped because"], rows),
        Markup(escape(f"{spent}; {end}")),
    ]


def _parameters(found: Mapping[str, Any]) -> str | None:
    if found["number"] is None:
        return None
    return ", ".join(f"{name} = {value}" for name, value in found["parameters"].items()) or "the defaults"
