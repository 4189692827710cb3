"""The commands of `perennial` about versions: approve, reject, promote, alias, tag, note."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from rich.markup import escape

from infra.deployment import Deployment
from infra.display import Display, Markup, describe_run, mark
from infra.options import RUN_SECONDS, Json, Name, Stage, Wait
from perennial.errors import DataError

registry = typer.Typer()
Version = Annotated[int, typer.Argument(min=1, help="The version's number.")]


@registry.command()
def approve(
    model: str,
    version: Version,
    reason: Annotated[str, typer.Option(help="Why, for the audit trail.")] = "",
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Let a version that waits for approval be deployed; the same again tells the waiting execution again."""
    _decide(model, version, "approved", reason, stage, name, json)


@registry.command()
def reject(
    model: str,
    version: Version,
    reason: Annotated[str, typer.Option(help="Why, for the audit trail.")],
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Refuse a version that waits for approval; the champion stays."""
    _decide(model, version, "rejected", reason, stage, name, json)


def _decide(
    model: str,
    version: int,
    decision: Literal["approved", "rejected"],
    reason: str,
    stage: Stage,
    name: str | None,
    json: bool,
) -> None:
    from infra.registry import decide

    display = Display(json)
    approval, told = decide(Deployment.connect(stage, name), model, version, decision, reason)
    shown = f"version {version} of {model} is {decision}"
    if not told:
        shown += "; no execution waits for it any more"
    if not told and decision == "approved":
        shown += f": unless it serves, deploy it with `perennial promote {model} {version} --reason …`"
    display.result({**approval.model_dump(mode="json"), "execution_told": told}, shown)


@registry.command()
def promote(
    model: str,
    version: Version,
    reason: Annotated[str, typer.Option(help="Why, for the audit trail.")],
    override_gate: Annotated[
        bool, typer.Option("--override-gate", help="Although the gate refused it; what is not intact never serves.")
    ] = False,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Without the phases beside the champion that the model has.")
    ] = False,
    wait: Wait = True,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Try a version and let it serve, by the model's phases; exit code 1 if it does not."""
    from infra.operations import follow_started
    from infra.registry import longest_delivery
    from infra.registry import promote as start

    display = Display(json)
    deployment = Deployment.connect(stage, name)
    run_id = start(deployment, model, version, reason, override_gate, at_once)
    if not wait:
        display.result({"run_id": run_id}, f"started {run_id}")
        return
    run = follow_started(deployment, run_id, RUN_SECONDS + longest_delivery(deployment, model), display.step)
    display.result(run.model_dump(mode="json"), Markup(f"{mark(run.status)} {escape(describe_run(run))}"))
    if run.status != "succeeded":
        raise typer.Exit(1)


@registry.command()
def alarms(
    model: Annotated[str | None, typer.Argument(help="Only those of this model.")] = None,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Show which alarms are on, and what they mean."""
    from infra.alarm_states import list_alarms

    content, tables = list_alarms(Deployment.connect(stage, name), model)
    Display(json).result(content, *tables)


@registry.command()
def suspend(
    model: str,
    reason: Annotated[str, typer.Option(help="Why: refused runs repeat it.")],
    lasting: Annotated[
        str | None, typer.Option("--for", metavar="LENGTH", help='How long, such as "2 days"; else until `resume`.')
    ] = None,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Let nothing but a person's `perennial train` train a model: no alarm, no data, no clock."""
    from infra.registry import suspend as switch

    display = Display(json)
    deployment = Deployment.connect(stage, name)
    suspension = switch(deployment.ports, model, lasting, deployment.person, reason)
    display.result(suspension.model_dump(mode="json"), suspension.sentence)


@registry.command()
def resume(model: str, stage: Stage = "local", name: Name = None, json: Json = False) -> None:
    """Let a suspended model be trained by itself again."""
    display = Display(json)
    deployment = Deployment.connect(stage, name)
    ports = deployment.ports
    ports.definitions.model(model)
    was = ports.catalog.resume(model, ports.clock.now(), deployment.person)
    display.result(
        {"model": model, "resumed": was},
        f"{model} is trained by itself again" if was else f"{model} was not suspended",
    )


@registry.command()
def alias(
    model: str,
    alias: Annotated[str, typer.Argument(metavar="NAME", help="Such as shadow or eu.")],
    version: Annotated[int | None, typer.Argument(min=1, metavar="[VERSION]", help="What it is to stand for.")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Take the name away.")] = False,
    reason: Annotated[str, typer.Option(help="Why, for the audit trail.")] = "",
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Give a version a name, by which it can be asked for predictions; or take the name away."""
    from infra.registry import change_alias

    if (version is None) is not delete:
        raise DataError("name a version for the alias, or --delete it")
    display = Display(json)
    deployment = Deployment.connect(stage, name)
    found, before = change_alias(deployment.ports, model, alias, version, deployment.person, reason)
    instead = f", instead of {before}" if before not in (None, version) and not delete else ""
    shown = f"{model}: {alias} is gone" if delete else f"{model}: {alias} stands for version {version}{instead}"
    display.result({**found.model_dump(mode="json"), "deleted": delete, "before": before}, shown)


@registry.command()
def tag(
    model: str,
    version: Version,
    tags: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="KEY= takes a tag off.")],
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Label a version."""
    from infra.registry import tag as label

    display = Display(json)
    deployment = Deployment.connect(stage, name)
    now = label(deployment.ports, model, version, tags, deployment.person)
    words = " ".join(f"{key}={value}" for key, value in now.items()) or "no tags"
    display.result(now, f"version {version} of {model}: {words}")


@registry.command()
def note(
    model: str,
    version: Version,
    text: str,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Write a note on a version; notes are appended and stay."""
    display = Display(json)
    deployment = Deployment.connect(stage, name)
    now = deployment.ports.clock.now()
    deployment.ports.catalog.note(model, version, text, now, deployment.person)
    display.result({"model": model, "version": version, "at": now.isoformat(), "by": deployment.person, "text": text},
                   f"noted on version {version} of {model}")  # fmt: skip
