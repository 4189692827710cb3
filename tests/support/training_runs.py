"""A small world in which models are trained: hourly trips whose price is mostly a straight line."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from perennial import keys
from perennial.definitions import Dataset, FeatureView, Model
from perennial.definitions.files import Definitions
from perennial.ports import Ports
from perennial.records import TrainingSet, Trigger, Verdict
from perennial.steps import admit, evaluate, train
from perennial.steps.recording import recorded
from tests.support.records import a_snapshot

FEATURES = ("trip__distance", "trip__zone", "zones__mean_price")
BEGIN = datetime(2019, 1, 1)
SPLIT_AT = BEGIN + timedelta(hours=300)
PERSON = Trigger(kind="person", source="arn:aws:iam::000000000000:user/ada")
ALARM = Trigger(kind="alarm", source="fare-feature-drift", reason="threshold crossed")
DATA = Trigger(kind="data", source="trips s2")


def world(request_sql: str = "SELECT distance AS distance, zone AS zone FROM trips", **model: Any) -> Definitions:
    """Return the definitions of the model ``fare``; ``model`` changes its keys."""
    dataset = Dataset.model_validate(
        {
            "name": "trips",
            "event_time": "began",
            "columns": {
                "began": {"type": "timestamp"},
                "distance": {"type": "double", "nullable": True},
                "zone": {"type": "integer"},
                "price": {"type": "double"},
            },
        }
    )
    views: list[dict[str, Any]] = [
        {"name": "trip", "kind": "request", "dataset": "trips", "sql": request_sql},
        {
            "name": "zones",
            "kind": "stored",
            "dataset": "trips",
            "entity": ["zone"],
            "feature_time": "known_at",
            "ttl": "30 days",
            "sql": "SELECT zone, began AS known_at, avg(price) OVER (PARTITION BY zone ORDER BY began) AS mean_price "
            "FROM trips",
        },
    ]
    example: dict[str, Any] = {
        "name": "fare",
        "dataset": "trips",
        "target": "price",
        "features": {"trip": ["distance", "zone"], "zones": ["mean_price"]},
        "split": {"holdout": "4 days"},
        "candidates": [
            {"name": "line", "algorithm": "ridge"},
            {"name": "trees", "algorithm": "hist_gradient_boosting", "parameters": {"max_iter": 20}},
        ],
        "seed": 7,
    }
    changed = Model.model_validate({**example, **model})
    return Definitions(
        {"trips": dataset}, {view["name"]: FeatureView.model_validate(view) for view in views}, {"fare": changed}
    )


def trips(hours: int = 400, price: float = 2.0) -> dict[str, np.ndarray[Any, Any]]:
    """Return columns of a training set: one trip an hour, ``price`` a mile, a tenth of the distances missing."""
    rng = np.random.default_rng(1)
    distance = rng.uniform(1, 20, hours)
    zone = rng.integers(1, 6, hours).astype(float)
    target = 3 + price * distance + zone + rng.normal(0, 0.1, hours)
    distance[rng.random(hours) < 0.1] = np.nan
    times = np.datetime64(BEGIN, "us") + np.arange(hours) * np.timedelta64(1, "h")
    return {
        "event_time": times,
        "trip__distance": distance,
        "trip__zone": zone,
        "zones__mean_price": zone * 2 + 20,
        "target": target,
    }


def write_parquet(columns: Mapping[str, np.ndarray[Any, Any]], path: Path) -> None:
    """Write columns as Parquet, NaN as NULL."""
    names = ", ".join(
        f"CASE WHEN isnan({name}) THEN NULL ELSE {name} END AS {name}" if values.dtype.kind == "f" else f'"{name}"'
        for name, values in columns.items()
    )
    with duckdb.connect() as connection:
        connection.register("columns_in_memory", dict(columns))
        connection.execute(f"COPY (SELECT {names} FROM columns_in_memory) TO '{path}' (FORMAT parquet)")


def put_training_set(
    ports: Ports,
    run_id: str,
    columns: Mapping[str, np.ndarray[Any, Any]],
    snapshots: tuple[str, ...] = ("s1",),
    **other: Any,
) -> TrainingSet:
    """Split columns at ``SPLIT_AT``, put them where the step ``training_set`` puts them, and record that step.

    ``other`` are further fields of the record. Columns named ``slice:…`` are of the held-out part alone.
    """
    slices = tuple(name.removeprefix("slice:") for name in columns if name.startswith("slice:"))
    features = tuple(name for name in columns if name not in ("event_time", "target") and ":" not in name)
    place: dict[str, tuple[str, str, int]] = {}
    late = columns["event_time"] >= np.datetime64(SPLIT_AT, "us")
    with tempfile.TemporaryDirectory() as folder:
        for part, chosen in (("train", ~late), ("holdout", late)):
            path = Path(folder) / f"{part}.parquet"
            kept = {name: values[chosen] for name, values in columns.items() if part == "holdout" or ":" not in name}
            write_parquet(kept, path)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            key = keys.training_set("fare", sha256, part)
            ports.artifacts.upload(path, key)
            place[part] = key, sha256, int(chosen.sum())
    training_set = TrainingSet(
        training_set_id=hashlib.sha256(json.dumps([features, sorted(place.values())]).encode()).hexdigest()[:32],
        train_key=place["train"][0],
        holdout_key=place["holdout"][0],
        features=features,
        slices=slices,
        split_at=SPLIT_AT.replace(tzinfo=UTC),
        rows_train=place["train"][2],
        rows_holdout=place["holdout"][2],
        snapshots=snapshots,
        views={},
        sha256={key: sha256 for key, sha256, _ in place.values()},
        **other,
    )
    with recorded(ports, run_id, "training_set") as output:
        output.update(training_set.model_dump(mode="json"))
    return training_set


def put_snapshots(ports: Ports, *snapshot_ids: str, rows: int = 2000) -> None:
    """Publish snapshots of the dataset ``trips``."""
    for snapshot_id in snapshot_ids:
        ports.catalog.publish_snapshot(a_snapshot(snapshot_id, rows=rows))


def train_all(ports: Ports, run_id: str, trigger: Trigger = PERSON, price: float = 2.0) -> None:
    """Take a run from admission to trained candidates."""
    admission = admit.run(admit.Request(run_id=run_id, model="fare", trigger=trigger), ports)
    assert admission.admitted, admission.reason
    put_training_set(ports, run_id, trips(price=price))
    for name in admission.candidates:
        train.run(train.Request(run_id=run_id, model="fare", candidate=name), ports)


def judge_all(ports: Ports, run_id: str, trigger: Trigger = PERSON, price: float = 2.0) -> Verdict:
    """Take a run from admission to its verdict."""
    train_all(ports, run_id, trigger, price)
    return evaluate.run(evaluate.Request(run_id=run_id, model="fare"), ports)
