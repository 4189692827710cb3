"""What the CLI does about bulk predictions."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from infra.batch_predictions import Target, ask, describe, result_of, save
from infra.deployment import Deployment
from perennial.errors import DataError, NotFoundError
from perennial.ports import Ports
from perennial.steps import batch_predict, collect
from perennial.steps.batch_predict import Asked
from tests.support.bulk import PERSON, score_all
from tests.support.interruptions import copied
from tests.support.whole_runs import small_world

ROWS = "began,zone,miles\n" + "".join(f"2019-01-05 {hour:02d}:00:00,1,{hour}.5\n" for hour in range(20))
DIRTY = ROWS + "2019-01-05 00:00:00,1,far\n"


@dataclass
class FakeDeployment:
    """A deployment on fakes, which remembers what was started."""

    ports: Ports
    outputs: dict[str, str] = field(default_factory=lambda: {"RawBucket": "raw"})
    started: list[dict[str, Any]] = field(default_factory=list)

    def start(self, verb: str, about: dict[str, Any], reason: str, run_id: str) -> str:
        self.started.append({"verb": verb, "reason": reason, **about})
        return run_id


@pytest.fixture(scope="module")
def world() -> Ports:
    """Return fakes in which version 1 of ``fare`` was trained and serves."""
    ports = small_world()
    ports.catalog.promote("fare", 1, None, ports.clock.now(), "ada", "for a test")
    return ports


@pytest.fixture
def deployment(world: Ports) -> FakeDeployment:
    return FakeDeployment(copied(world))


@pytest.fixture
def rides(tmp_path: Path) -> Path:
    path = tmp_path / "rides.csv"
    path.write_text(DIRTY)
    return path


def asked(deployment: FakeDeployment, *files: str, version: str | None = None, resume: str | None = None) -> str:
    return ask(cast(Deployment, deployment), "fare", files, version, resume, "an audit")


def request(deployment: FakeDeployment) -> Asked:
    return Asked.model_validate_json(deployment.ports.artifacts.get(deployment.started[-1]["request_key"]))


def done(deployment: FakeDeployment, run_id: str) -> batch_predict.Planned:
    """Do what the state machine does."""
    ports = deployment.ports
    planned = batch_predict.run(
        batch_predict.Request(
            run_id=run_id, model="fare", request_key=deployment.started[-1]["request_key"], trigger=PERSON,
            bytes_per_job=1 << 20, most_jobs=2,
        ),
        ports,
    )  # fmt: skip
    score_all(ports, planned)
    collect.run(collect.Request(run_id=run_id, model="fare", bulk_id=planned.bulk_id), ports)
    return planned


def test_a_local_file_is_copied_once_under_its_content(deployment: FakeDeployment, rides: Path) -> None:
    asked(deployment, str(rides), version="1")
    first = request(deployment)
    asked(deployment, str(rides), version="shadow")
    assert (first.version, request(deployment).version) == (1, "shadow")
    assert request(deployment).files == first.files
    assert deployment.ports.artifacts.get(first.files[0].key) == DIRTY.encode()
    rides.write_text(ROWS)
    asked(deployment, str(rides))
    assert request(deployment).files != first.files
    started = deployment.started[0]
    assert (started["verb"], started["model"], started["upload"]) == ("batch_predict", "fare", {})
    assert started["reason"] == "an audit"


def test_an_object_below_predict_is_read_where_it_is_and_no_other(deployment: FakeDeployment) -> None:
    asked(deployment, "s3://raw/predict/june.csv")
    (file,) = request(deployment).files
    assert (file.bucket, file.key, file.name) == ("raw", "predict/june.csv", "june.csv")
    for address in ("s3://raw/rides/june.csv", "s3://theirs/predict/june.csv"):
        with pytest.raises(DataError, match=r"read below s3://raw/predict/ alone"):
            asked(deployment, address)


def test_what_cannot_be_predicted_is_told_before_anything_starts(deployment: FakeDeployment, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for folder in (tmp_path, tmp_path / "other"):
        (folder / "a.csv").write_text(ROWS)
    for files, sentence in (
        ((), "name the files to predict"),
        ((str(tmp_path),), "is a folder"),
        ((str(tmp_path / "none.csv"),), "no such file"),
        ((str(tmp_path / "a.csv"), str(tmp_path / "other" / "a.csv")), "has the same name"),
    ):
        with pytest.raises(DataError, match=sentence):
            asked(deployment, *files)
    with pytest.raises(NotFoundError, match="has no version yet"):
        ask(cast(Deployment, deployment), "castles", [str(tmp_path / "a.csv")], None, None, "")
    assert deployment.started == []


def test_a_run_is_gone_on_with_by_its_plan(deployment: FakeDeployment, rides: Path) -> None:
    run_id = asked(deployment, str(rides))
    planned = done(deployment, run_id)
    asked(deployment, resume=run_id[:8])
    assert request(deployment) == Asked(bulk_id=planned.bulk_id)
    with pytest.raises(DataError, match="leave others out"):
        asked(deployment, str(rides), resume=run_id)
    with pytest.raises(DataError, match=r"is a train of fare, no batch_predict"):
        asked(deployment, resume="train-1")


def test_predictions_are_saved_in_the_order_of_the_rows(
    deployment: FakeDeployment, rides: Path, tmp_path: Path
) -> None:
    run_id = asked(deployment, str(rides))
    done(deployment, run_id)
    result = result_of(deployment.ports, deployment.ports.catalog.run(run_id))
    (path,) = save(deployment.ports, result, Target.of(tmp_path / "saved.csv"))
    with path.open(newline="") as file:
        assert [int(row["row"]) for row in csv.DictReader(file)] == list(range(2, 22))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["rides.csv", "saved.csv"], "nothing else is left"
    columns, rows = describe(result)
    assert dict(zip(columns, rows[0], strict=True)) == {
        "file": "rides.csv", "predicted": 20, "rejected": 1, "what most of these break": "miles: type",
    }  # fmt: skip


def test_a_folder_gets_parts_rejected_rows_and_the_result(
    deployment: FakeDeployment, rides: Path, tmp_path: Path
) -> None:
    run_id = asked(deployment, str(rides))
    done(deployment, run_id)
    result = result_of(deployment.ports, deployment.ports.catalog.run(run_id))
    saved = save(deployment.ports, result, Target.of(tmp_path / "out"))
    names = ["00000-000000-parts.parquet", "00000-000000-rejects.jsonl", "result.json"]
    assert [path.name for path in saved] == names
    assert json.loads(saved[1].read_text())["line"] == 22
    assert json.loads(saved[2].read_text())["rows"] == 20


@pytest.mark.parametrize(
    ("name", "sentence"), [("a.xlsx", r"saved as \.parquet"), ("none/a.csv", "there is no folder")]
)
def test_where_nothing_can_be_saved_is_told_first(name: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=sentence):
        Target.of(tmp_path / name)
