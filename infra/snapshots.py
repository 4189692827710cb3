"""What the CLI tells of a dataset's snapshots: which are live, and of one how its values are spread."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from infra.display import Markup, several, table
from perennial import keys
from perennial.errors import NotFoundError
from perennial.live_uploads import LiveUpload
from perennial.ports import ObjectStore, Ports

_SHORT = 12
"""Characters by which a snapshot is told from others."""


def list_snapshots(ports: Ports, dataset: str) -> tuple[list[dict[str, Any]], Table]:
    """Return a dataset's live snapshots, oldest event time first, as JSON and as a table.

    Raises
    ------
    NotFoundError
        Nothing was ever published under that name.
    """
    live, revision = ports.catalog.uploads(dataset)
    if revision == 0:
        raise NotFoundError(f"dataset {dataset!r} has no snapshots; upload a file with `perennial upload {dataset}`")
    newest = _newest_contract(live)
    content, rows = [], []
    for upload in live:
        snapshot = upload.snapshot
        contract = "same" if snapshot.contract == newest else "older"
        kept = snapshot.model_dump(mode="json")
        uploaded_at, source = upload.rank()
        content.append(
            {
                **kept,
                "source": source,
                "sources": sorted(upload.sources),
                "uploaded_at": uploaded_at.isoformat(),
                "contract_is": contract,
            }
        )
        files = [one.partition("://")[2].split("/", 2)[2] for one in sorted(upload.sources)]
        fewer = upload.original.rows - snapshot.rows
        rows.append(
            (
                snapshot.snapshot_id[:_SHORT],
                ", ".join(files),
                snapshot.rows,
                snapshot.rejected,
                fewer,
                _period(snapshot.min_event_time, snapshot.max_event_time),
                contract,
                uploaded_at,
            )
        )
    columns = ["snapshot", "file", "rows", "rejected", "superseded", "period", "contract", "uploaded"]
    return content, table(f"{dataset}, revision {revision}", columns, rows)


def show_snapshot(ports: Ports, dataset: str, snapshot_id: str) -> tuple[dict[str, Any], list[Table | Markup]]:
    """Return a snapshot's report, as JSON and as what to print: its profile, what was rejected, what has changed.

    Raises
    ------
    NotFoundError
        No live snapshot, or more than one, has that id or begins with it.
    """
    upload = _find(ports, dataset, snapshot_id)
    report = json.loads(_report(ports.artifacts, dataset, upload, "json"))
    content = {"snapshot": upload.snapshot.model_dump(mode="json"), "report": report}
    shown: list[Table | Markup] = [_profile(report.get("profile") or {}, upload)]
    if report.get("rejected_by"):
        shown.append(table("rejected rows", ["broken", "rows"], report["rejected_by"].items()))
    changes = report.get("comparison") or {}
    if changes.get("columns"):
        shown.append(_changes(changes))
    return content, shown


def report_page(ports: Ports, dataset: str, snapshot_id: str) -> bytes:
    """Return the HTML page of a snapshot's report; errors as `show_snapshot`."""
    return _report(ports.artifacts, dataset, _find(ports, dataset, snapshot_id), "html")


def _newest_contract(live: Sequence[LiveUpload]) -> str | None:
    """Return the contract under which the latest snapshot was made: those of an older one are read all the same."""
    latest = max(live, key=lambda upload: upload.original.created_at, default=None)
    return latest.original.contract if latest else None


def _find(ports: Ports, dataset: str, snapshot_id: str) -> LiveUpload:
    live, _ = ports.catalog.uploads(dataset)
    named = [
        upload
        for upload in live
        if snapshot_id and any(one.snapshot_id.startswith(snapshot_id) for one in (upload.snapshot, upload.original))
    ]
    if len(named) != 1:
        what = "no live snapshot" if not named else f"more than one live snapshot ({len(named)})"
        heirs = [] if named else _successors(ports, dataset, live, snapshot_id)
        see = " ".join([dataset, *(one[:_SHORT] for one in heirs[:1])])
        left = f", what is left of it is in {' and '.join(one[:_SHORT] for one in heirs)}" if heirs else ""
        raise NotFoundError(f"{what} of {dataset!r} begins with {snapshot_id!r}{left}; see `perennial snapshots {see}`")
    return named[0]


def _successors(ports: Ports, dataset: str, live: Sequence[LiveUpload], snapshot_id: str) -> list[str]:
    """Return the live snapshots that took the place of those whose id begins so."""
    replaced = {old: new for erasure in ports.catalog.erasures(dataset) for old, new in erasure.snapshots.items()}
    ids = set()
    for upload in live:
        for one in (upload.original, upload.snapshot):
            ids.add(one.snapshot_id)
            if one.rewritten_from:
                replaced[one.rewritten_from] = one.snapshot_id
    found = set()
    for old, now in replaced.items():
        passed = {old}
        # What was replaced may have been replaced again.
        while now not in ids and now in replaced and now not in passed:
            passed.add(now)
            now = replaced[now]  # noqa: PLW2901
        if snapshot_id and old.startswith(snapshot_id) and now in ids:
            found.add(now)
    return sorted(found)


def _report(store: ObjectStore, dataset: str, upload: LiveUpload, suffix: str) -> bytes:
    """Return the report of the upload: rows that were taken out later are still in its figures."""
    made_from = upload.original.rewritten_from or upload.original.snapshot_id
    try:
        return store.get(keys.ingest_report(dataset, made_from, suffix))
    except NotFoundError:
        return store.get(keys.ingest_report(dataset, upload.original.snapshot_id, suffix))


def _period(first: Any, last: Any) -> str:
    # Not by strftime, which writes the year 1 with one digit.
    return f"{first.date().isoformat()} – {last.date().isoformat()}" if first and last else ""


def _profile(profile: Mapping[str, Any], upload: LiveUpload) -> Table:
    quantiles = ("p05", "p50", "p95")
    rows = []
    for column in profile.get("columns", ()):
        middle = [(column.get("quantiles") or {}).get(name) for name in quantiles]
        common = ", ".join(f"{one['value']} ({one['rows']:,})" for one in (column.get("categories") or ())[:3])
        head = (column["name"], column["type"], column["nulls"], column["distinct"], column.get("min"))
        rows.append((*head, *middle, column.get("max"), column.get("mean"), common))
    columns = ["column", "type", "nulls", "distinct", "min", *quantiles, "max", "mean", "most frequent"]
    return table(
        f"{upload.snapshot.snapshot_id}: {several(upload.original.rows, 'row')} of {upload.rank()[1]}", columns, rows
    )


def _changes(comparison: Mapping[str, Any]) -> Table:
    rows = []
    for column in comparison["columns"]:
        before, now = column["null_share"]
        values = ", ".join(
            [*(f"+ {value}" for value in column["new"][:3]), *(f"- {value}" for value in column["vanished"][:3])]
        )
        shifts = (column["mean_shift"], column["median_shift"], column["psi"])
        rows.append((column["name"], column["moved"], f"{before:.1%} → {now:.1%}", *shifts, values))
    before, now = comparison["rows"]
    columns = ["column", "moved", "nulls", "mean shift", "median shift", "psi", "new and vanished"]
    return table(
        f"since {comparison['snapshot_id'][:_SHORT]}: {several(before, 'row')} then, {now:,} now", columns, rows
    )
