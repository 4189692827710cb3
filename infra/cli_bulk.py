"""The command of `perennial` about bulk predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from infra.deployment import Deployment
from infra.display import Display, Markup, describe_run, mark, table
from infra.options import Json, Name, Stage, Wait
from perennial.errors import DataError
from perennial.records import Run

SECONDS = 6 * 3600.0
"""As long as its state machine allows."""
bulk = typer.Typer()


@bulk.command("batch-predict")
def batch_predict(
    model: str,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE...]", help="Files in the format of the model's dataset, or s3:// addresses."),
    ] = None,
    version: Annotated[str | None, typer.Option(help="Ask this version, or alias, not the champion.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Save all predictions in this .parquet, .csv or .jsonl file, or each part in this folder."),
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Go on with what this run left undone; its files, its version.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    wait: Wait = True,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Predict the rows of whole files; what breaks the contract is left out, and told with its line and reason."""
    from infra.batch_predictions import Target, ask, describe, follow, result_of, save

    display = Display(json)
    if output is not None and not wait:
        raise DataError("--output saves what there is when the run has ended; leave --no-wait out")
    target = None if output is None else Target.of(output)
    deployment = Deployment.connect(stage, name)
    started = ask(deployment, model, files or [], version, resume, reason)
    if not wait:
        display.result({"run_id": started}, f"started {started}")
        return
    with display.working("predicting"):
        run = follow(deployment, started, SECONDS, display.step)
    content = run.model_dump(mode="json")
    if run.status != "succeeded":
        display.result(content, _line(run))
        raise typer.Exit(1)
    result = result_of(deployment.ports, run)
    saved = None if target is None else [str(path) for path in save(deployment.ports, result, target)]
    display.result(
        {**content, "result": result.model_dump(mode="json"), "saved": saved},
        _line(run),
        table("", *describe(result)),
        *([f"saved {', '.join(saved)}"] if saved else []),
    )


def _line(run: Run) -> Markup:
    return Markup(f"{mark(run.status)} {escape(describe_run(run))}")
