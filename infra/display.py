"""What the CLI prints: tables for people, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.tree import Tree

from perennial.records import Run, StepRecord

WIDTH = 140
"""Columns of a table where there is no terminal that would say how wide it is."""


class Markup(str):
    """Text that says itself how it looks; all other text is shown as it is, brackets and all."""


_MARKS = {"succeeded": "[green]✓[/]", "failed": "[red]✗[/]", "refused": "[yellow]–[/]", "running": "[cyan]…[/]"}


@dataclass(frozen=True)
class Display:
    """Where a command's result goes.

    With ``as_json`` the result is one JSON document on standard output and everything else goes to standard
    error, so that a script may read the one and a person the other.
    """

    as_json: bool
    console: Console = field(init=False)

    def __post_init__(self) -> None:
        console = Console(stderr=self.as_json, highlight=False, emoji=False)
        if not console.is_terminal:
            console.width = WIDTH
        object.__setattr__(self, "console", console)

    def say(self, text: str) -> None:
        """Print a line of progress; what comes from outside in it must be escaped."""
        self.console.print(text, soft_wrap=True)

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show on a terminal that something goes on while the block runs."""
        with self.console.status(text):
            yield

    @contextmanager
    def counting(self, what: str, total: int | None = None) -> Iterator[Callable[[], None]]:
        """Show a count on a terminal while the block runs; the block calls what it is given for each that is done."""
        columns = (SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TextColumn(what), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as progress:
            task = progress.add_task(what, total=total)
            yield lambda: progress.advance(task)

    def result(self, content: Any, *shown: Table | Tree | str) -> None:
        """Print a command's result: the content as JSON, or what is shown of it to people."""
        if self.as_json:
            sys.stdout.write(json.dumps(content, indent=2, default=str, allow_nan=False) + "\n")
            return
        for part in shown:
            self.console.print(part, markup=not isinstance(part, str) or isinstance(part, Markup))

    def step(self, run: Run, step: StepRecord) -> None:
        """Print a line for a step that ended."""
        if step.status == "running":
            return
        seconds = f"{(step.ended_at - step.started_at).total_seconds():5.1f} s" if step.ended_at else ""
        line = f"    {mark(step.status)} {run.kind:<9}{step.step:<22}[dim]{seconds}[/]"
        self.say(f"{line}  [red]{escape(step.error)}[/]" if step.error else line)


def mark(status: str) -> Markup:
    """Return the sign of a status."""
    return Markup(_MARKS.get(status, status))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return a table; numbers stand to the right."""
    body = [list(row) for row in rows]
    drawn = Table(title=escape(title) or None, title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        numeric = any(isinstance(row[index], int | float) for row in body)
        drawn.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in body:
        drawn.add_row(*[cell(value) for value in row])
    return drawn


def cell(value: object) -> str:
    """Return a value as people read it, as rich's markup."""
    if isinstance(value, Markup):
        return value
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.3f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return escape(str(value))


def several(amount: int, one: str) -> str:
    """Return a number with its noun: ``1 row``, ``2,000 rows``."""
    return f"{amount:,} {one}" if amount == 1 else f"{amount:,} {one}s"


def duration(length: timedelta) -> str:
    """Return a length of time in the largest unit that says it in a whole number: ``90 days``, ``36 hours``."""
    units = ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute"))
    whole = ((length // unit, name) for unit, name in units if length and not length % unit)
    amount, name = next(whole, (int(length.total_seconds()), "second"))
    return several(amount, name)


def describe_run(run: Run) -> str:
    """Return what a run came to, in one phrase."""
    if run.status == "refused" or run.error:
        return run.error or ""
    outputs = run.outputs
    if run.kind == "ingest" and "rows" in outputs:
        return f"{several(outputs['rows'], 'row')}, {outputs['rejected']:,} rejected"
    if run.kind == "backfill" and "uploads" in outputs:
        files, rows = several(outputs["uploads"], "file"), several(outputs["rows"], "row")
        return f"{files}, {outputs['refused']:,} refused; {rows}"
    if run.kind == "forget" and "rows" in outputs:
        uploads, deleted = outputs["uploads"], "deleted" if outputs["uploads_deleted"] else "not deleted"
        rows = several(outputs["rows"]["snapshots"], "row")
        return f"{rows} forgotten; held by {several(len(uploads), 'upload')}, {deleted}"
    if run.kind == "experiment":
        return ", ".join(
            [run.inputs.get("name", ""), *(f"{k} {v:,.4g}" for k, v in outputs.get("metrics", {}).items())]
        )
    if run.kind == "batch_predict" and "rows" in outputs:
        rows = f"{several(outputs['rows'], 'row')} of {several(outputs['files'], 'file')}"
        return f"{rows} by version {outputs['version']}, {outputs['rejected']:,} rejected"
    return _describe_version(run.kind, outputs) if "version" in outputs else ""


def _describe_version(kind: str, outputs: Mapping[str, Any]) -> str:
    """Return what a run came to that is about a version."""
    ends = {
        "train": "" if outputs.get("passed") else ", refused by the gate",
        "rebuild": " is identical" if outputs.get("identical") else " differs",
        "deploy": " serves",
    }
    return f"version {outputs['version']}{ends.get(kind, '')}"
