"""What every catalog promises about experiments."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from perennial.aws.catalog import DynamoCatalog
from perennial.client import Client
from perennial.errors import DataError, NotFoundError
from perennial.fakes import fake_ports
from perennial.ports import Catalog
from perennial.records import ExperimentLog, LoggedFile, Submitted
from tests.support.notebook import Ada
from tests.support.tables import CATALOG
from tests.support.training_runs import world


def a_log(run_id: str = "try-1", model: str = "fare", **changes: Any) -> ExperimentLog:
    return ExperimentLog(run_id=run_id, model=model, **changes)


def test_what_was_logged_is_found_again_with_the_types_that_it_had(catalog: Catalog) -> None:
    log = a_log(
        parameters={"rate": 0.1, "trees": 80, "deep": True, "loss": "mae", "limit": None},
        metrics={"mae": 1.5},
        points={"mae": 3},
        chunks=1,
        artifacts=(LoggedFile(name="a.png", key="experiments/fare/try-1/a", sha256="f" * 64, size=3),),
        submitted=(Submitted(submission="e" * 64, run_id="train-1", version=2, passed=True),),
    )
    catalog.record_experiment(log)
    found = catalog.experiment("fare", "try-1")
    assert found == log
    assert [type(value) for value in found.parameters.values()] == [float, int, bool, str, type(None)]


def test_the_latest_write_stands(catalog: Catalog) -> None:
    catalog.record_experiment(a_log(metrics={"mae": 3.0}))
    catalog.record_experiment(a_log(metrics={"mae": 2.0}))
    assert catalog.experiments("fare") == [a_log(metrics={"mae": 2.0})]


def test_experiments_are_those_of_one_model_in_the_order_of_their_ids(catalog: Catalog) -> None:
    for run_id, model in (("b", "fare"), ("a", "fare"), ("c", "fares"), ("d", "far")):
        catalog.record_experiment(a_log(run_id, model))
    assert [log.run_id for log in catalog.experiments("fare")] == ["a", "b"]
    assert catalog.experiments("none") == []


def test_an_experiment_that_there_is_not_is_not_found(catalog: Catalog) -> None:
    catalog.record_experiment(a_log())
    for model, run_id in (("fare", "try-2"), ("tip", "try-1")):
        with pytest.raises(NotFoundError, match=run_id):
            catalog.experiment(model, run_id)


def test_a_log_that_is_too_large_is_refused(catalog: Catalog) -> None:
    with pytest.raises(DataError, match="keep data in an object"):
        catalog.record_experiment(a_log(parameters={"text": "x" * 410_000}))


def test_who_may_log_experiments_need_not_be_allowed_to_move_a_champion(aws: None) -> None:
    """The condition that docs/notebook.md names, and the actions."""
    client = boto3.client("dynamodb")
    called: set[str] = set()
    written: set[str] = set()

    def hear(params: dict[str, Any], model: Any, **_: Any) -> None:
        called.add(model.name)
        if model.name == "PutItem":
            written.add(params["Item"]["pk"]["S"].partition("#")[0])

    client.meta.events.register("before-parameter-build.dynamodb", hear)
    ports = fake_ports(world(), catalog=DynamoCatalog(client, CATALOG))
    notebook = Client(ports, Ada(ports))
    with notebook.experiment("fare") as run:
        run.log_metric("mae", 1.0)
    left = notebook.experiment("fare")
    notebook.close_experiment(left.run_id)
    assert notebook.experiments("fare")["status"].tolist() in (["failed", "succeeded"], ["succeeded", "failed"])
    assert called == {"GetItem", "PutItem", "Query"}
    assert written == {"RUN", "EXPERIMENTS"}
