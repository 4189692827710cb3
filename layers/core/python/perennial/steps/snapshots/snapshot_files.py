"""Reading a snapshot: its manifest, and its parts as files, each checked against its recorded SHA-256."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from perennial.ports import ObjectStore, Ports
from perennial.records import Part, Snapshot, SnapshotManifest
from perennial.steps.verified import download_verified, read_verified

AT_ONCE = 8
"""How many objects travel at a time: enough to fill a Lambda's network, few enough for small memory."""

Given = TypeVar("Given")
Found = TypeVar("Found")


def read_manifest(ports: Ports, snapshot: Snapshot) -> SnapshotManifest:
    """Return what a snapshot consists of.

    A reader of its rows calls `perennial.data.contract.schema.check_fits` on it first.

    Raises
    ------
    DataError
        The manifest is not the one that was recorded.
    NotFoundError
        It is gone: the snapshot was taken back, as when its rows were forgotten, after the catalog was read.
    """
    content = read_verified(ports.artifacts, snapshot.manifest_key, snapshot.manifest_sha256)
    return SnapshotManifest.model_validate_json(content)


def read_manifests(ports: Ports, snapshots: Sequence[Snapshot]) -> list[SnapshotManifest]:
    """Return what each snapshot consists of, in their order, read several at a time; errors as `read_manifest`."""
    return several(lambda snapshot: read_manifest(ports, snapshot), snapshots)


def fetch_parts(store: ObjectStore, parts: Sequence[Part], folder: Path) -> list[Path]:
    """Download parts into a folder, several at a time; return their files in the order of the parts.

    A file is named by its SHA-256, so a part that is in the folder already is not downloaded again. What a killed
    download left is never taken for a part: a file gets its name when it is whole and checked.

    Raises
    ------
    DataError
        A part is not the one that was recorded.
    NotFoundError
        A part is gone.
    """
    wanted = {part.sha256: part for part in parts}

    def fetch(part: Part) -> None:
        path = _place(folder, part)
        if not path.exists():
            unchecked = path.with_suffix(".unchecked")
            download_verified(store, part.key, part.sha256, unchecked).replace(path)

    several(fetch, wanted.values())
    return [_place(folder, part) for part in parts]


def several(call: Callable[[Given], Found], arguments: Iterable[Given]) -> list[Found]:
    """Return what a call gives for each argument, in their order, several calls at a time.

    The first error is raised once the calls under way have ended; calls that wait are not made any more.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(call, argument) for argument in arguments]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _place(folder: Path, part: Part) -> Path:
    return folder / f"{part.sha256}.parquet"
