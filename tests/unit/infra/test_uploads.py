"""Sending files and finding their runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from infra import uploads
from infra.deployment import Deployment
from infra.uploads import upload_file, upload_files
from perennial.errors import DataError, TransientError
from perennial.fakes import fake_ports
from perennial.ports import Ports
from perennial.records import Trigger
from tests.support.records import a_run
from tests.support.world import DEFINITIONS


@dataclass
class Bucket:
    """A bucket that keeps versions and starts a run for each upload, as the deployment does."""

    ports: Ports
    runs: bool = True
    sent: list[str] = field(default_factory=list)

    def put_object(self, **request: Any) -> dict[str, str]:
        key, content, version = request["Key"], request["Body"].read(), f"v{len(self.sent)}"
        self.sent.append(key)
        if self.runs:
            run = a_run(
                f"run-{key}",
                subject="rides",
                trigger=Trigger(kind="upload", source=f"s3://{request['Bucket']}/{key}"),
                inputs={"version": version},
                started_at=self.ports.clock.now(),
            )
            self.ports.catalog.start_run(run)
            refused = b"bad" in content
            self.ports.catalog.finish_run(run.run_id, "failed" if refused else "succeeded", self.ports.clock.now())
        return {"VersionId": version}


@dataclass
class Stack:
    """A deployment of fakes."""

    ports: Ports
    bucket: Bucket
    outputs: dict[str, str] = field(default_factory=lambda: {"RawBucket": "raw"})

    def client(self, service: str) -> Bucket:
        assert service == "s3"
        return self.bucket


@pytest.fixture
def stack() -> Stack:
    ports = fake_ports(DEFINITIONS)
    return Stack(ports, Bucket(ports))


def files(folder: Path, *names: str, content: str = "a") -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    return [folder / name for name in names]


def send(stack: Stack, paths: list[Path], seconds: float | None = 5) -> dict[str, str | None]:
    done = upload_files(cast(Deployment, stack), "rides", paths, seconds, lambda run, step: None)
    return {path.name: run.status if run else None for path, run in done}


@pytest.fixture(autouse=True)
def _any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fakes' clock stands in the past."""
    monkeypatch.setattr(uploads, "CLOCK_SLACK", timedelta(days=100 * 365))


def test_each_file_is_told_with_its_own_run_however_many_there_are(stack: Stack, tmp_path: Path) -> None:
    names = [f"{number}.csv" for number in range(120)]
    paths = files(tmp_path, *names)
    (tmp_path / "7.csv").write_text("bad")
    found = send(stack, paths)
    assert found == {name: "failed" if name == "7.csv" else "succeeded" for name in names}
    assert sorted(stack.bucket.sent) == sorted(f"rides/{name}" for name in names)


def test_who_does_not_wait_is_told_of_no_run(stack: Stack, tmp_path: Path) -> None:
    assert send(stack, files(tmp_path, "a.csv", "b.csv"), None) == {"a.csv": None, "b.csv": None}


def test_an_upload_whose_run_does_not_start_ends_the_wait(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "START_SECONDS", 0.0)
    stack.bucket.runs = False
    with pytest.raises(TransientError, match=r"run of the upload rides/a\.csv did not come"):
        send(stack, files(tmp_path, "a.csv"))


def test_files_to_predict_are_no_dataset_s(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x")
    with pytest.raises(DataError, match="perennial batch-predict"):
        list(upload_files(cast(Any, None), "predict", [path], None, lambda *_: None))


@pytest.mark.parametrize("dataset", ["", "../x", "a/b", "Flats"])
def test_what_cannot_be_a_dataset_s_name_is_refused_before_anything_is_sent(tmp_path: Path, dataset: str) -> None:
    nowhere: Any = None
    [path] = files(tmp_path, "f.csv")
    with pytest.raises(DataError, match="cannot be a dataset's name"):
        upload_file(nowhere, dataset, path, 1, lambda run, step: None)


def test_files_of_one_name_and_missing_ones_are_refused_before_anything_is_sent(stack: Stack, tmp_path: Path) -> None:
    paths = files(tmp_path, "x/a.csv", "y/a.csv", "b.csv")
    with pytest.raises(DataError, match="has the same name"):
        send(stack, paths)
    with pytest.raises(DataError, match="no such file"):
        send(stack, [paths[2], tmp_path / "c.csv"])
    assert stack.bucket.sent == []


def test_a_file_that_is_named_twice_is_sent_once(stack: Stack, tmp_path: Path) -> None:
    [path] = files(tmp_path, "a.csv")
    assert send(stack, [path, path]) == {"a.csv": "succeeded"}
    assert stack.bucket.sent == ["rides/a.csv"]


def test_a_folder_is_refused_with_the_hint_to_name_its_files(stack: Stack, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is a folder; name its files, such as .*/\*$"):
        send(stack, [tmp_path])
