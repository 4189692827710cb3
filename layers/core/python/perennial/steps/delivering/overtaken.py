"""What became of a version on its way, read from the audit trail."""

from __future__ import annotations

from collections.abc import Sequence

from perennial.records import AuditEntry, ModelVersion, Run
from perennial.registry import withdrawn


def has_begun(audit: Sequence[AuditEntry], run_id: str) -> bool:
    """Tell whether a run has ever put its version beside the champion."""
    return any((entry.action, entry.by) == ("challenge", run_id) for entry in audit)


def how_it_ended(audit: Sequence[AuditEntry], run: Run, version: ModelVersion) -> str:
    """Return in a sentence why a run's version stands beside the champion no more.

    Parameters
    ----------
    audit : sequence of AuditEntry
        Of the model, newest first.
    """
    after: list[AuditEntry] = []
    for entry in audit:
        if (entry.action, entry.by) == ("challenge", run.run_id):
            break
        after.append(entry)
    sentences = (_sentence(entry, run, version) for entry in reversed(after))
    return next((sentence for sentence in sentences if sentence), withdrawn(version))


def _sentence(entry: AuditEntry, run: Run, version: ModelVersion) -> str:
    """Return what an entry says of the end of a version's way; nothing if it did not end it."""
    what, words = f"version {version.version} of {version.model}", f": {entry.reason}" if entry.reason else ""
    if entry.action == "withdraw" and entry.version == version.version:
        return entry.reason if entry.by == run.run_id else f"{what} was withdrawn by {entry.by}{words}"
    if entry.moved_pointer:
        return f"{what} was overtaken by version {entry.version}, which {entry.by} let serve{words}"
    if entry.action == "challenge":
        return f"{what} was overtaken by version {entry.version}, which run {entry.by} brought{words}"
    return ""
