"""What becomes of a chunk's rows of which the API would say nothing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from perennial import keys
from perennial.data.bulk.contract import bulk_contract
from perennial.data.bulk.features import FeatureQuery
from perennial.data.bulk.stretches import StretchReader, note_rows
from perennial.data.contract.validate import OPENERS
from perennial.data.engine import Resources, connect
from perennial.definitions import Column, Dataset
from perennial.fakes import FakeObjectStore
from perennial.manifest import Manifest, RequestView
from perennial.records import BulkChunk, BulkFile, BulkPlan
from perennial.steps.bulk.chunks import ChunkScorer, Worker
from tests.support.artifacts import a_manifest
from tests.support.bulk import read_parquet

CALLS = Dataset(
    name="calls",
    event_time="at",
    key=("id",),
    columns={
        "id": Column(type="string"),
        "at": Column(type="timestamp"),
        "x": Column(type="double", nullable=True),
        "y": Column(type="double", nullable=True),
    },
)
ROWS = b"id,x,y,at\na,1,2,\nb,0,2,\nc,,2,\nd,1,,\ne,far,2,\nf,9,2,\n"


def manifest(**changes: object) -> Manifest:
    view = RequestView(name="v", table="calls", sql="SELECT 1 / x AS turned, y FROM calls", columns=("turned", "y"))
    inputs = {name: CALLS.columns[name] for name in ("x", "y")}
    return a_manifest(
        request=view, stored=(), inputs=inputs, features=("v__turned", "v__y"), event_time=None, ignored=(), **changes
    )


def scored(folder: Path, of: Manifest) -> tuple[BulkChunk, list[dict[str, object]], list[dict[str, object]]]:
    """Predict the rows, x of 9 to be infinite; return the record, the predictions and the rejected rows."""
    store, contract = FakeObjectStore(), bulk_contract(CALLS, of)
    file = BulkFile(name="calls.csv", bucket="raw", key="k", size=1)
    plan = BulkPlan(
        model=of.model, version=1, manifest_key="m", manifest_sha256="s", dataset=CALLS, files=(file,), tables=(),
        at=None, code_version="test", shared_above=1,
    )  # fmt: skip
    source, blocks = folder / "calls.csv", folder / "blocks"
    source.write_bytes(ROWS)
    blocks.mkdir()

    def predict(matrix: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return np.where(matrix[:, 0] == 1 / 9, np.inf, matrix[:, 1])

    scorer = ChunkScorer(store, plan, of, contract, FeatureQuery(of, {}, None), predict)
    with (
        OPENERS["csv"](source, contract, blocks, name="calls.csv", block=1 << 20) as opened,
        connect(folder, Resources(threads=1)) as connection,
    ):
        (prepare,) = opened.stretches()
        worker = Worker(connection, note_rows(connection), folder)
        record = scorer.score(worker, StretchReader(contract, "calls.csv"), prepare, 0, 0)
    place = keys.bulk_chunk(plan.model, plan.bulk_id, 0, 0)
    assert BulkChunk.model_validate_json(store.get(place)) == record
    assert record.part_sha256
    assert record.rejects_sha256
    part = store.get(keys.bulk_part(plan.model, plan.bulk_id, record.part_sha256, "parquet"))
    rejects = store.get(keys.bulk_part(plan.model, plan.bulk_id, record.rejects_sha256, "jsonl"))
    assert hashlib.sha256(part).hexdigest() == record.part_sha256
    return record, read_parquet(part), [json.loads(line) for line in rejects.splitlines()]


def test_infinite_features_and_predictions_are_told_among_the_bad_rows_by_line(tmp_path: Path) -> None:
    record, rows, rejects = scored(tmp_path, manifest())
    assert [(row["id"], row["row"]) for row in rows] == [("a", 2), ("c", 4)]
    assert [(row["line"], row["rule"]) for row in rejects] == [
        (3, "infinite_feature"),
        (5, "infinite_prediction"),
        (6, "type"),
        (7, "infinite_prediction"),
    ]
    assert (record.rows, record.rejected) == (2, 4)


def test_a_row_without_a_feature_that_the_version_requires_is_refused(tmp_path: Path) -> None:
    record, rows, rejects = scored(tmp_path, manifest(required=("v__turned",)))
    assert [row["id"] for row in rows] == ["a"]
    assert (rejects[1]["line"], rejects[1]["rule"]) == (4, "missing_feature")
    assert "v__turned" in str(rejects[1]["reason"])
    assert record.rejected_by["missing_feature"] == 1
