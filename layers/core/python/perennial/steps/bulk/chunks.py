"""One chunk of a bulk prediction: rows in, predictions and rejected rows out, its record last."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from perennial import keys
from perennial.data.bulk.features import FeatureQuery
from perennial.data.bulk.predictions import Predicted, write_predictions
from perennial.data.bulk.stretches import GoodRows, StretchReader
from perennial.data.contract.noted_rows import NotedRows
from perennial.data.contract.verdict import first_fault, json_line
from perennial.data.engine import sha256_of
from perennial.data.reading.sources import BadRecord, Prepare
from perennial.definitions import Dataset
from perennial.manifest import Manifest
from perennial.ports import ObjectStore
from perennial.records import BulkChunk, BulkPlan

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Worker:
    """What one thread works with."""

    connection: duckdb.DuckDBPyConnection
    noted: NotedRows
    folder: Path


@dataclass(frozen=True)
class ChunkScorer:
    """Predicts chunks; several threads may use it, each with its own worker."""

    store: ObjectStore
    plan: BulkPlan
    manifest: Manifest
    dataset: Dataset
    """The contract of the files (`perennial.data.bulk.contract`)."""
    query: FeatureQuery
    predict: Callable[[Matrix], Matrix]
    """As `perennial.serving.scorer.Scorer.score_matrix`."""

    def score(self, worker: Worker, reader: StretchReader, prepare: Prepare, file: int, chunk: int) -> BulkChunk:
        """Predict one chunk, write what comes of it, and its record last; return the record."""
        good = reader.read(worker.connection, worker.noted, prepare, chunk, worker.folder)
        rejects, predicted = good.rejects, None
        faults = Counter(good.rejected_by)
        if good.part is not None:
            predicted, odd = self._predict(worker, good.part, good, file)
            faults.update(first_fault(record) for record in odd)
            rejects = _with_rejects(rejects, odd, worker.folder)
        part, rows, missing = None, 0, Counter[str]()
        if predicted is not None and predicted.kept.any():
            path = worker.folder / "predictions.parquet"
            rows = write_predictions(worker.connection, self.manifest, self.dataset.key, predicted, path)
            missing = self._missing(predicted)
            part = self._place(path, "parquet")
        record = BulkChunk(
            rows=rows,
            rejected=faults.total(),
            part_sha256=part,
            rejects_sha256=None if rejects is None else self._place(rejects, "jsonl"),
            rejected_by=dict(sorted(faults.items())),
            missing=dict(missing),
        )
        if good.part is not None:
            good.part.unlink()
        key = keys.bulk_chunk(self.plan.model, self.plan.bulk_id, file, chunk)
        # Whoever was first wrote the same.
        self.store.put_new(key, record.model_dump_json().encode(), "application/json")
        return record

    def _predict(self, worker: Worker, part: Path, good: GoodRows, file: int) -> tuple[Predicted, list[BadRecord]]:
        """Predict the rows of a part; return also those of which nothing finite can be said: the API refuses them."""
        names = self.manifest.features
        features = self.query.run(worker.connection, part)
        infinite = np.isinf(features)
        lacking = np.isnan(features) & np.isin(names, self.manifest.required) & ~infinite.any(axis=1, keepdims=True)
        kept = ~(infinite | lacking).any(axis=1)
        odd = [
            _odd(good, row, f"makes the feature {names[column]} infinite", "infinite_feature")
            for row, column in _first_of_each_row(infinite)
        ]
        odd += [
            _odd(
                good,
                row,
                f"has no value of the feature {names[column]}, without which nothing is predicted",
                "missing_feature",
            )
            for row, column in _first_of_each_row(lacking)
        ]
        found = self.predict(features if kept.all() else features[kept])
        values = np.full((len(features), *found.shape[1:]), np.nan)
        values[kept] = found
        bad = kept & ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        odd += [
            _odd(good, int(row), "is predicted to be no finite number", "infinite_prediction")
            for row in np.flatnonzero(bad)
        ]
        odd.sort(key=lambda record: record.line)
        return Predicted(
            part, self.plan.files[file].name, good.lines, features, values, np.logical_and(kept, ~bad)
        ), odd

    def _missing(self, predicted: Predicted) -> Counter[str]:
        counts = np.isnan(predicted.features[predicted.kept]).sum(axis=0)
        return Counter({name: int(n) for name, n in zip(self.manifest.features, counts, strict=True) if n})

    def _place(self, path: Path, suffix: str) -> str:
        """Upload a file under its SHA-256, unless it is there, and delete it; return the SHA-256."""
        sha256 = sha256_of(path)
        key = keys.bulk_part(self.plan.model, self.plan.bulk_id, sha256, suffix)
        if not self.store.exists(key):
            self.store.upload(path, key)
        path.unlink()
        return sha256


def _first_of_each_row(mask: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    rows = np.flatnonzero(mask.any(axis=1))
    return zip(rows.tolist(), mask[rows].argmax(axis=1).tolist(), strict=True)


def _odd(good: GoodRows, row: int, what: str, rule: str) -> BadRecord:
    return BadRecord(int(good.lines[row]), None, None, rule, f"the row {what}", "")


def _with_rejects(rejects: Path | None, odd: list[BadRecord], folder: Path) -> Path | None:
    """Return the rejected rows with some more of them, by line."""
    if not odd:
        return rejects
    path = folder / "all-rejects.jsonl"
    more = [json_line(record) for record in odd]
    with path.open("w", encoding="utf-8") as file:
        if rejects is None:
            file.writelines(more)
            return path
        with rejects.open(encoding="utf-8") as known:
            file.writelines(heapq.merge(known, more, key=lambda line: int(json.loads(line)["line"])))
    rejects.unlink()
    return path
