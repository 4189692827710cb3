"""How much data a step will look at: by it the state machine chooses a function or a job."""

from __future__ import annotations

from perennial.ports import Ports


def bytes_behind_views(ports: Ports, dataset: str) -> int:
    """Return the bytes of a dataset's live snapshots, and of those that its views read beside them."""
    read = {dataset} | {
        other.name for view in ports.definitions.views_of(dataset) for other in ports.definitions.datasets_of(view.name)
    }
    return sum(snapshot.size for name in sorted(read) for snapshot in ports.catalog.snapshots(name)[0])
