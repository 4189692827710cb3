"""What the CLI tells of experiments."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from infra.display import describe_run
from infra.experiments import list_experiments
from infra.runs import list_runs, show_run
from perennial.client import Client
from perennial.errors import NotFoundError
from perennial.fakes import FixedClock, fake_ports
from perennial.ports import Ports
from tests.support.notebook import ADA, Ada
from tests.support.training_runs import world


def tried(ports: Ports, name: str, metrics: dict[str, float], **parameters: Any) -> str:
    with Client(ports, Ada(ports)).experiment("fare", name=name) as run:
        run.log_params(parameters)
        run.log_metrics(metrics)
    assert isinstance(ports.clock, FixedClock)
    ports.clock.advance(minutes=1)
    return run.run_id


@pytest.fixture
def ports() -> Ports:
    return fake_ports(world())


def printed(parts: list[Any]) -> str:
    console = Console(file=io.StringIO(), width=200)
    for part in parts:
        console.print(part)
    text = console.file
    assert isinstance(text, io.StringIO)
    return text.getvalue()


def test_the_best_by_the_models_metric_comes_first_and_those_without_it_last(ports: Ports) -> None:
    tried(ports, "nothing", {})
    tried(ports, "broken", {"mae": math.nan})
    tried(ports, "worse", {"mae": 2.0, "r2": 0.5}, rate=0.1)
    tried(ports, "better", {"mae": 1.0, "r2": 0.1}, rate=0.2)
    content, tables = list_experiments(ports, "fare", None, 50)
    assert [line["name"] for line in content] == ["better", "worse", "broken", "nothing"]
    assert [line["name"] for line in list_experiments(ports, "fare", "r2", 2)[0]] == ["worse", "better"]
    json.dumps(content, default=str, allow_nan=False)
    assert content[2]["metrics.mae"] is None
    assert (content[0]["params.rate"], content[0]["metrics.mae"], content[0]["person"]) == (0.2, 1.0, ADA)
    text = printed(tables)
    assert "ada" in text
    assert text.index("better") < text.index("worse")


def test_a_metric_that_nobody_logged_is_told(ports: Ports) -> None:
    tried(ports, "one", {"mae": 2.0})
    with pytest.raises(NotFoundError, match="no experiment on fare has logged 'rmse'; they have mae"):
        list_experiments(ports, "fare", "rmse", 50)


def test_an_experiment_is_among_the_runs_and_shows_what_it_logged(ports: Ports, tmp_path: Path) -> None:
    file = tmp_path / "plot.png"
    file.write_bytes(b"picture")
    with Client(ports, Ada(ports)).experiment("fare", name="a [try]") as run:
        run.log_params({"rate": 0.1, "loss": "mae"})
        run.log_metric("mae", 2.0)
        run.log_metric("mae", 1.25)
        run.log_artifact(file)
    listed, _ = list_runs(ports.catalog, 5, "experiment", None)
    assert [each["run_id"] for each in listed] == [run.run_id]
    assert describe_run(ports.catalog.run(run.run_id)) == "a [try], mae 1.25"
    content, shown = show_run(ports, run.run_id[:8], rejected=0)
    assert (content["parameters"], content["metrics"]) == ({"rate": 0.1, "loss": "mae"}, {"mae": 1.25})
    assert (content["points"], content["artifacts"][0]["name"]) == ({"mae": 2}, "plot.png")
    text = printed(shown)
    for word in ("a [try]", "loss", "1.250", f"s3://artifacts/experiments/fare/{run.run_id}/"):
        assert word in text


def test_an_experiment_that_failed_says_why(ports: Ports) -> None:
    run = Client(ports, Ada(ports)).experiment("fare")
    run.close(error="the kernel died")
    assert describe_run(ports.catalog.run(run.run_id)) == "the kernel died"
