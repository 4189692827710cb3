"""The step ``score``: chunks are predicted once, whoever is killed, repeated or raced."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perennial.errors import DataError
from perennial.fakes import FakeObjectStore
from perennial.ports import Ports
from perennial.serving.ids import make_request_id
from perennial.steps import batch_predict, predict, score
from tests.support.bulk import ONE, ask, collected, predicted, score_all
from tests.support.interruptions import copied, each_death
from tests.support.whole_runs import small_world
from tests.support.world import survives_kills

RIDES = "began,zone,miles\n" + "".join(f"2019-01-05 {hour:02d}:00:00,{hour % 4},{hour + 0.25}\n" for hour in range(24))
SMALL = 200
"""Bytes of a chunk: a header and 24 lines of some 26 bytes are three of them."""
CHUNKS = 3


@pytest.fixture(scope="module")
def world() -> Ports:
    """Return fakes in which version 1 of ``fare`` was trained and serves."""
    ports = small_world()
    ports.catalog.promote("fare", 1, None, ports.clock.now(), "ada", "for a test")
    return ports


def planned(ports: Ports, run_id: str = "bulk-1", **more: Any) -> batch_predict.Planned:
    return ask(ports, "fare", {"rides.csv": RIDES.encode()}, run_id, **more)


def online(ports: Ports) -> list[float]:
    """Return what the API answers for the same rows."""
    instances = [
        {"began": f"2019-01-05 {hour:02d}:00:00", "zone": hour % 4, "miles": hour + 0.25} for hour in range(24)
    ]
    now = ports.clock.now()
    asked = predict.Request(model="fare", instances=instances, request_id=make_request_id(now, bytes(10)), at=now)
    return [one["value"] for one in predict.run(asked, ports).predictions]


def request(made: batch_predict.Planned, **changes: Any) -> score.Request:
    which = {"run_id": made.run_id, "model": "fare", "bulk_id": made.bulk_id, "jobs": made.jobs}
    return score.Request(**{**which, **changes})


def test_each_row_has_a_prediction_at_its_line_in_the_order_of_the_file(world: Ports) -> None:
    ports = copied(world)
    made = planned(ports)
    (done,) = score_all(ports, made, SMALL)
    assert done.chunks == CHUNKS
    rows = predicted(ports, collected(ports, made))
    assert [row["row"] for row in rows] == list(range(2, 26))
    assert {row["file"] for row in rows} == {"rides.csv"}
    assert [row["value"] for row in rows] == online(ports)


def test_chunks_of_any_size_hold_the_same_predictions(world: Ports) -> None:
    found = []
    for block in (SMALL, 1 << 20):
        ports = copied(world)
        made = planned(ports)
        score_all(ports, made, block)
        found.append(predicted(ports, collected(ports, made)))
    assert found[0] == found[1]


def test_a_step_killed_at_any_call_goes_on_with_what_is_missing_and_ends_with_the_same_bytes(world: Ports) -> None:
    def prepare() -> Ports:
        ports = copied(world)
        planned(ports)
        return ports

    made = planned(copied(world))
    deaths = survives_kills(
        prepare, lambda ports: score.run(request(made), ports, resources=ONE, block=SMALL), before=False
    )
    assert deaths > 2 * CHUNKS  # behind each part and each record


def test_what_was_predicted_before_a_death_is_not_predicted_again(world: Ports) -> None:
    made = planned(copied(world))

    def prepare() -> Ports:
        ports = copied(world)
        planned(ports)
        return ports

    spared = 0
    for left, _ in each_death(
        lambda ports: score.run(request(made), ports, resources=ONE, block=SMALL), prepare, before=False
    ):
        known = [key for key in left.artifacts.keys("bulk/") if "/chunks/" in key and "end" not in key]
        watched = _Watched(left.artifacts)
        score.run(request(made), replace(left, artifacts=watched), resources=ONE, block=SMALL)
        assert not set(known) & set(watched.records)
        assert len(known) + len(watched.records) == CHUNKS
        spared += len(known)
    assert spared


def test_jobs_side_by_side_share_a_file_s_chunks_and_leave_what_one_leaves(world: Ports) -> None:
    alone, shared = copied(world), copied(world)
    # One plan, so that its id and all keys are the same, scored by one and by three.
    made = planned(alone, bytes_per_job=300)
    assert planned(shared, bytes_per_job=300) == made
    assert made.jobs == 3
    score.run(request(made, jobs=1), alone, resources=ONE, block=SMALL)
    done = [score.run(request(made, index=index), shared, resources=ONE, block=SMALL) for index in range(3)]
    assert [one.chunks for one in done] == [1, 1, 1]
    assert collected(shared, made) == collected(alone, made)


def test_steps_that_race_leave_what_one_leaves(world: Ports) -> None:
    alone, raced = copied(world), copied(world)
    made = planned(alone)
    planned(raced)
    score_all(alone, made, SMALL)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: score.run(request(made), raced, resources=ONE, block=SMALL), range(3)))
    assert collected(raced, made) == collected(alone, made)
    contents: Any = raced.artifacts
    assert all(len(set(contents._versions[key].values())) == 1 for key in contents.keys("bulk/")), (
        "an object changed its content"
    )


def test_small_files_go_to_one_job_each(world: Ports) -> None:
    ports = copied(world)
    files = {f"{name}.csv": RIDES.replace("2019", year).encode() for name, year in (("a", "2019"), ("b", "2018"))}
    made = ask(ports, "fare", files, bytes_per_job=len(RIDES))
    assert made.jobs == 2
    watched = _Watched(ports.artifacts)
    score.run(request(made, index=1), replace(ports, artifacts=watched), resources=ONE, block=SMALL)
    (read,) = [key for key in watched.downloads if "/inputs/" in key]
    assert read.endswith("/b.csv")


def test_bad_rows_are_told_with_line_and_reason_and_the_good_ones_go_on(world: Ports) -> None:
    ports = copied(world)
    dirty = RIDES.replace("2019-01-05 03:00:00,3,3.25", "2019-01-05 03:00:00,3,-1").replace(",7.25", ",far")
    made = ask(ports, "fare", {"rides.csv": dirty.encode()})
    score_all(ports, made, SMALL)
    result = collected(ports, made)
    assert (result.rows, result.rejected) == (22, 2)
    assert result.rejected_by == {"miles: min": 1, "miles: type": 1}
    rejects = b"".join(ports.artifacts.get(key) for key in result.files[0].rejects).decode()
    assert '"line": 5' in rejects
    assert "miles -1 is below 0" in rejects
    assert [row["row"] for row in predicted(ports, result)] == [n for n in range(2, 26) if n not in (5, 9)]


def test_a_file_that_cannot_be_read_as_a_whole_fails_the_run_by_its_name(world: Ports) -> None:
    ports = copied(world)
    made = ask(ports, "fare", {"rides.csv": RIDES.encode(), "other.csv": b"a,b\n1,2\n"})
    with pytest.raises(DataError, match=r"other.csv: .*lacks the columns"):
        score_all(ports, made, SMALL)
    assert ports.catalog.step("bulk-1", "score").status == "failed"


def test_columns_that_the_version_does_not_read_need_not_be_there_and_may_be(world: Ports) -> None:
    ports = copied(world)
    lines = RIDES.splitlines()
    more = "\n".join([f"note,{lines[0]}", *(f'"a, b",{line}' for line in lines[1:])])
    made = ask(ports, "fare", {"rides.csv": more.encode()})
    score_all(ports, made)
    assert collected(ports, made).rows == 24


def test_a_version_whose_files_were_changed_predicts_nothing(world: Ports) -> None:
    ports = copied(world)
    made = planned(ports)
    ports.artifacts.put("models/fare/1/model.flat", b"something else")
    with pytest.raises(DataError, match=r"model\.flat: has SHA-256"):
        score_all(ports, made)


class _Watched(FakeObjectStore):
    """A bucket that remembers which chunks were recorded and what was downloaded."""

    def __init__(self, other: Any) -> None:
        super().__init__()
        vars(self).update(vars(other))
        self.records: list[str] = []
        self.downloads: list[str] = []

    def put_new(self, key: str, content: bytes, content_type: str = "application/octet-stream") -> bool:
        if "/chunks/" in key and "end" not in key:
            self.records.append(key)
        return super().put_new(key, content, content_type)

    def download(self, key: str, path: Path, version: str | None = None) -> None:
        self.downloads.append(key)
        super().download(key, path, version)
