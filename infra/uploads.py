"""Sending files to a dataset, several at a time, and waiting for what comes of each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.deployment import Deployment
from infra.waiting import CLOCK_SLACK, POLL_SECONDS, START_SECONDS, OnStep, follow_run
from perennial.definitions import NAME
from perennial.errors import DataError, TransientError
from perennial.keys import PREDICT
from perennial.ports import Catalog
from perennial.records import Run

AT_ONCE = 8
"""How many files are sent at the same time."""
_ONE_REQUEST = 64 * 2**20
"""Bytes up to which a file is sent in one request, which tells its version; S3 takes 5 GB so."""
_LONGEST_KEY = 1024


@dataclass(frozen=True)
class Sent:
    """A file that was sent."""

    path: Path
    key: str
    version: str | None


def upload_files(
    deployment: Deployment, dataset: str, paths: Sequence[Path], seconds: float | None, on_step: OnStep
) -> Iterator[tuple[Path, Run | None]]:
    """Upload files to a dataset and yield each with the run that it started, once that is closed.

    Parameters
    ----------
    seconds : float or None
        How long to wait for a run; None waits for none, and yields each file without one.
    on_step : callable
        Hears of each step of each run.

    Raises
    ------
    DataError
        There is no such file, two files have one name, or no dataset can have that name; nothing was sent.
    TransientError
        A run did not start, or not end in time.
    """
    keys = _keys(dataset, paths)
    since = datetime.now(UTC) - CLOCK_SLACK
    client = deployment.client("s3")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sent = list(pool.map(lambda item: _send(client, deployment.outputs["RawBucket"], *item), keys.items()))
    if seconds is None:
        yield from ((one.path, None) for one in sent)
        return
    for one, run in _runs(deployment.ports.catalog, dataset, sent, since):
        yield one.path, follow_run(deployment.ports.catalog, run.run_id, seconds, on_step)


def upload_file(
    deployment: Deployment, dataset: str, path: Path, seconds: float | None, on_step: OnStep
) -> tuple[Path, Run | None]:
    """Upload one file; as `upload_files`."""
    return next(iter(upload_files(deployment, dataset, [path], seconds, on_step)))


def _keys(dataset: str, paths: Sequence[Path]) -> dict[Path, str]:
    if not NAME.match(dataset):
        raise DataError(f"{dataset!r} cannot be a dataset's name; `perennial check` shows the datasets")
    if dataset == PREDICT:
        raise DataError(f"{PREDICT!r} is no dataset; to predict files, run `perennial batch-predict MODEL FILE...`")
    names: dict[str, Path] = {}
    for path in paths:
        if path.is_dir():
            raise DataError(f"{path} is a folder; name its files, such as {path / '*'}")
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        if len(f"{dataset}/{path.name}".encode()) > _LONGEST_KEY:
            raise DataError(f"{path}: its name is longer than the {_LONGEST_KEY} bytes of an object's key; shorten it")
        if path.name in names and names[path.name] != path:
            raise DataError(f"{path}: {names[path.name]} has the same name, and one would replace the other; rename it")
        names[path.name] = path
    return {path: f"{dataset}/{name}" for name, path in names.items()}


def _send(client: Any, bucket: str, path: Path, key: str) -> Sent:
    if path.stat().st_size > _ONE_REQUEST:
        client.upload_file(str(path), bucket, key)
        return Sent(path, key, client.head_object(Bucket=bucket, Key=key).get("VersionId"))
    with path.open("rb") as body:
        return Sent(path, key, client.put_object(Bucket=bucket, Key=key, Body=body).get("VersionId"))


def _runs(catalog: Catalog, dataset: str, sent: Sequence[Sent], since: datetime) -> Iterator[tuple[Sent, Run]]:
    """Yield each file with its run, in the order in which the runs are found."""
    missing = {(one.key, one.version): one for one in sent}
    deadline = time.monotonic() + START_SECONDS
    while missing:
        # The files' own runs are the latest; some others may have come since.
        for run in reversed(catalog.runs(limit=len(sent) + 50, kind="ingest", subject=dataset)):
            which = (run.trigger.source.partition("://")[2].partition("/")[2], run.inputs.get("version"))
            one = missing.pop(which, None) if run.started_at >= since else None
            if one is not None:
                yield one, run
                deadline = time.monotonic() + START_SECONDS  # one after the other, on a small machine
        if missing and time.monotonic() > deadline:
            key = next(iter(missing.values())).key
            raise TransientError(
                f"the run of the upload {key} did not come within {START_SECONDS:.0f} s; "
                "see `perennial runs` and `perennial logs`"
            )
        if missing:
            time.sleep(POLL_SECONDS)
