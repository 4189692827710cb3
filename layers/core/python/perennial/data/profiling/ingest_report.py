"""What ingesting a file found: as facts that go into JSON, and as a page for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from perennial.data.contract.validate import Validated
from perennial.data.profiling.comparison import Comparison, compare
from perennial.data.profiling.ingest_page import sections
from perennial.data.profiling.profile import FORMAT, Profile
from perennial.reporting.page import page
from perennial.reporting.words import cut
from perennial.utc import aware_utc

EXAMPLES = 20
"""How many rejected rows a report shows; the quarantine holds all."""
MAX_VALUE, MAX_RAW = 120, 400
"""Characters that a report keeps of an example's value and of its raw text."""


@dataclass(frozen=True)
class UploadFacts:
    """Which file was ingested, under which contract."""

    dataset: str
    snapshot_id: str
    source: str
    """The uploaded object's URI."""
    source_version: str | None
    source_sha256: str
    contract: str
    """Fingerprint of the dataset's definition."""
    uploaded_at: datetime | None
    previous_snapshot_id: str | None
    """The snapshot that this one is compared with."""


def make_report(
    *,
    upload: UploadFacts,
    validated: Validated,
    profile: Profile | None,
    examples: Sequence[Mapping[str, Any]],
    previous: Mapping[str, Any] | None,
    forgotten: int = 0,
    superseded: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Put a report together; the same arguments always give the same report.

    Parameters
    ----------
    upload : UploadFacts
        What was ingested.
    validated : Validated
        What validation found.
    profile : Profile or None
        Of the good rows; None when there are none.
    examples : sequence of mapping
        The first rows of the quarantine, as its lines have them; those beyond `EXAMPLES` are left out.
    previous : mapping or None
        Report of the snapshot to compare with; one without a profile is not compared with.
    forgotten : int
        Rows that were left out because they had been forgotten on request.
    superseded : mapping or None
        Snapshot to the number of its rows whose place rows of this file took.

    Returns
    -------
    dict
        Of JSON's types only.
    """
    before = (previous or {}).get("profile")
    comparison: Comparison | None = None
    if profile is not None and before is not None and before.get("format") == FORMAT:
        comparison = compare(Profile.model_validate(before), profile, str((previous or {}).get("snapshot_id", "")))
    return {
        "dataset": upload.dataset,
        "snapshot_id": upload.snapshot_id,
        "source": upload.source,
        "source_version": upload.source_version,
        "source_sha256": upload.source_sha256,
        "uploaded_at": _in_utc(upload.uploaded_at),
        "contract": upload.contract,
        "previous_snapshot_id": upload.previous_snapshot_id,
        "refusal": validated.refusal,
        "rows_in": validated.rows_in,
        "rows": validated.rows_good,
        "rejected": validated.rows_rejected,
        "rejected_by": dict(validated.rejected_by),
        "forgotten": forgotten,
        "superseded": dict(superseded or {}),
        "min_event_time": _in_utc(validated.min_event_time),
        "max_event_time": _in_utc(validated.max_event_time),
        "months": dict(validated.months),
        "added_columns": list(validated.added_columns),
        "absent_columns": list(validated.absent_columns),
        "new_categories": {name: list(values) for name, values in validated.new_categories.items()},
        "examples": [_example(row) for row in examples[:EXAMPLES]],
        "profile": profile and profile.model_dump(mode="json"),
        "comparison": comparison and comparison.model_dump(mode="json"),
    }


def render(report: Mapping[str, Any]) -> str:
    """Turn a report into a self-contained HTML page for people."""
    name = str(report["source"]).rpartition("/")[2]
    return page(
        f"{report['dataset']}: {name}",
        sections(report),
        subtitle=f"What perennial found when it took in {report['source']}",
        footer="Times are in UTC. The same file always makes the same report.",
    )


def _in_utc(moment: datetime | None) -> str | None:
    return None if moment is None else aware_utc(moment).isoformat()


def _example(row: Mapping[str, Any]) -> dict[str, Any]:
    value, raw = row.get("value"), row.get("raw")
    return {
        "line": row.get("line"),
        "column": row.get("column"),
        "value": None if value is None else cut(str(value), MAX_VALUE),
        "rule": row.get("rule"),
        "reason": cut(str(row.get("reason", "")), MAX_RAW),
        "raw": None if raw is None else cut(str(raw), MAX_RAW),
    }
