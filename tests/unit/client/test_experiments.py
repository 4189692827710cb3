"""Experiments of a notebook, on fakes."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

import pytest

from perennial import keys
from perennial.client import Client, Experiment, comparing, experiments
from perennial.client.program import program
from perennial.errors import ConflictError, DataError, NotFoundError
from perennial.fakes import FixedClock, fake_ports
from perennial.ports import Ports
from tests.support.interruptions import Fuse, Killed, mortal
from tests.support.notebook import ADA, Ada
from tests.support.training_runs import world


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def ports(clock: FixedClock) -> Ports:
    return fake_ports(world(), clock=clock)


@pytest.fixture
def notebook(ports: Ports) -> Client:
    return Client(ports, Ada(ports))


def test_what_a_block_logs_stands_on_a_run_of_the_catalog(notebook: Client, ports: Ports, clock: FixedClock) -> None:
    with notebook.experiment("fare", name="a try") as run:
        run.log_params({"rate": 0.1, "trees": 80, "loss": "mae"})
        run.log_metrics({"mae": 1.6}, step=1)
        clock.advance(seconds=30)
        run.log_metrics({"mae": 1.4, "rmse": 2.0}, step=3)
    found = ports.catalog.run(run.run_id)
    assert (found.kind, found.subject, found.status) == ("experiment", "fare", "succeeded")
    assert (found.trigger.kind, found.trigger.source, found.inputs["name"]) == ("person", ADA, "a try")
    assert found.ended_at is not None
    assert (found.ended_at - found.started_at).total_seconds() == 30
    assert found.outputs == {"metrics": {"mae": 1.4, "rmse": 2.0}}
    assert found.definition_hash == ports.definitions.fingerprint("fare")
    log = ports.catalog.experiment("fare", run.run_id)
    assert log.parameters == {"rate": 0.1, "trees": 80, "loss": "mae"}
    series = notebook.metrics(run.run_id)
    assert series[["metric", "step", "value"]].values.tolist() == [["mae", 1, 1.6], ["mae", 3, 1.4], ["rmse", 3, 2.0]]
    assert (series["at"].max() - series["at"].min()).total_seconds() == 30


def test_a_block_that_raises_is_a_run_that_failed_and_the_error_goes_on(notebook: Client, ports: Ports) -> None:
    run = notebook.experiment("fare")
    run.log_metric("mae", 0.5)
    with pytest.raises(ZeroDivisionError), run:
        run.log_metric("mae", 1 / 0)
    found = ports.catalog.run(run.run_id)
    assert (found.status, found.error) == ("failed", "ZeroDivisionError: division by zero")
    assert found.outputs == {"metrics": {"mae": 0.5}}


def test_an_interrupted_block_is_a_run_that_failed(notebook: Client, ports: Ports) -> None:
    with pytest.raises(KeyboardInterrupt), notebook.experiment("fare") as run:
        raise KeyboardInterrupt
    assert ports.catalog.run(run.run_id).status == "failed"


def test_a_process_that_dies_leaves_what_was_written_and_a_run_that_can_be_closed(
    notebook: Client, ports: Ports, clock: FixedClock
) -> None:
    run = notebook.experiment("fare")
    clock.advance(seconds=1)
    run.log_metric("mae", 3.0)
    run.log_metric("mae", 2.0)  # within the same second: only in memory
    del run
    (line,) = notebook.experiments("fare").to_dict("records")
    assert (line["status"], line["metrics.mae"], line["seconds"]) == ("running", 3.0, None)
    notebook.close_experiment(line["run_id"], "the laptop was closed")
    closed = ports.catalog.run(line["run_id"])
    assert (closed.status, closed.error) == ("failed", f"the laptop was closed (closed by {ADA})")
    assert closed.outputs == {"metrics": {"mae": 3.0}}


def test_at_whichever_call_a_process_dies_readers_find_whole_values(ports: Ports, tmp_path: Path) -> None:
    file = tmp_path / "plot.png"
    file.write_bytes(b"picture")

    def work(mine: Ports) -> None:
        with Experiment(mine, Ada(mine), "fare", "a try") as run:
            run.log_params({"rate": 0.1})
            run.log_metrics({"mae": 1.0})
            run.log_artifact(file)

    count = Fuse(10**6)
    work(mortal(fake_ports(world()), count))
    assert count.made == 6  # log, run, file, values, log, end of the run
    for calls in range(count.made):
        for after in (False, True):
            left = fake_ports(world())
            with pytest.raises(Killed):
                work(mortal(left, Fuse(calls, after)))
            notebook = Client(left, Ada(left))
            for line in notebook.experiments("fare").to_dict("records"):
                log = left.catalog.experiment("fare", line["run_id"])
                assert len(notebook.metrics(line["run_id"])) == log.points.get("mae", 0) * min(log.chunks, 1)
                for each in log.artifacts:
                    assert notebook.artifact(line["run_id"], each.name, tmp_path / "found").read_bytes() == b"picture"
                if line["status"] == "running":
                    notebook.close_experiment(line["run_id"])
                assert left.catalog.run(line["run_id"]).status in ("failed", "succeeded")


def test_many_values_are_kept_in_objects_and_the_record_stays_small(
    notebook: Client, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiments, "POINTS_PER_CHUNK", 1000)
    with notebook.experiment("fare") as run:
        for epoch in range(2500):
            run.log_metric("loss", 1 / (epoch + 1))
    log = ports.catalog.experiment("fare", run.run_id)
    assert (log.chunks, log.points, log.metrics) == (3, {"loss": 2500}, {"loss": 1 / 2500})
    assert len(log.model_dump_json()) < 1000
    series = notebook.metrics(run.run_id)
    assert series["step"].tolist() == list(range(2500))
    assert series["value"].tolist() == [1 / (epoch + 1) for epoch in range(2500)]


def test_a_long_run_writes_ever_less_often(notebook: Client, ports: Ports, clock: FixedClock) -> None:
    with notebook.experiment("fare") as run:
        for _ in range(3600):
            clock.advance(seconds=1)
            run.log_metric("loss", 1.0)
    # Every second to 100 s, then every hundredth of the age: 100 + 100 ln 36.
    assert ports.catalog.experiment("fare", run.run_id).chunks == pytest.approx(100 + 100 * math.log(36), rel=0.3)


def test_too_much_is_refused_in_words_and_the_run_goes_on(notebook: Client, ports: Ports) -> None:
    with notebook.experiment("fare") as run:
        run.log_params({"rate": 1})
        with pytest.raises(DataError, match=r"take 200,\d{3} bytes, and 100,000 are kept; log what is long as a file"):
            run.log_params({"text": "x" * 200_000})
    assert ports.catalog.run(run.run_id).status == "succeeded"
    assert ports.catalog.experiment("fare", run.run_id).parameters == {"rate": 1}


def test_a_parameter_has_one_value(notebook: Client) -> None:
    with notebook.experiment("fare") as run:
        run.log_param("rate", 1)
        run.log_param("rate", 1)
        with pytest.raises(ConflictError, match="parameter rate is 1 in this run, not 2; begin another experiment"):
            run.log_param("rate", 2)


def test_values_that_json_has_no_type_for_are_kept_as_numbers_or_as_text(notebook: Client, ports: Ports) -> None:
    import numpy as np

    with notebook.experiment("fare") as run:
        run.log_params({"rate": np.float32(0.5), "layers": (3, 2), "on": np.True_})
        run.log_metrics({"mae": np.float64(1.5), "loss": math.nan})
    log = ports.catalog.experiment("fare", run.run_id)
    assert log.parameters == {"rate": 0.5, "layers": "(3, 2)", "on": True}
    assert math.isnan(log.metrics["loss"])
    assert ports.catalog.run(run.run_id).outputs == {"metrics": {"mae": 1.5}}


def test_a_file_is_kept_by_its_content_and_checked_when_it_is_read(
    notebook: Client, ports: Ports, tmp_path: Path
) -> None:
    file = tmp_path / "notes.txt"
    with notebook.experiment("fare") as run:
        for text in ("first", "second"):
            file.write_text(text)
            run.log_artifact(file)
        with pytest.raises(DataError, match="is no file"):
            run.log_artifact(tmp_path)
    (kept,) = ports.catalog.experiment("fare", run.run_id).artifacts
    assert kept.key.startswith(f"experiments/fare/{run.run_id}/artifacts/{kept.sha256}/")
    assert notebook.artifact(run.run_id, "notes.txt", tmp_path / "back").read_text() == "second"
    with pytest.raises(NotFoundError, match=r"has no file 'note.txt'; it has notes.txt"):
        notebook.artifact(run.run_id, "note.txt")
    ports.artifacts.put(kept.key, b"third")
    with pytest.raises(DataError, match="was changed after it was made"):
        notebook.artifact(run.run_id, "notes.txt", tmp_path / "back")


def test_a_closed_run_takes_nothing_more(notebook: Client) -> None:
    with notebook.experiment("fare") as run:
        pass
    with pytest.raises(ConflictError, match="is closed; log within its block"):
        run.log_metric("mae", 1.0)


def test_experiments_stand_side_by_side_the_newest_first(notebook: Client, clock: FixedClock) -> None:
    empty = notebook.experiments("fare")
    assert (len(empty), list(empty.columns)) == (0, list(comparing.COLUMNS))
    for rate, error in ((0.1, 2.0), (0.2, 1.5)):
        with notebook.experiment("fare", name=f"rate {rate}") as run:
            run.log_param("rate", rate)
            run.log_metric("mae", error)
        clock.advance(minutes=1)
    found = notebook.experiments("fare")
    assert found["params.rate"].tolist() == [0.2, 0.1]
    assert found["metrics.mae"].tolist() == [1.5, 2.0]
    assert set(found["person"]) == {ADA}


def test_an_experiment_on_a_model_that_there_is_not_is_told(notebook: Client) -> None:
    with pytest.raises(NotFoundError, match="fares"):
        notebook.experiment("fares")
    with pytest.raises(NotFoundError, match="fares"):
        notebook.experiments("fares")


def test_a_run_of_a_machine_is_no_experiment(notebook: Client, ports: Ports) -> None:
    from tests.support.records import a_run

    ports.catalog.start_run(a_run("ingest-1"))
    with pytest.raises(NotFoundError, match="run ingest-1 is no experiment, but of kind ingest"):
        notebook.close_experiment("ingest-1")


def test_who_is_not_known_begins_nothing(ports: Ports) -> None:
    with pytest.raises(NotFoundError, match="knows nobody to log for"):
        Client(ports).experiment("fare")


def test_the_program_is_told_with_its_commit_and_whether_it_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "commit" not in program()

    def git(*arguments: str) -> str:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        return subprocess.run(["git", *who, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    (tmp_path / "train.py").write_text("1")
    git("add", "train.py")
    git("commit", "-qm", "one")
    assert (program()["commit"], program()["dirty"]) == (git("rev-parse", "HEAD"), False)
    (tmp_path / "train.py").write_text("2")
    assert program()["dirty"] is True
    monkeypatch.setenv("PATH", "")
    assert "commit" not in program()


def test_points_are_where_the_keys_say(notebook: Client, ports: Ports) -> None:
    with notebook.experiment("fare") as run:
        run.log_metric("mae", 1.0)
    assert ports.artifacts.exists(keys.experiment_points("fare", run.run_id, 0))
