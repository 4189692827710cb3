"""A report as one HTML page: it needs no script and no other file, and can be mailed, printed and kept."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import jinja2

from perennial.reporting.blocks import Cell, Section


def page(title: str, sections: Sequence[Section], *, subtitle: str = "", footer: str = "") -> str:
    """Put a page together.

    Whatever the texts hold is shown as text: all of it is escaped, and the page forbids scripts and outside resources.

    Parameters
    ----------
    title : str
        The page's heading.
    sections : sequence of Section
        From top to bottom.
    subtitle, footer : str
        Lines below the heading and at the end.

    Returns
    -------
    str
        HTML 5; the same arguments always give the same text.
    """
    return (
        _templates().get_template("page.html").render(title=title, sections=sections, subtitle=subtitle, footer=footer)
    )


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("perennial.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["long"] = _is_long
    return environment


def _is_long(cell: Cell) -> bool:
    """Whether a table's cell needs room to be read."""
    return len(cell if isinstance(cell, str) else cell.text) > 30
