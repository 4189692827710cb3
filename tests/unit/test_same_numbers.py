"""One number for a row: from the API, from a whole file, and from the rows that a version was judged by."""

from __future__ import annotations

import csv
import gzip
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perennial import keys
from perennial.definitions import Retrain
from perennial.definitions.files import Definitions, load_definitions
from perennial.fakes import FixedClock, fake_ports
from perennial.manifest import Manifest
from perennial.ports import Ports
from perennial.records import TrainingSet, Trigger
from perennial.serving.ids import make_request_id
from perennial.serving.predictors import Predictors
from perennial.serving.scorer import scorer_of, served_file
from perennial.steps import admit, evaluate, features, ingest, predict, register, train, training_set
from perennial.training.rows import read_rows
from tests.support.bulk import ask, collected, predicted, score_all

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
TRIPS = tuple(sorted((ROOT / "events" / "uploads" / "taxi_trips").glob("*.csv.gz")))[:2]
PERSON = Trigger(kind="person", source="ada")
MOST = 2000
"""Rows that the API is asked about."""
AT_ONCE = 500
"""Rows of one call of the API."""


@dataclass(frozen=True)
class Case:
    """A candidate of a model that the repository ships, and what is uploaded."""

    model: str
    candidate: str
    definitions: Path
    dataset: str
    uploads: tuple[Path, ...]
    """The last one is predicted."""
    now: str

    def __str__(self) -> str:
        return f"{self.model}-{self.candidate}"


STATEMENTS = (EXAMPLES / "churn" / "uploads" / "statements.csv",)
FLATS = (EXAMPLES / "flats" / "uploads" / "flats.csv",)
CASES = [
    *(
        Case("taxi_fare", name, ROOT / "layers" / "definitions", "taxi_trips", TRIPS, "2018-09-02T00:00:00Z")
        for name in ("ridge", "trees_recent")
    ),
    *(
        Case(model, name, EXAMPLES / "churn", "statements", STATEMENTS, "2024-06-01T12:00:00Z")
        for model, name in (("churn", "linear"), ("churn", "trees"), ("leaving_reason", "trees"))
    ),
    Case("flat_rent", "trees", EXAMPLES / "flats", "flats", FLATS, "2024-06-01T12:00:00Z"),
]


def shipped(case: Case) -> Definitions:
    """Return the definitions with one candidate, which is not searched, and content with the rows there are."""
    found = load_definitions(case.definitions)
    model = found.model(case.model)
    one = model.candidate(case.candidate).model_copy(update={"space": {}})
    changed = model.model_copy(update={"candidates": (one,), "retrain": Retrain(min_rows=1)})
    return Definitions(found.datasets, found.views, {case.model: changed})


def trained(case: Case) -> tuple[Ports, TrainingSet]:
    """Return fakes in which the candidate is version 1 and serves, and what it learnt from."""
    ports = fake_ports(shipped(case), clock=FixedClock(case.now))
    for path in case.uploads:
        key = f"{case.dataset}/{path.name}"
        ports.raw.put(key, path.read_bytes())
        ingest.run(ingest.Request(run_id=f"ingest-{path.name}", bucket="raw", key=key), ports)
    features.run(features.Request(run_id=f"ingest-{case.uploads[-1].name}", dataset=case.dataset), ports)
    which: dict[str, Any] = {"run_id": "train-1", "model": case.model}
    assert admit.run(admit.Request(**which, trigger=PERSON), ports).admitted
    learnt = training_set.run(training_set.Request(**which), ports)
    train.run(train.Request(**which, candidate=case.candidate), ports)
    evaluate.run(evaluate.Request(**which), ports)
    assert register.run(register.Request(**which), ports).version == 1
    ports.catalog.promote(case.model, 1, None, ports.clock.now(), "ada", "for a test")
    return ports, learnt


def instances(case: Case, ports: Ports) -> list[dict[str, Any]]:
    """Return the rows of the last upload as a caller of the API writes them."""
    content = case.uploads[-1].read_bytes()
    text = gzip.decompress(content) if case.uploads[-1].suffix == ".gz" else content
    columns = ports.definitions.dataset(case.dataset).columns
    plain = {name for name, column in columns.items() if column.type in ("integer", "double", "boolean")}
    return [
        {
            name: (json.loads(value) if name in plain else value) if value else None
            for name, value in line.items()
            if name in columns
        }
        for line in csv.DictReader(text.decode().splitlines())
    ]


