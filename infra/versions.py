"""What the CLI tells of one version of a model: how it was judged, and the pages about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from rich.table import Table

from infra.display import table
from perennial.errors import DataError, NotFoundError
from perennial.ports import Catalog, Ports


def show_version(catalog: Catalog, model: str, number: int) -> tuple[dict[str, Any], list[Table]]:
    """Return a version with the gate's rules and its figures, as JSON and as tables; NotFoundError if unknown."""
    version = catalog.version(model, number)
    verdict = version.verdict
    rules = [("holds" if one.passed else "does not hold", one.rule, one.sentence) for one in verdict.ratings]
    theirs, guess = verdict.champion_metrics or {}, verdict.baseline_metrics
    figures = [
        (name, _shown(name, value), *verdict.intervals.get(name, (None, None)), _shown(name, theirs.get(name)),
         _shown(name, guess.get(name)))
        for name, value in verdict.metrics.items()
    ]  # fmt: skip
    before = f"version {verdict.champion_version}" if verdict.champion_version else "champion"
    columns = ["held-out rows", "value", "likely from", "to", before, verdict.baseline or "baseline"]
    return version.model_dump(mode="json"), [
        table(f"{model} {number}, {version.stage}: candidate {verdict.candidate}", ["", "rule", "found"], rules),
        table("", columns, figures),
    ]


def _shown(name: str, value: float | None) -> float | int | None:
    """Return a figure as it is shown: a number of rows is a whole one."""
    return int(value) if name == "n" and value is not None else value


def version_page(ports: Ports, model: str, number: int, page: Literal["report", "card"]) -> bytes:
    """Return the HTML page of a version's evaluation, or its model card.

    Raises
    ------
    NotFoundError
        There is no such version, or it was registered before there were such pages.
    """
    version = ports.catalog.version(model, number)
    key = version.verdict.report_key if page == "report" else version.card_key
    html = "" if key is None else f"{key.removesuffix('.json')}.html"
    if not html or not ports.artifacts.exists(html):
        what = "page of its evaluation" if page == "report" else "model card"
        raise NotFoundError(f"version {number} of {model!r} has no {what}: it was registered before there were any")
    return ports.artifacts.get(html)


def save_pages(ports: Ports, model: str, number: int, pages: dict[str, Path | None]) -> dict[str, str]:
    """Write a version's pages into files; return which went where.

    Parameters
    ----------
    pages : dict
        ``report`` and ``card`` to the files, None for a page that is not wanted.
    """
    saved = {}
    for name, path in pages.items():
        if path is not None:
            content = version_page(ports, model, number, "report" if name == "report" else "card")
            try:
                path.write_bytes(content)
            except OSError as error:
                raise DataError(f"{path}: cannot be written: {error.strerror}") from None
            saved[name] = str(path)
    return saved
