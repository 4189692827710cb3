"""The command of `perennial` about what the monitor saw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from infra.deployment import Deployment
from infra.display import Display
from infra.options import Json, Name, Stage

watching = typer.Typer()


@watching.command("monitor")
def monitor(
    model: str,
    report: Annotated[Path | None, typer.Option(help="Save the page of the latest report in a file.")] = None,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Show whether a model's world moved: the monitor's latest finding and those before it, or its report."""
    from infra.watch import save_report, show_watch

    display = Display(json)
    ports = Deployment.connect(stage, name).ports
    if report is not None:
        saved = save_report(ports, model, report)
        display.result(saved, f"saved {saved['report']}, of {saved['at']}")
        return
    content, shown = show_watch(ports.catalog, model)
    display.result(content, *shown)
