"""`perennial`: operate a deployment, on the local cloud or in AWS."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.markup import escape

from infra.cli_api import api
from infra.cli_bulk import bulk
from infra.cli_data import data
from infra.cli_experiments import experimenting
from infra.cli_features import features
from infra.cli_lineage import lineage
from infra.cli_monitor import watching
from infra.cli_registry import registry
from infra.deployment import Deployment, stack_name
from infra.display import Display, Markup, describe_run, mark, several, table
from infra.local.cloud import CloudError, LocalCloud
from infra.options import DEFINITIONS, RUN_SECONDS, Folder, Json, Name, Stage, Wait
from perennial.errors import DataError, DefinitionError, PerennialError

USAGE = 2
"""Exit code of a command line that is wrong."""

app = typer.Typer(
    name="perennial",
    help="Upload data; get a served, watched model that retrains itself when the world drifts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data)
app.add_typer(bulk)
app.add_typer(api)
app.add_typer(registry)
app.add_typer(experimenting)
app.add_typer(lineage)
app.add_typer(watching)
app.add_typer(features, name="features")


@app.command()
def up(
    definitions: Folder = DEFINITIONS,
    context: Annotated[
        list[str] | None,
        typer.Option("-c", "--context", metavar="KEY=VALUE", help="Who may call the API: auth=iam|jwt|api_key, …"),
    ] = None,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Deploy: start the local cloud unless it runs, and bring the stack up to date."""
    from infra.bringup import bring_up

    display = Display(json)
    wrong = [pair for pair in context or [] if "=" not in pair]
    if wrong:
        raise DefinitionError(f"context {wrong[0]}: write -c KEY=VALUE, such as -c auth=jwt")
    values = dict(pair.split("=", 1) for pair in context or [])
    deployment = bring_up(stage, stack_name(stage, name), definitions, display, values)
    rows = sorted(deployment.outputs.items())
    display.result(
        {"name": deployment.name, "endpoint": deployment.endpoint.url if deployment.endpoint else None, **dict(rows)},
        table(f"{deployment.name} is up", ["output", "value"], rows),
    )


@app.command()
def down(
    stage: Stage = "local",
    name: Name = None,
    yes: Annotated[bool, typer.Option("--yes", help="Destroy a stack in AWS without asking.")] = False,
    json: Json = False,
) -> None:
    """Stop the local cloud and leave nothing behind; in AWS, destroy the stack."""
    from infra.bringup import take_down

    display = Display(json)
    if stage == "local":
        stopped = LocalCloud().stop()
        display.result(
            {"stopped": stopped}, "the local cloud is gone" if stopped else "no local cloud runs in this folder"
        )
        return
    stack = stack_name(stage, name)
    if not yes:
        typer.confirm(f"Destroy the stack {stack} in AWS?", abort=True, err=True)
    take_down(stage, stack, display)
    display.result({"destroyed": stack}, f"{stack} is gone")


@app.command()
def demo(
    picture: Annotated[Path, typer.Option(help="Where the picture of the result goes.")] = Path("perennial-demo.png"),
    json: Json = False,
) -> None:
    """Run the whole loop on the local cloud: ten months of New York taxi trips, with the price rise of 2019 in them."""
    from infra.demo import run_demo

    run_demo(Display(json), picture)


@app.command()
def check(definitions: Folder = DEFINITIONS, json: Json = False) -> None:
    """Check definitions without deploying them."""
    from infra.bringup import read_definitions, request_views_served

    display = Display(json)
    loaded = read_definitions(definitions)
    rows = [
        ("dataset", d.name, f"{several(len(d.columns), 'column')}, {several(len(d.rules), 'row rule')}")
        for d in loaded.datasets.values()
    ]
    served = request_views_served(loaded)
    rows += [
        ("view", v.name, f"{v.kind}, from {v.dataset}{f', {served[v.name]}' if v.name in served else ''}")
        for v in loaded.views.values()
    ]
    for m in loaded.models.values():
        features, candidates = sum(map(len, m.features.values())), ", ".join(c.name for c in m.candidates)
        rows.append(("model", m.name, f"{m.target} from {features} features, by {candidates}"))
    display.result(
        {"datasets": sorted(loaded.datasets), "views": sorted(loaded.views), "models": sorted(loaded.models)},
        table(f"{definitions}: all is well", ["kind", "name", "what"], rows),
    )


