"""Reading what a bulk prediction wrote, and running one over fakes."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import duckdb

from perennial import keys
from perennial.data.engine import Resources
from perennial.ports import Ports
from perennial.records import BulkResult, Trigger
from perennial.steps import batch_predict, collect, score

ONE = Resources(threads=1)
PERSON = Trigger(kind="person", source="ada")


def read_parquet(content: bytes) -> list[dict[str, Any]]:
    """Return the rows of a Parquet file, in their order."""
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        Path(file.name).write_bytes(content)
        with duckdb.connect() as connection:
            found = connection.execute(f"SELECT * FROM read_parquet('{file.name}')")
            names = [column[0] for column in found.description or []]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def ask(
    ports: Ports,
    model: str,
    files: dict[str, bytes],
    run_id: str = "bulk-1",
    bytes_per_job: int = 1 << 28,
    **asked: Any,
) -> batch_predict.Planned:
    """Put files where a person's are put, and plan to predict them."""
    named = []
    for name, content in files.items():
        key = keys.bulk_input(model, hashlib.sha256(content).hexdigest(), name)
        ports.artifacts.put(key, content)
        named.append(batch_predict.AskedFile(name=name, bucket=ports.artifacts.bucket, key=key))
    request_key = keys.bulk_request(run_id)
    ports.artifacts.put(request_key, batch_predict.Asked(files=named, **asked).model_dump_json().encode())
    return batch_predict.run(
        batch_predict.Request(
            run_id=run_id,
            model=model,
            request_key=request_key,
            trigger=PERSON,
            bytes_per_job=bytes_per_job,
            most_jobs=8,
        ),
        ports,
    )


def score_all(ports: Ports, planned: batch_predict.Planned, block: int = 1 << 24) -> list[score.Scored]:
    """Predict all shares, one after the other."""
    return [
        score.run(
            score.Request(
                run_id=planned.run_id, model=planned.model, bulk_id=planned.bulk_id, jobs=planned.jobs, index=index
            ),
            ports,
            resources=ONE,
            block=block,
        )
        for index in range(planned.jobs)
    ]


def collected(ports: Ports, planned: batch_predict.Planned) -> BulkResult:
    """Collect, and return the result that was written."""
    made = collect.run(collect.Request(run_id=planned.run_id, model=planned.model, bulk_id=planned.bulk_id), ports)
    return BulkResult.model_validate_json(ports.artifacts.get(made.result_key))


def predicted(ports: Ports, result: BulkResult) -> list[dict[str, Any]]:
    """Return all predictions, in the order of the files and of their rows."""
    return [row for file in result.files for key in file.parts for row in read_parquet(ports.artifacts.get(key))]
