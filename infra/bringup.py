"""Bringing a deployment up and taking it down, with progress that people can follow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from infra import deploy
from infra.deployment import Deployment
from infra.display import Display
from infra.local.cloud import Endpoint, LocalCloud
from perennial.data.check import check_definitions
from perennial.data.feature_types import categorical_features
from perennial.data.views.compiled import compile_request_view
from perennial.definitions.files import Definitions, load_definitions
from perennial.training.check import check_candidates


def bring_up(
    stage: str, stack: str, definitions: Path, display: Display, context: Mapping[str, str] | None = None
) -> Deployment:
    """Check the definitions, start the local cloud if the stage is local, and deploy the stack.

    Parameters
    ----------
    context : mapping or None
        More context values for the app, such as who may call (see `infra.stage`).

    Raises
    ------
    DefinitionError
        A definition is wrong; nothing was deployed.
    CloudError
        The local cloud did not start.
    DeployError
        The stack could not be deployed; the message is CloudFormation's reason.
    """
    read_definitions(definitions)
    endpoint = LocalCloud().start() if stage == "local" else None
    with _bar(display, f"deploying {stack}") as report:
        outputs = deploy.deploy(
            stage=stage,
            stack=stack,
            environment=environment(endpoint),
            definitions=definitions,
            context={**(context or {}), "name": stack},
            output=endpoint.state / "cdk.out" if endpoint else None,
            report=report,
        )
    return Deployment(stack, outputs, endpoint)


def read_definitions(folder: Path) -> Definitions:
    """Return a folder's definitions, fully checked.

    Raises
    ------
    DefinitionError
        The first thing that is wrong, in one sentence.
    """
    definitions = load_definitions(folder)
    check_definitions(definitions)
    check_candidates(definitions)
    return definitions


def request_views_served(definitions: Definitions) -> dict[str, str]:
    """Say of each request view that a model reads whether it is compiled, and if not, why."""
    served: dict[str, str] = {}
    for model in definitions.models.values():
        compiled = compile_request_view(model, definitions, categorical_features(model, definitions))
        if compiled is None:
            continue
        name = next(name for name in model.features if definitions.view(name).kind == "request")
        if compiled.reason:  # what any model has to leave to the engine is worth knowing
            served[name] = f"served by DuckDB; not compiled: {compiled.reason}"
        else:
            served.setdefault(name, "compiled")
    return served


def take_down(stage: str, stack: str, display: Display) -> None:
    """Destroy a stack in AWS.

    Raises
    ------
    DeployError
        The stack could not be destroyed; the message is CloudFormation's reason.
    """
    with _bar(display, f"destroying {stack}") as report:
        deploy.destroy(stage=stage, stack=stack, environment=environment(None), context={"name": stack}, report=report)


def environment(endpoint: Endpoint | None) -> Mapping[str, str]:
    """Return the environment of the CDK CLI: the user's own, or the user's own led to the local cloud alone."""
    if endpoint is None:
        return dict(os.environ)
    kept = {name: value for name, value in os.environ.items() if name not in endpoint.unwanted()}
    return {**kept, **endpoint.environment()}


@contextmanager
def _bar(display: Display, title: str) -> Iterator[deploy.Report]:
    """Show a bar while the block runs; yields what the deployer reports to."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=display.console, transient=True) as progress:
        task = progress.add_task(title, total=None)

        def report(news: deploy.Progress) -> None:
            progress.update(
                task, description=f"{title}: {escape(news.message[:60])}", completed=news.done, total=news.total or None
            )

        yield report
        seconds = progress.tasks[0].elapsed or 0.0
    display.say(f"[green]✓[/] {title} [dim]{seconds:5.1f} s[/]")
