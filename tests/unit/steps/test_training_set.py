"""Making a training set from what is live."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from perennial import keys
from perennial.definitions import Candidate
from perennial.definitions.files import Definitions
from perennial.errors import ConflictError, DataError, NotFoundError
from perennial.ports import Lookup, Ports
from perennial.records import Run, TrainingSet, Trigger
from perennial.steps import features, forget, ingest, training_set
from tests.support.world import DEFINITIONS, FARE, new_ports, survives_kills, upload

VERSION = DEFINITIONS.view_version("past")


def admitted(ports: Ports, run_id: str = "train-1", definition_hash: str | None = None) -> Ports:
    ports.catalog.start_run(
        Run(
            run_id=run_id,
            kind="train",
            subject="fare",
            status="running",
            trigger=Trigger(kind="person", source="me"),
            started_at=ports.clock.now(),
            definition_hash=DEFINITIONS.fingerprint("fare") if definition_hash is None else definition_hash,
        )
    )
    return ports


def ingested(ports: Ports, run_id: str = "run-1", refresh: bool = True, **options: int | str) -> Ports:
    key = upload(ports, **options)  # type: ignore[arg-type]
    ingest.run(ingest.Request(run_id=run_id, bucket="raw", key=key), ports)
    if refresh:
        features.run(features.Request(run_id=run_id, dataset="rides"), ports)
    return ports


def run(ports: Ports, run_id: str = "train-1") -> TrainingSet:
    return training_set.run(training_set.Request(run_id=run_id, model="fare"), ports)


def rows(ports: Ports, key: str, folder: Path) -> list[tuple[object, ...]]:
    ports.artifacts.download(key, folder / "part.parquet")
    return duckdb.execute("SELECT * FROM read_parquet(?)", [str(folder / "part.parquet")]).fetchall()


def test_rows_without_a_target_are_counted_and_left_out() -> None:
    fare = FARE.model_copy(update={"target": "nullif(miles, 0.5)"})
    definitions = Definitions(DEFINITIONS.datasets, DEFINITIONS.views, {"fare": fare})
    ports = admitted(ingested(new_ports(definitions)), definition_hash=definitions.fingerprint("fare"))
    made = run(ports)
    assert (made.rows_train, made.rows_holdout, made.rows_without_target) == (12, 7, 1)


def test_a_training_set_joins_what_was_known_and_splits_by_time(tmp_path: Path) -> None:
    ports = admitted(ingested(new_ports()))
    made = run(ports)
    assert made.features == ("now__double_miles", "past__mean")
    assert made.split_at == datetime(2019, 1, 3, 4, tzinfo=UTC)
    assert (made.rows_train, made.rows_holdout) == (13, 7)
    train, holdout = rows(ports, made.train_key, tmp_path), rows(ports, made.holdout_key, tmp_path)
    assert train[0] == (datetime(2019, 1, 1), 1.0, None, 1.5)
    # The mean of zone 0 on the 1st (0.5 and 3.5) is known from the 2nd on.
    assert train[6] == (datetime(2019, 1, 2), 13.0, 2.0, 7.5)
    assert len(holdout) == 7
    assert ports.catalog.step("train-1", "training_set").output == made.model_dump(mode="json")


def test_the_record_names_each_file_with_its_sha256() -> None:
    ports = admitted(ingested(new_ports()))
    made = run(ports)
    assert set(made.sha256) == {made.train_key, made.holdout_key, made.views["past"], made.inputs_key}
    assert all(digest in key for key, digest in made.sha256.items())
    assert set(made.sha256) <= set(ports.artifacts.keys(""))


def test_the_same_snapshots_and_definitions_give_the_same_training_set() -> None:
    first = run(admitted(ingested(new_ports())))
    second = run(admitted(ingested(new_ports(), "other-run")))
    assert first == second


def test_a_step_that_is_killed_at_any_call_and_repeated_leaves_what_a_clean_run_leaves() -> None:
    assert survives_kills(lambda: admitted(ingested(new_ports())), run) >= 4


def test_views_that_were_deployed_after_the_last_upload_are_made_then() -> None:
    ports = admitted(ingested(new_ports(), refresh=False))
    made = run(ports)
    assert made.rows_train == 13
    assert ports.catalog.view("past", VERSION).manifest_key == made.views["past"]
    assert ports.online.read_many([Lookup("past", VERSION, [(0,)], ["mean"])])[0].keys() == {(0,)}


def test_a_snapshot_whose_features_are_still_being_made_is_learnt_from() -> None:
    ports = ingested(ingested(new_ports()), "run-2", refresh=False, name="b.csv", day=10)
    made = run(admitted(ports))
    assert made.rows_train + made.rows_holdout == 40
    assert len(made.snapshots) == 2
    assert len(ports.catalog.view("past", VERSION).snapshots) == 2


def test_a_dataset_without_snapshots_is_refused() -> None:
    with pytest.raises(DataError, match="dataset rides has no snapshot"):
        run(admitted(new_ports()))


def test_a_snapshot_that_was_changed_behind_the_system_s_back_is_refused() -> None:
    ports = admitted(ingested(new_ports()))
    (part,) = (key for key in ports.artifacts.keys("snapshots/") if key.endswith(".parquet"))
    ports.artifacts.put(part, b"something else")
    with pytest.raises(DataError, match="its SHA-256 is"):
        run(ports)


@pytest.mark.parametrize("changes", [{"filter": "miles > 1000"}, {"target": "NULL::DOUBLE"}])
def test_a_model_for_which_no_row_counts_is_refused_in_one_sentence(changes: dict[str, str]) -> None:
    definitions = Definitions(DEFINITIONS.datasets, DEFINITIONS.views, {"fare": FARE.model_copy(update=changes)})
    ports = admitted(ingested(new_ports(definitions)), definition_hash=definitions.fingerprint("fare"))
    with pytest.raises(DataError, match="no row passes the filter and has a target"):
        run(ports)


def test_snapshots_before_the_longest_history_are_not_read_but_count_as_learnt_from() -> None:
    candidates = (Candidate(name="ridge", algorithm="ridge", history="2 days"),)
    split = FARE.split.model_copy(update={"backtests": 0})
    fare = FARE.model_copy(update={"candidates": candidates, "split": split})
    definitions = Definitions(DEFINITIONS.datasets, DEFINITIONS.views, {"fare": fare})
    ports = ingested(ingested(new_ports(definitions)), "run-2", name="b.csv", day=10)
    old, new = ports.catalog.snapshots("rides")[0]
    ports.artifacts.delete(old.manifest_key)
    made = run(admitted(ports, definition_hash=definitions.fingerprint("fare")))
    assert (made.rows_train, made.rows_holdout) == (12, 7)
    assert made.snapshots == (old.snapshot_id, new.snapshot_id)


def test_rows_newer_than_the_latest_target_do_not_move_the_split() -> None:
    fare = FARE.model_copy(update={"target": "CASE WHEN began < TIMESTAMP '2019-01-04' THEN miles END"})
    definitions = Definitions(DEFINITIONS.datasets, DEFINITIONS.views, {"fare": fare})
    ports = ingested(ingested(new_ports(definitions)), "run-2", name="b.csv", day=10)
    made = run(admitted(ports, definition_hash=definitions.fingerprint("fare")))
    assert made.split_at == datetime(2019, 1, 2, 20, tzinfo=UTC)
    assert made.rows_without_target == 2 + 20


def test_a_definition_that_changed_since_admission_is_a_conflict() -> None:
    with pytest.raises(ConflictError):
        run(admitted(ingested(new_ports()), definition_hash="another"))


def test_an_unknown_model_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="no model 'fares'; there is fare"):
        training_set.run(training_set.Request(run_id="train-1", model="fares"), admitted(new_ports()))
    assert FARE.name == "fare"


def test_snapshots_that_are_deleted_after_the_catalog_was_read_are_read_again_as_what_took_their_place() -> None:
    """As when rows are forgotten while a training set is made."""
    ports = admitted(ingested(new_ports()))

    class Late:
        def __getattr__(self, name: str) -> Any:
            return getattr(ports.catalog, name)

        def snapshots(self, dataset: str) -> Any:
            found = ports.catalog.snapshots(dataset)
            if not ports.catalog.erasures(dataset):
                key = keys.forget_request("forget-1")
                ports.artifacts.put(key, b'{"values": {"miles": "1.5"}}')
                by = Trigger(kind="person", source="eve")
                forget.run(forget.Request(run_id="forget-1", dataset="rides", request_key=key, trigger=by), ports)
            return found

    made = run(replace(ports, catalog=Late()))
    assert made.rows_train + made.rows_holdout == 19


def test_the_record_holds_categories_classes_and_slices() -> None:
    changes: dict[str, Any] = {
        "task": "binary",
        "target": "miles > 5",
        "metric": "log_loss",
        "preprocessing": {"now.double_miles": "categorical"},
        "slices": {"zone": "CAST(zone AS VARCHAR)"},
        "candidates": (Candidate(name="trees", algorithm="hist_gradient_boosting"),),
    }
    fare = FARE.model_copy(update=changes)
    definitions = Definitions(DEFINITIONS.datasets, DEFINITIONS.views, {"fare": fare})
    made = run(admitted(ingested(new_ports(definitions)), definition_hash=definitions.fingerprint("fare")))
    # The miles of the 13 rows before the holdout are 0.5 to 12.5; texts are sorted as such.
    assert made.categories == {"now__double_miles": tuple(sorted(f"{2 * n + 1}.0" for n in range(13)))}
    assert (made.classes, made.slices) == (("false", "true"), ("zone",))
