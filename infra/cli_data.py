"""The commands of `perennial` about data: upload, backfill, forget, snapshots."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from infra.deployment import Deployment
from infra.display import Display, Markup, describe_run, mark, table
from infra.options import RUN_SECONDS, Json, Name, Stage, Wait
from perennial.errors import DataError
from perennial.records import Run

BACKFILL_SECONDS = 24 * 3600.0
"""As long as its state machine allows."""
data = typer.Typer()


@data.command()
def upload(
    dataset: str,
    files: list[Path],
    wait: Wait = True,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Upload files to a dataset, several at a time; exit code 1 if any of them is refused."""
    from infra.uploads import upload_files

    display = Display(json)
    deployment = Deployment.connect(stage, name)
    done: list[tuple[Path, Run | None]] = []
    with display.counting("files", len(files)) as count:
        for path, run in upload_files(deployment, dataset, files, RUN_SECONDS if wait else None, display.step):
            done.append((path, run))
            count()
    done.sort(key=lambda one: files.index(one[0]))
    rows = [(path.name, mark(run.status), describe_run(run)) if run else (path.name, "sent", "") for path, run in done]
    shown = [{"file": str(p), "run": run.model_dump(mode="json") if run else None} for p, run in done]
    display.result(shown, table("", ["file", "", "what came of it"], rows))
    if any(run is not None and run.status != "succeeded" for _, run in done):
        raise typer.Exit(1)


@data.command()
def backfill(
    dataset: str,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    wait: Wait = True,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Ingest everything that was ever uploaded to a dataset, many files at a time, such as after its contract changed.

    A file that is refused stops no other: `perennial runs` shows why. Exit code 1 if any file is refused.
    """
    from infra.operations import follow_started, start_machine

    display = Display(json)
    deployment = Deployment.connect(stage, name)
    deployment.ports.catalog.snapshots(dataset)
    started = start_machine(deployment, "backfill", {"dataset": dataset}, reason)
    if not wait:
        display.result(started, f"started {started['run_id']}")
        return
    with display.counting("files") as count:

        def hear(run: Run, step: object) -> None:
            if getattr(step, "step", "").startswith("ingest#") and getattr(step, "status", "") != "running":
                count()

        run = follow_started(deployment, started["run_id"], BACKFILL_SECONDS, hear)
    display.result(run.model_dump(mode="json"), Markup(f"{mark(run.status)} {escape(describe_run(run))}"))
    if run.status != "succeeded" or run.outputs.get("refused"):
        raise typer.Exit(1)


@data.command()
def forget(
    dataset: str,
    values: Annotated[list[str], typer.Argument(metavar="COLUMN=VALUE...", help="All of them hold for a row.")],
    delete_uploads: Annotated[
        bool, typer.Option("--delete-uploads", help="Delete the uploaded files that hold such rows, in all versions.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Wait = True,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Take rows out of a dataset, and out of all that was made from them; what is forgotten cannot come back.

    Models that learnt from such rows go on serving until they are trained anew.
    """
    from infra.operations import follow_started, start_forgetting

    display = Display(json)
    named = dict(_pair(value) for value in values)
    if len(named) < len(values):
        raise DataError("a column is named twice; a row has one value of a column")
    deployment = Deployment.connect(stage, name)
    if not yes:
        uploads = " and delete the uploads that hold them" if delete_uploads else ""
        typer.confirm(f"Forget the rows of {dataset} with {', '.join(values)}{uploads}?", abort=True, err=True)
    started = start_forgetting(deployment, dataset, named, delete_uploads, reason)
    if not wait:
        display.result(started, f"started {started['run_id']}")
        return
    run = follow_started(deployment, started["run_id"], RUN_SECONDS, display.step)
    display.result(run.model_dump(mode="json"), Markup(f"{mark(run.status)} {escape(describe_run(run))}"))
    if run.status != "succeeded":
        raise typer.Exit(1)


def _pair(text: str) -> tuple[str, str]:
    column, sign, value = text.partition("=")
    if not sign or not column:
        raise DataError(f"{text!r} names no value; write COLUMN=VALUE, such as customer_id=1042")
    return column, value


@data.command()
def snapshots(
    dataset: str,
    snapshot: Annotated[str | None, typer.Argument(metavar="[ID]", help="An id, or its first characters.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Save the page with plots of this snapshot's report in a file.")
    ] = None,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Show a dataset's live snapshots, or of one how its values are spread and what was rejected."""
    from infra.snapshots import list_snapshots, report_page, show_snapshot

    display = Display(json)
    ports = Deployment.connect(stage, name).ports
    if snapshot is None:
        if report is not None:
            raise DataError("--report is about one snapshot; name it, see `perennial snapshots DATASET`")
        display.result(*list_snapshots(ports, dataset))
        return
    if report is not None:
        page = report_page(ports, dataset, snapshot)
        try:
            report.write_bytes(page)
        except OSError as error:
            raise DataError(f"{report}: cannot be written: {error.strerror}") from None
        display.result({"report": str(report)}, f"saved {report}")
        return
    content, shown = show_snapshot(ports, dataset, snapshot)
    display.result(content, *shown)
