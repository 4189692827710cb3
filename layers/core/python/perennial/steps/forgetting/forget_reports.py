"""Taking values that are to be forgotten out of the reports on a dataset's uploads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from perennial import keys
from perennial.ports import Ports
from perennial.records import Erasure
from perennial.steps.snapshots.snapshot_files import read_manifest
from perennial.steps.snapshots.snapshot_writer import purge
from perennial.steps.snapshots.uploaded_file import read_report, write_report

_VALUES: dict[str, Any] = {
    "examples": [],
    "profile": None,
    "comparison": None,
    "new_categories": {},
    "min_event_time": None,
    "max_event_time": None,
}
"""What of a report may hold values, and what stands there when they are withheld."""
_WITHHELD: dict[str, Any] = {**_VALUES, "withheld": True}
_TELLING = 4
"""Characters from which on a text is looked for within other texts too."""


@dataclass
class Reports:
    """The ingest reports of one dataset."""

    ports: Ports
    dataset: str

    def sources(self, snapshot_id: str) -> set[str]:
        """Return the URI of the upload that a snapshot was made of, going by its report; nothing if there is none."""
        report = read_report(self.ports, self.dataset, snapshot_id)
        return {str(report["source"])} if report else set()

    def clean(self, erasure: Erasure, texts: Mapping[str, str]) -> None:
        """Withhold examples, profile and comparison in every report that may tell of the rows.

        These are the reports on the snapshots that held the rows, and those in which one of the values stands: a
        profile that is computed again would tell what was taken out when it is held beside the old one. Counts stay.

        Parameters
        ----------
        erasure : Erasure
            What was forgotten.
        texts : dict
            Column to value, as the engine writes it.
        """
        left = {upload.original.snapshot_id: upload.original for upload in self.ports.catalog.uploads(self.dataset)[0]}
        for old, new in sorted(erasure.snapshots.items()):
            report = read_report(self.ports, self.dataset, old)
            if report is not None:
                facts: dict[str, Any] = {"snapshot_id": new}
                if new in left:
                    manifest = read_manifest(self.ports, left[new])
                    facts |= {"rows": manifest.rows, "months": dict(manifest.months)}
                    facts["forgotten"] = report["forgotten"] + report["rows"] - manifest.rows
                    facts["rows_in"] = manifest.rows + report["rejected"]
                write_report(self.ports, self.dataset, {**report, **_WITHHELD, **facts})
            for suffix in ("html", "json"):
                purge(self.ports.artifacts, keys.ingest_report(self.dataset, old, suffix))
        for snapshot_id in self._ids():
            report = read_report(self.ports, self.dataset, snapshot_id)
            if report is not None and _tells(report, set(texts.values())):
                write_report(self.ports, self.dataset, {**report, **_WITHHELD})
            for suffix in ("html", "json"):
                purge(self.ports.artifacts, keys.ingest_report(self.dataset, snapshot_id, suffix), older=True)

    def _ids(self) -> list[str]:
        prefix = keys.ingest_report(self.dataset, "").removesuffix(".json")
        found = self.ports.artifacts.keys(prefix)
        return [key.removeprefix(prefix).removesuffix(".json") for key in found if key.endswith(".json")]


def _tells(report: Mapping[str, Any], texts: set[str]) -> bool:
    """Tell whether one of the values stands in a part of a report that can hold values."""
    return any(
        text == found or (len(text) >= _TELLING and text in found)
        for part in _VALUES
        for found in _scalars(report.get(part))
        for text in texts
    )


def _scalars(content: Any) -> Iterator[str]:
    if isinstance(content, dict):
        for name, value in content.items():
            yield str(name)
            yield from _scalars(value)
    elif isinstance(content, list):
        for value in content:
            yield from _scalars(value)
    elif content is not None:
        yield content if isinstance(content, str) else json.dumps(content)