@app.command()
def runs(
    run_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="A run's id, or its first characters.")] = None,
    kind: Annotated[
        Literal["ingest", "backfill", "forget", "train", "deploy", "experiment", "rebuild", "batch_predict"] | None,
        typer.Option(help="Only runs of this kind."),
    ] = None,
    subject: Annotated[str | None, typer.Option(help="Only this dataset or model.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    rejected: Annotated[int, typer.Option(min=0, help="Of one run: how many of its rejected rows to show.")] = 10,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Show the latest runs, or one run with its steps and the rows that it rejected."""
    from infra.runs import list_runs, show_run

    display = Display(json)
    ports = Deployment.connect(stage, name).ports
    if run_id is None:
        display.result(*list_runs(ports.catalog, limit, kind, subject))
        return
    content, shown = show_run(ports, run_id, rejected)
    display.result(content, *shown)


@app.command()
def models(
    model: Annotated[str | None, typer.Argument(metavar="[NAME]")] = None,
    version: Annotated[int | None, typer.Argument(metavar="[VERSION]")] = None,
    report: Annotated[Path | None, typer.Option(help="Save the page of this version's evaluation in a file.")] = None,
    card: Annotated[Path | None, typer.Option(help="Save this version's model card in a file.")] = None,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Show the models with their champions, the versions of one with what waits for approval, or how one was judged."""
    from infra.operations import describe_model, list_models
    from infra.versions import save_pages, show_version

    display = Display(json)
    ports = Deployment.connect(stage, name).ports
    catalog, pages = ports.catalog, {"report": report, "card": card}
    if any(pages.values()) and (model is None or version is None):
        raise DataError("--report and --card are about one version; write `perennial models NAME VERSION`")
    if model is not None and version is not None:
        if any(pages.values()):
            saved = save_pages(ports, model, version, pages)
            display.result(saved, f"saved {' and '.join(saved.values())}")
            return
        judged, shown = show_version(catalog, model, version)
        display.result(judged, *shown)
        return
    content, tables = list_models(catalog) if model is None else describe_model(ports, model)
    display.result(content, *tables)


@app.command()
def predict(
    model: str,
    file: Annotated[str, typer.Argument(metavar="[FILE|-]", help=".json, .jsonl or .csv; - is JSON from stdin.")] = "-",
    version: Annotated[str | None, typer.Option(help="Ask this version, or alias, not the champion.")] = None,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Ask a deployed model for predictions through its API."""
    from infra.operations import predict_rows, predictions_table
    from infra.rows import read_instances

    display = Display(json)
    deployment = Deployment.connect(stage, name)
    which = int(version) if version and version.isdecimal() else version
    answers = predict_rows(deployment, model, read_instances(deployment, model, file, which), which)
    display.result(answers, predictions_table(model, answers))


@app.command()
def feedback(
    model: str,
    file: Annotated[str, typer.Argument(metavar="[FILE|-]", help=".json or .jsonl; - is JSON from stdin.")] = "-",
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Tell a model what became true: a file of {"prediction_id", "label"} objects."""
    from infra.operations import send_labels
    from infra.rows import read_json_rows
    from perennial.reporting.words import several

    display = Display(json)
    answer = send_labels(Deployment.connect(stage, name), model, read_json_rows(file, "labels"))
    told = f"{several(answer['accepted'], 'label')} accepted, {answer['duplicates']:,} known already"
    if answer["unlogged"]:
        told += f"; {answer['unlogged']:,} of predictions that are not in the log, or not yet"
    display.result(answer, told)


@app.command()
def retrain(
    model: str,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Do all work anew, also what an earlier run did the very same.")
    ] = False,
    wait: Wait = True,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Train a model anew from all data there is; exit code 1 if no version came of it."""
    from infra.operations import start_training

    display = Display(json)
    deployment = Deployment.connect(stage, name)
    deployment.ports.definitions.model(model)
    run = start_training(deployment, model, reason, RUN_SECONDS if wait else None, display.step, no_cache=no_cache)
    content = run if isinstance(run, dict) else run.model_dump(mode="json")
    display.result(
        content,
        f"started {run['run_id']}"
        if isinstance(run, dict)
        else Markup(f"{mark(run.status)} {escape(describe_run(run))}"),
    )
    if not isinstance(run, dict) and run.status != "succeeded":
        raise typer.Exit(1)


@app.command()
def rollback(
    model: str,
    to: Annotated[int | None, typer.Option(help="The version to serve; the one before by default.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the audit trail.")] = "",
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Withdraw the version on its way to serve, or let the one that served before serve again, in one transaction."""
    from infra.registry import roll_back

    display = Display(json)
    deployment = Deployment.connect(stage, name)
    before, moved = roll_back(deployment.ports, model, to, deployment.person, reason)
    display.result(
        moved.model_dump(mode="json"), f"{model}: version {moved.version} serves, and version {before} no more"
    )


@app.command()
def logs(
    function: Annotated[str | None, typer.Argument(help="Only log groups with this in their name.")] = None,
    minutes: Annotated[float, typer.Option(min=0, help="How far back.")] = 15,
    grep: Annotated[str | None, typer.Option(help="Only lines with this in them.")] = None,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Show what functions and jobs wrote, in the order of time."""
    from infra.operations import read_logs

    display = Display(json)
    since = datetime.now(UTC) - timedelta(minutes=minutes)
    lines = read_logs(Deployment.connect(stage, name), function, since, grep)
    if not json:
        for line in lines:
            display.console.print(f"[dim]{line['at']:%H:%M:%S}[/] [cyan]{escape(line['group'])}[/] ", end="")
            display.console.print(line["message"], markup=False, soft_wrap=True)
    display.result(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the CLI; an error is one sentence (with ``--json``, on standard output too) and exit code 1 or 2."""
    from infra.deploy import DeployError

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(arguments)
    except SystemExit as stop:
        if stop.code == USAGE and "--json" in arguments:
            Display(True).result({"error": "the command line is wrong; see standard error", "type": "UsageError"})
        raise
    except (PerennialError, CloudError, DeployError, BotoCoreError, ClientError) as error:
        if "--json" in arguments:
            Display(True).result({"error": str(error), "type": type(error).__name__})
        typer.echo(f"perennial: {error}", err=True)
        sys.exit(2 if isinstance(error, DefinitionError) else 1)


if __name__ == "__main__":
    main()