def online(case: Case, ports: Ports, rows: list[dict[str, Any]]) -> list[Any]:
    """Return what the API answers, some rows at a time."""
    now, found, kept = ports.clock.now(), [], Predictors()
    for start in range(0, len(rows), AT_ONCE):
        asked = predict.Request(
            model=case.model,
            instances=rows[start : start + AT_ONCE],
            request_id=make_request_id(now, start.to_bytes(10, "big")),
            at=now,
        )
        found += predict.run(asked, ports, kept).predictions
    return [{"missing": [], **{name: said for name, said in one.items() if name != "prediction_id"}} for one in found]


def moved(case: Case, ports: Ports, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows a month after the last one, when all that they tell is known, at their time of day.

    The online store keeps an entity's two latest values; a file is predicted by all that were ever known.
    """
    time = ports.definitions.dataset(case.dataset).event_time
    day = (max(_moment(case, ports, row) for row in rows) + timedelta(days=32)).date().isoformat()
    return [{**row, time: day + row[time][len(day) :]} for row in rows]


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    """Return rows as a file."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows({name: str(v).lower() if isinstance(v, bool) else v for name, v in row.items()} for row in rows)
    return file.getvalue().encode()


def held_out(case: Case, ports: Ports, learnt: TrainingSet, folder: Path) -> np.ndarray[Any, Any]:
    """Return the version's predictions of the rows that it was judged by."""
    version = ports.catalog.version(case.model, 1)
    manifest = Manifest.model_validate_json(ports.artifacts.get(version.manifest_key))
    name = served_file(manifest.files)
    scorer = scorer_of(manifest, ports.artifacts.get(keys.artifact(case.model, 1, name)))
    path = folder / "holdout.parquet"
    ports.artifacts.download(learnt.holdout_key, path)
    rows = read_rows(path, learnt.features, learnt.categories, learnt.classes)
    return scorer.score_matrix(rows.features)


@pytest.fixture(scope="module", params=CASES, ids=str)
def world(request: pytest.FixtureRequest) -> tuple[Case, Ports, TrainingSet]:
    """Return a case with fakes in which it was trained."""
    return (request.param, *trained(request.param))


def whole_file(case: Case, ports: Ports, content: bytes, run_id: str) -> list[dict[str, Any]]:
    """Return what a file's run makes of its rows; they are in several chunks."""
    name = "rows.csv.gz" if content.startswith(b"\x1f\x8b") else "rows.csv"
    made = ask(ports, case.model, {name: content}, run_id)
    score_all(ports, made, block=1 << 16)
    return predicted(ports, collected(ports, made))


def test_a_whole_file_is_answered_as_the_api_answers_to_the_bit(world: tuple[Case, Ports, TrainingSet]) -> None:
    case, ports, _ = world
    rows = moved(case, ports, instances(case, ports))[:MOST]
    bulk = whole_file(case, ports, as_csv(rows), "bulk-later")
    # The API refuses a whole request for a row that a file's run leaves out.
    assert len(bulk) > 0.95 * len(rows)
    answers = online(case, ports, [rows[row["row"] - 2] for row in bulk])
    assert [{name: row[name] for name in answers[0]} for row in bulk] == answers


def test_a_whole_file_is_predicted_as_by_the_judge_to_the_bit(
    world: tuple[Case, Ports, TrainingSet], tmp_path: Path
) -> None:
    case, ports, learnt = world
    rows = instances(case, ports)
    bulk = whole_file(case, ports, case.uploads[-1].read_bytes(), "bulk-then")
    judged = held_out(case, ports, learnt, tmp_path)
    refused = _refused(case, ports)
    counted = [
        row
        for row in bulk
        if _moment(case, ports, rows[row["row"] - 2]) >= learnt.split_at
        and row["row"] not in refused
        and _counts(case, rows[row["row"] - 2])
    ]
    chances = [tuple(row["probabilities"].values()) if judged.ndim == 2 else (row["value"],) for row in counted]
    assert len(chances) > 50
    # A training set's rows stand in another order than the file's.
    assert sorted(chances) == sorted(map(tuple, judged.reshape(len(judged), -1).tolist()))


def _moment(case: Case, ports: Ports, row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row[ports.definitions.dataset(case.dataset).event_time]).replace(tzinfo=UTC)


def _refused(case: Case, ports: Ports) -> set[int]:
    """Return the lines of the last upload that are not learnt from: they break rules about what is not read here."""
    snapshots, _ = ports.catalog.snapshots(case.dataset)
    (last,) = [one for one in snapshots if one.source.endswith(case.uploads[-1].name)]
    if last.quarantine_key is None:
        return set()
    return {json.loads(line)["line"] for line in ports.artifacts.get(last.quarantine_key).splitlines()}


def _counts(case: Case, row: dict[str, Any]) -> bool:
    """Tell whether a row is one to learn from: reasons are those of people who left."""
    return case.model != "leaving_reason" or bool(row["cancelled"])
