"""What the CLI tells of runs."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from infra.runs import list_runs, show_run
from perennial.errors import DataError, NotFoundError
from perennial.ports import Ports
from perennial.steps import ingest
from tests.support.deliveries import STEPWISE, Traffic, requests, tried, two_versions, until_moved, with_delivery
from tests.support.searches import LINE, plan, search_all, searching, try_one
from tests.support.whole_runs import small_world, trained
from tests.support.world import new_ports, upload


def ingested(good: int = 3, bad: int = 0) -> Ports:
    ports = new_ports()
    key = upload(ports, rows=good, bad=bad)
    try:
        ingest.run(ingest.Request(run_id="run-1", bucket="raw", key=key), ports)
    except DataError:
        assert good == 0
    return ports


def printed(parts: list[Any]) -> str:
    console = Console(file=io.StringIO(), width=200)
    for part in parts:
        console.print(part)
    text = console.file
    assert isinstance(text, io.StringIO)
    return text.getvalue()


@pytest.mark.parametrize("good", [3, 0])
def test_an_upload_s_run_shows_where_its_rejected_rows_are_and_why(good: int) -> None:
    content, shown = show_run(ingested(good, bad=2), "run-1", rejected=1)

    quarantine = content["quarantine"]
    assert quarantine["location"].startswith("s3://artifacts/quarantine/rides/")
    assert (quarantine["rejected"], quarantine["rejected_by"]) == (2, {"zone: type": 2})
    assert [(row["line"], row["value"]) for row in quarantine["rows"]] == [(good + 2, "nowhere")]
    text = printed(shown)
    assert quarantine["location"] in text
    assert "zone 'nowhere' is not a whole number" in text


def test_a_run_that_rejected_nothing_shows_no_quarantine() -> None:
    content, _ = show_run(ingested(), "run-1", rejected=10)

    assert "quarantine" not in content


@pytest.mark.parametrize(("failures", "words"), [(0, "holds"), (200, "200 of 200 requests failed")])
def test_a_deployment_shows_what_its_version_was_held_against(ports: Ports, failures: int, words: str) -> None:
    ports = with_delivery(ports, STEPWISE)
    two_versions(ports)
    tried(ports)
    until_moved(ports, Traffic(challenger=requests(200, failures)))
    content, shown = show_run(ports, "deploy-2", rejected=0)

    looks = {step["step"]: step["output"] for step in content["steps"]}
    assert looks["advance#shadow"]["challenger"]["failures"] == failures
    text = printed(shown)
    assert "shadow: 200 requests of version 2, 1,000 of version 1" in text
    assert words in text
    assert "report: s3://artifacts/reports/delivery/taxi_fare/deploy-2.html" in text


def test_a_run_is_found_by_the_first_characters_of_its_id() -> None:
    ports = ingested()

    assert show_run(ports, "ru", rejected=0)[0]["run_id"] == "run-1"
    assert [run["run_id"] for run in list_runs(ports.catalog, 5, None, None)[0]] == ["run-1"]
    with pytest.raises(NotFoundError, match="no run begins with 'x'"):
        show_run(ports, "x", rejected=0)


def test_a_run_s_search_is_shown_with_its_best_and_what_ended_it() -> None:
    ports = searching(LINE, trials=3, parallel=2)
    planned = plan(ports)
    _, shown = show_run(ports, "run-1", rejected=1)
    text = printed(shown)
    assert "2 trials under way" in text
    assert "goes on" in text
    for index in range(planned.trials):
        try_one(ports, planned, index)
    search_all(ports)
    content, shown = show_run(ports, "run-1", rejected=1)
    text = printed(shown)
    assert "ended: all 3 parameter sets were tried (search.trials)" in text
    assert "2 rounds in 0 s, $0.0047 at list price" in text  # three jobs of which a minute is billed
    (searched,) = [step for step in content["steps"] if step["step"] == "search"]
    best = searched["output"]["candidates"]["line"]
    assert (f"trial {best['number']}" in text, f"{best['value']:,.3f}" in text) == (True, True)


def test_a_run_without_a_search_shows_none() -> None:
    _, shown = show_run(ingested(), "run-1", rejected=1)
    assert "trials" not in printed(shown)


def test_a_training_run_shows_what_it_used_what_came_of_it_and_why_each_step_ran() -> None:
    ports = small_world()
    trained(ports, "train-2")

    content, shown = show_run(ports, "train-2", rejected=0)

    text = printed(shown)
    steps = {step["step"]: step for step in content["steps"]}
    assert steps["train#ridge"]["reused_from"] == "train-1"
    assert steps["train#ridge"]["output"]["parameters"] == {}
    assert text.count("reused from run train-1: same inputs, definition and code") == 2
    for part in ("definitions/", "manifest_sha256", "mae", steps["train#ridge"]["output"]["onnx_sha256"][:12]):
        assert part in text
