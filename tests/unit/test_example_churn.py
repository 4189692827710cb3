"""docs/examples/churn: a condition and classes from text features, from the upload to the answer."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from perennial.data.check import check_definitions
from perennial.definitions.files import load_definitions
from perennial.encoding import encode
from perennial.fakes import FixedClock, fake_ports
from perennial.ports import Ports
from perennial.records import Run, TrainingSet, Trigger
from perennial.serving.ids import make_request_id
from perennial.serving.predictor import Predictor
from perennial.serving.predictors import Predictors
from perennial.steps import features, ingest, predict, training_set
from perennial.steps.signature import signature
from tests.support.artifacts import a_manifest, logistic_graph, register, softmax_graph

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "churn"
UPLOAD = EXAMPLE / "uploads" / "statements.csv"
REQUEST = json.loads((EXAMPLE / "request.json").read_text())["instances"]


@pytest.fixture(scope="module")
def ports() -> Ports:
    """Return fakes where the example's upload was ingested."""
    ports = fake_ports(load_definitions(EXAMPLE), clock=FixedClock("2024-06-01T12:00:00Z"))
    ports.raw.put("statements/statements.csv", UPLOAD.read_bytes())
    done = ingest.run(ingest.Request(run_id="ingest-1", bucket="raw", key="statements/statements.csv"), ports)
    assert (done.rows, done.rejected) == (2400, 0)
    features.run(features.Request(run_id="ingest-1", dataset="statements"), ports)
    return ports


def made(ports: Ports, model: str) -> TrainingSet:
    run_id = f"train-{model}"
    fingerprint = ports.definitions.fingerprint(model)
    trigger = Trigger(kind="person", source="me")
    now = ports.clock.now()
    ports.catalog.start_run(
        Run(
            run_id=run_id,
            kind="train",
            subject=model,
            status="running",
            trigger=trigger,
            started_at=now,
            definition_hash=fingerprint,
        )
    )
    return training_set.run(training_set.Request(run_id=run_id, model=model), ports)


def frame(ports: Ports, key: str, folder: Path) -> list[dict[str, Any]]:
    path = folder / "part.parquet"
    ports.artifacts.download(key, path)
    found = duckdb.execute("FROM read_parquet(?)", [str(path)])
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def uploaded() -> list[dict[str, str]]:
    return list(csv.DictReader(UPLOAD.read_text().splitlines()))


def test_the_definitions_are_well_and_the_upload_is_what_its_script_writes(tmp_path: Path) -> None:
    check_definitions(load_definitions(EXAMPLE))
    (tmp_path / "make_uploads.py").write_bytes((EXAMPLE / "make_uploads.py").read_bytes())
    subprocess.run([sys.executable, str(tmp_path / "make_uploads.py")], check=True)
    assert (tmp_path / "uploads" / "statements.csv").read_bytes() == UPLOAD.read_bytes()
    assert UPLOAD.stat().st_size < 200_000


def test_the_training_set_of_the_condition_is_what_the_upload_says(ports: Ports, tmp_path: Path) -> None:
    learnt = made(ports, "churn")
    rows = uploaded()
    split = datetime.fromisoformat(rows[-1]["billed_at"]) - timedelta(days=21)
    train = [row for row in rows if datetime.fromisoformat(row["billed_at"]) < split]
    assert learnt.split_at.replace(tzinfo=None) == split
    assert (learnt.rows_train, learnt.rows_holdout) == (len(train), len(rows) - len(train))
    assert learnt.classes == ("false", "true")
    assert learnt.slices == ("plan", "new")
    assert learnt.categories == {
        "statement__plan": ("basic", "family", "plus"),
        "statement__payment": ("card", "debit", "invoice"),
        "statement__weekday": tuple("1234567"),
        "region_month__mood": ("calm", "restless", "usual"),
    }
    found = frame(ports, learnt.holdout_key, tmp_path)
    assert sum(row["target"] for row in found) == sum(row["cancelled"] == "true" for row in rows[len(train) :])
    assert Counter(row["slice:plan"] for row in found) == Counter(row["plan"] for row in rows[len(train) :])
    assert all(row["slice:new"] == str(row["statement__months"] < 6).lower() for row in found)
    assert all(row["statement__weekday"] == str(row["event_time"].isoweekday()) for row in found)


def test_the_training_set_of_the_classes_has_those_who_left(ports: Ports, tmp_path: Path) -> None:
    learnt = made(ports, "leaving_reason")
    assert learnt.classes == ("moved", "price", "service")
    assert learnt.rows_train + learnt.rows_holdout == sum(row["cancelled"] == "true" for row in uploaded())
    assert learnt.rows_without_target == 0
    told = Counter(
        row["target"] for key in (learnt.train_key, learnt.holdout_key) for row in frame(ports, key, tmp_path)
    )
    assert told == Counter(row["reason"] for row in uploaded() if row["reason"])


@pytest.mark.parametrize("model", ["churn", "leaving_reason"])
def test_the_request_is_answered_from_the_features_that_training_rows_have(ports: Ports, model: str) -> None:
    definitions, now = ports.definitions, ports.clock.now()
    sources = signature(definitions, model)
    categories = {
        "statement__plan": ("basic", "family"),
        "statement__payment": ("card", "invoice"),
        "region_month__mood": ("calm", "restless", "usual"),
    }
    task = definitions.model(model).task
    views = definitions.model(model).features.items()
    names = tuple(f"{view}__{column}" for view, columns in views for column in columns)
    if task == "binary":
        graph, classes = logistic_graph([0.0] * len(names), 1.0), ("false", "true")
        categories["statement__weekday"] = tuple("1234567")
    else:
        graph, classes = softmax_graph([[0.0] * 3] * len(names), [0.0, 1.0, 0.0]), ("moved", "price", "service")
    manifest = a_manifest(
        graph,
        model=model,
        task=task,
        features=names,
        categories=categories,
        classes=classes,
        request=sources.request,
        stored=sources.stored,
        inputs=sources.inputs,
        ignored=sources.ignored,
        event_time=sources.event_time,
    )
    register(ports, manifest, graph)
    predictors = Predictors()
    request = predict.Request(model=model, instances=REQUEST, request_id=make_request_id(now, bytes(10)), at=now)
    answer = predict.run(request, ports, predictors).predictions
    assert [each["label"] for each in answer] == ([True, True] if task == "binary" else ["price", "price"])

    predictor: Predictor = predictors.champion(ports, model, now)
    found = predictor.predict(REQUEST, ports.online.read_many, now).features
    first = dict(zip(names, found[0], strict=True))
    second = dict(zip(names, found[1], strict=True))
    assert (first["statement__plan"], first["statement__payment"], first["statement__calls"]) == (0.0, 1.0, 4.0)
    assert second["statement__plan"] == 1.0
    assert np.isnan(second["statement__payment"])
    assert first["region_month__mood"] in encode(["calm", "restless", "usual"], categories["region_month__mood"])
