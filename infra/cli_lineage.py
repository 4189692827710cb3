"""The commands of `perennial` about where things come from: lineage, rebuild."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from infra.deployment import Deployment
from infra.display import Display, Markup, describe_run, mark, table
from infra.options import RUN_SECONDS, Json, Name, Stage, Wait
from perennial.errors import DataError

lineage = typer.Typer()


@lineage.command("lineage")
def show_lineage(
    thing: Annotated[
        list[str],
        typer.Argument(
            metavar="THING",
            help="A prediction id, MODEL@VERSION, an id of a snapshot, a training set or a run, or an uploaded file.",
        ),
    ],
    html: Annotated[Path | None, typer.Option(help="Save a page with a picture in a file.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Save the picture in a file.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Take no siblings together, however many there are.")] = False,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Show what something was made from, and what was made from it."""
    from infra.lineage import tree
    from perennial.client.lineage import draw_page, draw_svg, lineage_of

    display = Display(json)
    found = lineage_of(Deployment.connect(stage, name).ports, " ".join(thing))
    most = len(found.nodes) if all_ else 4
    for path, draw in ((html, draw_page), (svg, draw_svg)):
        if path is not None:
            try:
                path.write_text(draw(found, most), encoding="utf-8")
            except OSError as error:
                raise DataError(f"{path}: cannot be written: {error.strerror}") from None
    display.result(found.to_json(), *tree(found.collapsed(most)))


@lineage.command()
def rebuild(
    model: str,
    version: int,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    wait: Wait = True,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Make a version again from what was recorded of it; exit code 1 if it is not the same to the byte."""
    from infra.operations import follow_started, start_machine

    display = Display(json)
    deployment = Deployment.connect(stage, name)
    deployment.ports.catalog.version(model, version)
    started = start_machine(deployment, "rebuild", {"model": model, "version": version}, reason)
    if not wait:
        display.result(started, f"started {started['run_id']}")
        return
    run = follow_started(deployment, started["run_id"], RUN_SECONDS, display.step)
    findings = run.outputs.get("findings", ())
    display.result(
        run.model_dump(mode="json"),
        Markup(f"{mark(run.status)} {escape(describe_run(run))}"),
        *([table("", ["what is not as it was"], [(finding,) for finding in findings])] if findings else []),
    )
    if run.status != "succeeded" or not run.outputs.get("identical"):
        raise typer.Exit(1)
