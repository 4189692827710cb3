"""What the terminal shows of the monitor's findings: the latest, and those before it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from infra.display import Markup, table
from perennial.errors import DataError, NotFoundError
from perennial.monitoring.published import METRICS
from perennial.monitoring.sentences import figure_in_words
from perennial.ports import Catalog, Ports
from perennial.records import Assessment

_LOOKED_AT = 500
_SHOWN = 20


def show_watch(catalog: Catalog, model: str) -> tuple[dict[str, Any], list[Table | Markup]]:
    """Return the latest finding about a model and those before it, as JSON and as what to print.

    Raises
    ------
    NotFoundError
        The monitor has not looked at such a model yet.
    """
    found = by_minute(catalog.assessments(model, _LOOKED_AT))
    if not found:
        raise NotFoundError(
            f"the monitor has not looked at a model {model!r} yet; it does when predictions come, and once an hour"
        )
    latest = found[0]
    content = {
        "latest": latest.model_dump(mode="json"),
        "history": [one.model_dump(mode="json") for one in found[:_SHOWN]],
    }
    verdict = "[red]needs attention[/]" if latest.attention else "[green]as it was[/]"
    lines = [f"{escape(model)} version {latest.version} {verdict}: {escape(latest.sentence)}"]
    if latest.report_key:
        lines.append(f"report of {latest.reported_at:%Y-%m-%d %H:%M} UTC: perennial monitor {model} --report FILE")
    figures = [
        (signal, metric, f"{latest.figures[signal]:.2f}", "above its limit" if latest.figures[signal] > 1 else "")
        for metric, signal in METRICS.items()
        if signal in latest.figures
    ]
    moved = [(one.subject, figure_in_words(one), f"{one.chance:.2g}") for one in latest.moved]
    history = [
        (one.at, one.version, one.rows, one.labelled, "yes" if one.attention else "", one.sentence)
        for one in found[:_SHOWN]
    ]
    return content, [
        Markup("\n".join(lines)),
        *([table("signals: 1 is the limit", ["signal", "metric", "× its limit", ""], figures)] if figures else []),
        *([table("what moved", ["of", "figure", "chance of so much"], moved)] if moved else []),
        table("looks", ["at", "version", "rows", "labelled", "attention", "what the monitor saw"], history),
    ]


def save_report(ports: Ports, model: str, path: Path) -> dict[str, str]:
    """Write the page of the latest report about a model into a file; return where it is and of when.

    Raises
    ------
    NotFoundError
        There is none yet.
    """
    latest = next(iter(ports.catalog.assessments(model, 1)), None)
    if latest is None or latest.report_key is None or latest.reported_at is None:
        raise NotFoundError(f"there is no report about model {model!r} yet; see `perennial monitor {model}`")
    page = ports.artifacts.get(f"{latest.report_key.removesuffix('.json')}.html")
    try:
        path.write_bytes(page)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from None
    return {"report": str(path), "key": latest.report_key, "at": latest.reported_at.isoformat()}


def by_minute(assessments: list[Assessment]) -> list[Assessment]:
    """Return the latest of each minute and version: the monitor looks whenever something came in."""
    latest: dict[tuple[datetime, int], Assessment] = {}
    for one in assessments:
        latest.setdefault((one.at.replace(second=0, microsecond=0), one.version), one)
    return list(latest.values())
