"""The command `perennial experiments`."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.deployment import Deployment
from infra.display import Display
from infra.options import Json, Name, Stage

experimenting = typer.Typer(rich_markup_mode=None)


@experimenting.command()
def experiments(
    model: str,
    by: Annotated[str | None, typer.Option(help="Metric to sort by; the model's own by default.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    close: Annotated[
        str | None, typer.Option(metavar="RUN", help="Close this experiment as failed: its process died.")
    ] = None,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Show the experiments on a model side by side, the best first; or close one whose process died."""
    from infra.experiments import list_experiments
    from infra.runs import find_run
    from perennial.client import Client

    deployment = Deployment.connect(stage, name)
    if close is not None:
        Client(deployment.ports, deployment).close_experiment(find_run(deployment.ports.catalog, close).run_id)
    content, tables = list_experiments(deployment.ports, model, by, limit)
    Display(json).result(content, *tables)
