"""What the commands of `perennial` have in common: their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

DEFINITIONS = Path(__file__).resolve().parent.parent / "layers" / "definitions"
"""The definitions that are deployed unless others are named."""
RUN_SECONDS = 1800.0
"""How long a command waits for one run."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
Stage = Annotated[Literal["local", "dev", "prod"], typer.Option(help="local, or a stage in the AWS account at hand.")]
Name = Annotated[str | None, typer.Option(help="Name of the stack; perennial-STAGE by default.")]
Folder = Annotated[Path, typer.Option("--definitions", help="Folder with datasets/, features/ and models/.")]
OtherFolder = Annotated[
    Path | None, typer.Option("--definitions", help="Folder of definitions to read in place of those deployed.")
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for what it starts, and show its steps.")]
