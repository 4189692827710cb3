"""The commands of `perennial` about the HTTP API: what it can be asked for."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from infra.display import Display, table
from infra.options import Json

api = typer.Typer()


@api.command("openapi")
def show_openapi(
    auth: Annotated[
        Literal["iam", "jwt", "api_key"], typer.Option(help="How callers of the deployment prove who they are.")
    ] = "iam",
    json: Json = False,
) -> None:
    """Show what the API can be asked for; with --json its OpenAPI document, which GET /openapi.json serves."""
    from perennial.openapi import document
    from perennial.serving.routes import OPERATIONS

    rows = [(operation.method, operation.path, operation.permission, operation.summary) for operation in OPERATIONS]
    Display(json).result(document(auth), table("", ["method", "path", "permission", "what"], rows))
