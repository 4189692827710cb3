"""Runs of the small world from the upload to the registered version."""

from __future__ import annotations

from perennial.definitions.files import Definitions
from perennial.ports import Ports
from perennial.records import Trigger
from perennial.steps import admit, evaluate, features, ingest, register, train, training_set
from tests.support.world import DEFINITIONS, FARE, new_ports, upload

ADA = Trigger(kind="person", source="ada", reason="an audit")
SMALL = FARE.model_copy(
    update={
        "retrain": FARE.retrain.model_copy(update={"min_rows": 1}),
        "features": {name: FARE.features[name] for name in sorted(FARE.features, reverse=True)},
    }
)
"""The model, content with few rows; its features are in an order that is not that of the alphabet."""


def ingested(ports: Ports, name: str = "a.csv", day: int = 1) -> Ports:
    """Upload a file and take it through its run."""
    run_id = f"ingest-{name}"
    ingest.run(ingest.Request(run_id=run_id, bucket="raw", key=upload(ports, name, day)), ports)
    features.run(features.Request(run_id=run_id, dataset="rides"), ports)
    return ports


def trained(ports: Ports, run_id: str = "train-1", trigger: Trigger = ADA) -> int:
    """Take a training run to its version; return the number."""
    admission = admit.run(admit.Request(run_id=run_id, model="fare", trigger=trigger), ports)
    assert admission.admitted, admission.reason
    training_set.run(training_set.Request(run_id=run_id, model="fare"), ports)
    for name in admission.candidates:
        train.run(train.Request(run_id=run_id, model="fare", candidate=name), ports)
    evaluate.run(evaluate.Request(run_id=run_id, model="fare"), ports)
    return register.run(register.Request(run_id=run_id, model="fare"), ports).version


def small_world() -> Ports:
    """Return fakes in which version 1 was trained on one upload."""
    ports = ingested(new_ports(Definitions(DEFINITIONS.datasets, DEFINITIONS.views, {"fare": SMALL})))
    assert trained(ports) == 1
    return ports
