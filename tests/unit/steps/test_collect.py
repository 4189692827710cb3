"""The step ``collect``: what a bulk prediction came to."""

from __future__ import annotations

import hashlib

import pytest

from perennial import keys
from perennial.client.lineage import lineage_of
from perennial.errors import DataError
from perennial.ports import Ports
from perennial.steps import batch_predict, collect
from tests.support.bulk import ask, collected, score_all
from tests.support.interruptions import copied
from tests.support.whole_runs import small_world
from tests.support.world import survives_kills

HEADER = "began,zone,miles\n"
GOOD = "2019-01-05 00:00:00,1,2.5\n"
BAD = "2019-01-05 00:00:00,1,-1\n"


@pytest.fixture(scope="module")
def world() -> Ports:
    """Return fakes in which version 1 of ``fare`` was trained and serves."""
    ports = small_world()
    ports.catalog.promote("fare", 1, None, ports.clock.now(), "ada", "for a test")
    return ports


def scored(ports: Ports, files: dict[str, str]) -> batch_predict.Planned:
    made = ask(ports, "fare", {name: text.encode() for name, text in files.items()})
    score_all(ports, made)
    return made


def request(made: batch_predict.Planned) -> collect.Request:
    return collect.Request(run_id=made.run_id, model=made.model, bulk_id=made.bulk_id)


def test_the_result_counts_rows_names_parts_in_order_and_closes_the_run(world: Ports) -> None:
    ports = copied(world)
    files = {"b.csv": HEADER + GOOD * 3 + BAD, "a.csv": HEADER + GOOD + GOOD.replace(",1,", ",9,")}
    made = scored(ports, files)
    result = collected(ports, made)
    assert [(file.name, file.rows, file.rejected) for file in result.files] == [("b.csv", 3, 1), ("a.csv", 2, 0)]
    assert (result.rows, result.rejected, result.rejected_by) == (5, 1, {"miles: min": 1})
    assert result.missing == {"past__mean": 1}, "nothing is known of zone 9"
    for file in result.files:
        assert file.sha256 == hashlib.sha256(files[file.name].encode()).hexdigest()
    for key, sha256 in result.sha256.items():
        assert hashlib.sha256(ports.artifacts.get(key)).hexdigest() == sha256
    run = ports.catalog.run(made.run_id)
    assert (run.status, run.outputs["rows"], run.outputs["rejected"]) == ("succeeded", 5, 1)


def test_a_chunk_that_is_not_there_is_told_and_nothing_is_closed(world: Ports) -> None:
    ports = copied(world)
    made = scored(ports, {"a.csv": HEADER + GOOD})
    ports.artifacts.delete(keys.bulk_chunk("fare", made.bulk_id, 0, 0))
    with pytest.raises(DataError, match=r"a\.csv: chunk 0 was not predicted; go on with .*--resume"):
        collect.run(request(made), ports)
    assert ports.catalog.run(made.run_id).status == "running"


def test_files_without_one_good_row_are_no_success(world: Ports) -> None:
    ports = copied(world)
    made = scored(ports, {"a.csv": HEADER + BAD * 2})
    with pytest.raises(DataError, match=r"none of the 2 rows can be predicted; most break miles: min: see s3://"):
        collect.run(request(made), ports)


def test_a_step_killed_at_any_call_and_repeated_leaves_what_one_leaves(world: Ports) -> None:
    prepared = copied(world)
    made = scored(prepared, {"a.csv": HEADER + GOOD})
    assert survives_kills(lambda: copied(prepared), lambda ports: collect.run(request(made), ports)) > 1


def test_a_lineage_leads_from_predictions_to_the_version_and_its_uploads(world: Ports) -> None:
    ports = copied(world)
    made = scored(ports, {"a.csv": HEADER + GOOD})
    key = collected(ports, made)
    found = lineage_of(ports, made.run_id)
    kinds = {node.kind for node in found.nodes.values()}
    assert {"run", "predictions", "version", "training_set", "snapshot", "file"} <= kinds
    name = f"bulk:{keys.bulk_result('fare', key.bulk_id)}"
    assert found.nodes[name].title.startswith("1 rows of files, predicted by run bulk-1")
    assert "version:fare@1" in found.before[name]
    assert name in lineage_of(ports, "fare@1").after["version:fare@1"]
