"""The commands `perennial features …`."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.deployment import Deployment
from infra.display import Display
from infra.options import Json, Name, OtherFolder, Stage

features = typer.Typer(help="Show feature views and their values.", no_args_is_help=True, rich_markup_mode=None)


@features.command("list")
def list_(definitions: OtherFolder = None, stage: Stage = "local", name: Name = None, json: Json = False) -> None:
    """Show the feature views, and how many rows the tables of stored ones have."""
    from infra.features import list_views

    ports = Deployment.connect(stage, name, definitions=definitions).ports
    Display(json).result(*list_views(ports))


@features.command()
def get(
    view: str,
    keys: Annotated[list[str], typer.Argument(metavar="KEY…", help="Such as 42, or zone=42,hour=7.")],
    at: Annotated[str | None, typer.Option(help="As known at this moment (ISO 8601), instead of online now.")] = None,
    columns: Annotated[str | None, typer.Option(help="Only these columns, separated by commas.")] = None,
    definitions: OtherFolder = None,
    stage: Stage = "local",
    name: Name = None,
    json: Json = False,
) -> None:
    """Show a stored view's values of some entities: online now, or offline as they were known at a moment."""
    from infra.features import get_values, read_moment

    moment = None if at is None else read_moment(at)
    chosen = None if columns is None else [column.strip() for column in columns.split(",")]
    ports = Deployment.connect(stage, name, definitions=definitions).ports
    Display(json).result(*get_values(ports, view, keys, chosen, moment))
