"""What the CLI tells of a version on its way to serve: where it stands, and what it was held against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from infra.display import Markup, table
from perennial import keys
from perennial.ports import Ports
from perennial.records import Champion, Run, StepRecord
from perennial.steps.delivering.delivery_report import PHASE


def on_its_way(champion: Champion | None) -> list[Table]:
    """Return what stands beside a champion, as a table; nothing if it serves alone."""
    there = champion.challenger if champion else None
    if there is None:
        return []
    columns = ["version", "phase", "since", "run"]
    return [table("on its way to serve", columns, [(there.version, there.phase, there.since, there.run_id)])]


def phases_seen(ports: Ports, run: Run, steps: Sequence[StepRecord]) -> list[Table | Markup]:
    """Return how a deployment's phases went, and where its report is."""
    looks = [step.output for step in steps if step.step.startswith(PHASE) and step.output]
    shown: list[Table | Markup] = [table(_title(look), ["rule", "", "value", "limit", "found"], _rules(look))
                                   for look in looks]  # fmt: skip
    key = keys.delivery_report(run.subject, run.run_id, "html")
    if looks and ports.artifacts.exists(key):
        shown.append(Markup(escape(f"report: s3://{ports.artifacts.bucket}/{key}")))
    return shown


def _title(look: dict[str, Any]) -> str:
    its, other = look["challenger"], look["champion"]
    return (
        f"{look['phase']}: {its['requests']:,} requests of version {its['version']}, "
        f"{other['requests']:,} of version {other['version']}"
    )


def _rules(look: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (one["rule"], "holds" if one["passed"] else "broken", one["value"], one["limit"], one["sentence"])
        for one in look["ratings"]
    ]
