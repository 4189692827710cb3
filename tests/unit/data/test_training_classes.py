"""Training sets of conditions and classes, with text features and slices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from perennial.data import training_values
from perennial.data.engine import Resources, sha256_of
from perennial.data.feature_types import categorical_features
from perennial.data.training_set import (
    TrainingParts,
    columns_judged,
    columns_needed,
    latest_event,
    period_of,
    write_training_set,
)
from perennial.definitions import Candidate, Column, Dataset, FeatureView, Model, Split
from perennial.definitions.files import Definitions
from perennial.encoding import MAX_CATEGORIES
from perennial.errors import DataError, DefinitionError
from perennial.manifest import Manifest
from perennial.steps.signature import signature
from tests.support.artifacts import a_manifest

CALLS = Dataset(
    name="calls",
    event_time="began",
    columns={
        "began": Column(type="timestamp"),
        "caller": Column(type="integer"),
        "plan": Column(type="string", nullable=True),
        "seconds": Column(type="double", nullable=True),
        "solved": Column(type="boolean", nullable=True),
        "topic": Column(type="string", nullable=True),
        "site": Column(type="string", nullable=True),
    },
)
CALL = FeatureView(
    name="call",
    kind="request",
    dataset="calls",
    sql="SELECT plan, seconds, seconds > 60 AS long, CAST(caller % 3 AS BIGINT) AS desk FROM calls",
)
CALLER = FeatureView(
    name="caller",
    kind="stored",
    dataset="calls",
    entity=("caller",),
    feature_time="known_at",
    sql="SELECT caller, began + INTERVAL 1 SECOND AS known_at, plan AS last_plan, seconds AS last_seconds FROM calls",
)
DEFINITIONS = Definitions({"calls": CALLS}, {"call": CALL, "caller": CALLER}, {})
ROWS = """SELECT TIMESTAMP '2024-01-01' + to_hours(i::INT) AS began, CAST(i % 7 AS BIGINT) AS caller,
    CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'é' WHEN 3 THEN '☃' ELSE 'A' END AS plan,
    CASE WHEN i % 4 > 0 THEN i % 100 END AS seconds, CASE WHEN i % 9 > 0 THEN i % 2 = 0 END AS solved,
    CASE i % 3 WHEN 0 THEN 'bill' WHEN 1 THEN 'move' END AS topic, CASE WHEN i % 2 = 0 THEN 'west' END AS site"""


def model(task: str = "binary", **changes: Any) -> Model:
    fields: dict[str, Any] = {
        "name": "solved",
        "task": task,
        "dataset": "calls",
        "target": {"binary": "solved", "multiclass": "topic", "regression": "seconds"}[task],
        "features": {"call": ("plan", "seconds", "long", "desk"), "caller": ("last_plan", "last_seconds")},
        "preprocessing": {"call.long": "categorical", "call.desk": "categorical"},
        "split": Split(holdout="1 day"),
        "candidates": (Candidate(name="trees", algorithm="hist_gradient_boosting"),),
    }
    return Model(**{**fields, **changes})


def make(folder: Path, definition: Model, rows: str = f"{ROWS} FROM range(240) r(i)", **options: Any) -> TrainingParts:
    source, values = folder / "rows.parquet", folder / "caller.parquet"
    duckdb.execute(f"COPY ({rows}) TO '{source}' (FORMAT parquet)")
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE calls AS FROM '{source}'")
        connection.execute(f"COPY ({CALLER.sql}) TO '{values}' (FORMAT parquet)")
    latest = latest_event(definition, CALLS, [source], folder)
    assert latest is not None
    train, holdout = folder / "train.parquet", folder / "holdout.parquet"
    period = period_of(definition, latest)
    stored = {"caller": [values]} if options.pop("known", True) else {"caller": []}
    return write_training_set(definition, DEFINITIONS, [source], stored, period, train, holdout, **options)


def read(folder: Path, part: str, query: str = "*") -> list[tuple[Any, ...]]:
    return duckdb.execute(f"SELECT {query} FROM '{folder / part}.parquet'").fetchall()


def kinds(folder: Path, part: str) -> dict[str, str]:
    return {row[0]: row[1] for row in duckdb.execute(f"DESCRIBE FROM '{folder / part}.parquet'").fetchall()}


def test_texts_and_what_is_declared_so_are_categorical() -> None:
    assert categorical_features(model(), DEFINITIONS) == (
        "call__plan",
        "call__long",
        "call__desk",
        "caller__last_plan",
    )


def test_categorical_features_are_text_and_a_condition_is_zero_or_one(tmp_path: Path) -> None:
    made = make(tmp_path, model())
    assert kinds(tmp_path, "train") == {
        "event_time": "TIMESTAMP",
        "call__plan": "VARCHAR",
        "call__seconds": "DOUBLE",
        "call__long": "VARCHAR",
        "call__desk": "VARCHAR",
        "caller__last_plan": "VARCHAR",
        "caller__last_seconds": "DOUBLE",
        "target": "DOUBLE",
    }
    assert made.classes == ("false", "true")
    assert made.categories == {
        "call__plan": ("", "A", "é", "☃"),
        "call__long": ("false", "true"),
        "call__desk": ("0", "1", "2"),
        "caller__last_plan": ("", "A", "é", "☃"),
    }
    assert made.rows_without_target == 27  # every ninth of 240
    by_time = {
        row[0].hour + 24 * (row[0].day - 1): row[1:]
        for row in read(tmp_path, "train", "event_time, call__plan, call__desk, call__long, caller__last_plan, target")
    }
    assert by_time[8] == ("☃", "1", None, "", 1.0)
    assert by_time[10] == (None, "0", "false", "☃", 1.0)
    assert 9 not in by_time


def test_classes_are_those_of_the_train_part_and_rows_of_others_are_left_out(tmp_path: Path) -> None:
    rows = ROWS.replace("END AS topic", "ELSE CASE WHEN i >= 230 THEN 'new' END END AS topic")
    made = make(tmp_path, model("multiclass"), f"{rows} FROM range(240) r(i)")
    assert made.classes == ("bill", "move")
    assert kinds(tmp_path, "train")["target"] == "VARCHAR"
    assert set(read(tmp_path, "holdout", "DISTINCT target")) == {("bill",), ("move",)}
    assert made.rows_without_target == 80  # a third has no topic, or a new one
    assert made.rows_train + made.rows_holdout == 160


def test_slices_are_texts_of_the_held_out_rows_alone(tmp_path: Path) -> None:
    slices = {"long": "seconds > 60", "site": "site"}
    make(tmp_path, model(slices=slices, target="solved IS TRUE"))
    assert not [name for name in kinds(tmp_path, "train") if "slice" in name]
    assert list(kinds(tmp_path, "holdout").items())[-2:] == [("slice:long", "VARCHAR"), ("slice:site", "VARCHAR")]
    found = read(tmp_path, "holdout", 'call__seconds, "slice:long", hour(event_time), "slice:site"')
    assert len(found) == 25
    for seconds, long, hour, site in found:
        assert long == (None if seconds is None else "true" if seconds > 60 else "false")
        assert site == ("west" if hour % 2 == 0 else None)


def test_slices_are_read_for_training_but_neither_judge_a_row_nor_are_asked_of_a_request() -> None:
    definition = model(slices={"site": "site || topic"})
    definitions = Definitions(DEFINITIONS.datasets, DEFINITIONS.views, {"solved": definition})
    assert columns_judged(definition, CALLS) == {"began", "solved"}
    assert columns_needed(definition, definitions) - columns_needed(model(), definitions) == {"site", "topic"}
    assert signature(definitions, "solved").inputs.keys() == {"began", "caller", "plan", "seconds"}


def test_a_slice_that_fails_on_the_rows_is_named(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"models/solved.toml: slices.plan: Conversion Error"):
        make(tmp_path, model(slices={"plan": "CAST(plan AS INTEGER) > 1"}))


def test_a_stored_view_without_any_value_still_has_its_text_columns(tmp_path: Path) -> None:
    made = make(tmp_path, model(), known=False)
    assert kinds(tmp_path, "train")["caller__last_plan"] == "VARCHAR"
    assert made.categories["caller__last_plan"] == ()


def test_the_most_frequent_categories_are_kept_and_of_equals_the_first(tmp_path: Path) -> None:
    often = "'often' || i % 3"  # 3 values on a third of the rows each, then one row each
    rows = f"""SELECT TIMESTAMP '2024-01-01' + to_minutes(i::INT) AS began, 1::BIGINT AS caller,
        CASE WHEN i < 900 THEN {often} ELSE printf('%05d', i) END AS plan, 1::DOUBLE AS seconds, i % 2 = 0 AS solved,
        'a' AS topic, 'b' AS site FROM range(4000) r(i)"""
    made = make(tmp_path, model(features={"call": ("plan",)}, preprocessing={}), rows)
    kept = made.categories["call__plan"]
    assert len(kept) == MAX_CATEGORIES
    assert kept == (*[f"{number:05}" for number in range(900, 900 + MAX_CATEGORIES - 3)], "often0", "often1", "often2")


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        (model(target="true"), "the target is true in all rows before the holdout"),
        (model("multiclass", target="'a'"), "the target is 'a' in all rows before the holdout"),
        (model("multiclass", target="CAST(began AS VARCHAR)"), "more than 1,000 classes; group rare ones"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(tmp_path: Path, definition: Model, says: str) -> None:
    with pytest.raises(DataError, match=says):
        make(tmp_path, definition, f"{ROWS} FROM range(1100) r(i)")


def test_categories_that_no_record_holds_are_refused_with_the_longest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_values, "MAX_BYTES", 20)
    with pytest.raises(DataError, match="take 33 bytes, more than 20; those of call__long take 9"):
        make(tmp_path, model())


def test_the_same_rows_make_the_same_bytes_whatever_the_threads(tmp_path: Path) -> None:
    definition = model("multiclass", slices={"site": "site"})
    digests = set()
    for threads in (1, 2, 4):
        rows = f"{ROWS.replace('to_hours(i::INT)', 'to_seconds(i % 864000)')} FROM range(200000) r(i)"
        made = make(tmp_path, definition, rows, resources=Resources(threads=threads))
        assert made.categories["call__plan"] == ("", "A", "é", "☃")
        digests.add((sha256_of(tmp_path / "train.parquet"), sha256_of(tmp_path / "holdout.parquet")))
    assert len(digests) == 1


def test_a_manifest_from_before_there_were_classes_is_still_read() -> None:
    old = a_manifest().model_dump(mode="json", exclude={"categories", "classes"})
    assert Manifest.model_validate(old).classes == ()
    assert Manifest.model_validate(old).categories == {}
