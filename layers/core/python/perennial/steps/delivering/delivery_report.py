"""What is kept of a version's way beside the champion: JSON, and a page for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from perennial import keys
from perennial.ports import Ports
from perennial.records import ModelVersion, Run
from perennial.reporting.blocks import Badge, Block, Cell, Note, Paragraph, Section, Table, Tone
from perennial.reporting.words import count, number

Outcome = Literal["promoted", "rolled back"]
PHASE = "advance#"
"""What the names of the steps begin with that record a phase."""
_TONES: dict[Outcome, Tone] = {"promoted": "good", "rolled back": "bad"}


def write_report(ports: Ports, run: Run, version: ModelVersion, champion: int, outcome: Outcome, sentence: str) -> str:
    """Write the report of a deployment from the records of its phases; return its key.

    Parameters
    ----------
    champion : int
        The version that served meanwhile.
    sentence : str
        Why it came to that outcome.
    """
    from perennial.reporting.page import page

    phases = [step.output for step in ports.catalog.steps(run.run_id) if step.step.startswith(PHASE) and step.output]
    report = {
        "format": 1,
        "model": version.model,
        "version": version.version,
        "champion": champion,
        "run_id": run.run_id,
        "at": ports.clock.now().isoformat(),
        "outcome": outcome,
        "sentence": sentence,
        "phases": phases,
    }
    key = keys.delivery_report(version.model, run.run_id)
    title = f"{version.model}: version {version.version} beside version {champion}"
    html = page(title, sections(report), subtitle=f"run {run.run_id}", footer=str(report["at"]))
    ports.artifacts.put(keys.delivery_report(version.model, run.run_id, "html"), html.encode(), "text/html")
    ports.artifacts.put(key, json.dumps(report, indent=1, allow_nan=False).encode(), "application/json")
    return key


def sections(report: Mapping[str, Any]) -> list[Section]:
    """Return the sections of a report's page."""
    outcome: Outcome = report["outcome"]
    words = "It was rolled back" if outcome == "rolled back" else "It was let serve"
    return [
        Section("", [Note(f"{words}. {report['sentence']}", _TONES[outcome])]),
        *(Section(phase["phase"], _phase(phase)) for phase in report["phases"]),
    ]


def _phase(phase: Mapping[str, Any]) -> list[Block]:
    """Return how one phase went: what was seen, and what it was held against."""
    seen = [phase["champion"], phase["challenger"]]
    columns = ["", "version", "requests", "failed", "rows", "with a label"]
    figures = [
        [name, *(count(of[key]) for key in ("version", "requests", "failures", "rows", "labelled"))]
        for name, of in zip(("champion", "challenger"), seen, strict=True)
    ]
    return [
        Paragraph(f"{phase['sentence']} Looked at last: {phase['looked_at']}."),
        Table("What both did since the phase began", columns, figures, frozenset(range(1, len(columns)))),
        Table(
            "What the challenger was held against", ["rule", "", "value", "limit", "found"], _rules(phase["ratings"])
        ),
    ]


def _rules(ratings: Sequence[Mapping[str, Any]]) -> list[list[Cell]]:
    badges = [Badge("holds", "good") if one["passed"] else Badge("broken", "bad") for one in ratings]
    return [
        [
            one["rule"],
            badge,
            *("–" if one[key] is None else number(one[key]) for key in ("value", "limit")),
            one["sentence"],
        ]
        for one, badge in zip(ratings, badges, strict=True)
    ]
