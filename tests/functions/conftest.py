"""The handlers' world: fakes of all ports, small uploads, and events from ``events/``."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perennial.definitions import Model, Monitor, Retrain, Search, Space
from perennial.definitions.files import Definitions
from perennial.ports import Ports
from perennial.settings import Settings

EVENTS = Path(__file__).parents[2] / "events"


def event(verb: str, **changes: Any) -> dict[str, Any]:
    """Return the sample event of a verb."""
    content = json.loads((EVENTS / f"{verb}.json").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return {**content, **changes}


def trips_csv(rows: int = 400, start: datetime = datetime(2019, 2, 10)) -> bytes:
    """Return an upload of trips, one an hour, whose price is 3 + 2 a mile."""
    distances = np.random.default_rng(3).uniform(0.5, 20, rows).round(2)
    header = (
        "vendor_id,pickup_datetime,dropoff_datetime,passenger_count,trip_distance,rate_code_id,store_and_fwd_flag,"
        "pickup_location_id,dropoff_location_id,payment_type,fare_amount,extra,mta_tax,tip_amount,tolls_amount,"
        "improvement_surcharge,total_amount,congestion_surcharge"
    )
    lines = [header]
    for number, distance in enumerate(distances):
        pickup = start + timedelta(hours=number)
        price = 3 + 2 * distance
        lines.append(
            f"1,{pickup},{pickup + timedelta(minutes=20)},1,{distance},1,N,"
            f"{1 + 13 * number % 265},{1 + 7 * number % 265},1,{price:.2f},0,0.5,1,0,0.3,{price + 1:.2f},"
        )
    return "\n".join(lines).encode() + b"\n"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(
        deployment="test",
        raw_bucket="raw",
        artifacts_bucket="artifacts",
        catalog_table="catalog",
        online_table="online",
    )
    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def definitions(definitions: Definitions) -> Definitions:
    """Return the shipped definitions, made to do with 400 rows and one candidate."""
    shipped = definitions.model("taxi_fare")
    small: Model = shipped.model_copy(
        update={
            "candidates": shipped.candidates[:1],
            "retrain": Retrain(min_rows=100),
            "monitor": Monitor(window_rows=100, min_rows=2),
        }
    )
    return Definitions(definitions.datasets, definitions.views, {"taxi_fare": small})


@pytest.fixture
def uploaded(ports: Ports) -> Ports:
    """Return fakes among which the sample event's upload has arrived."""
    ports.raw.put(event("ingest")["key"], gzip.compress(trips_csv(), mtime=0))
    return ports


@pytest.fixture
def searchable(uploaded: Ports) -> Ports:
    """Return the same with a candidate whose parameters are searched."""
    shipped = uploaded.definitions.model("taxi_fare")
    (ridge,) = shipped.candidates
    space = {"alpha": Space(low=0.01, high=100, log=True)}
    searched = {"candidates": (ridge.model_copy(update={"space": space}),), "search": Search(trials=3, parallel=2)}
    model = shipped.model_copy(update=searched)
    known = uploaded.definitions
    return replace(uploaded, definitions=Definitions(known.datasets, known.views, {"taxi_fare": model}))
