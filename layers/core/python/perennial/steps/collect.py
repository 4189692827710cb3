"""Say what a bulk prediction came to: its parts in the order of the rows, counts and hashes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePath

from pydantic import BaseModel

from perennial import keys
from perennial.errors import DataError, NotFoundError
from perennial.ports import Ports
from perennial.records import BulkChunk, BulkEnd, BulkFileResult, BulkPlan, BulkResult
from perennial.steps.bulk.plans import read_plan
from perennial.steps.recording import recorded
from perennial.steps.snapshots.snapshot_files import several


class Request(BaseModel):
    """Which bulk prediction."""

    run_id: str
    model: str
    bulk_id: str


class Collected(BaseModel):
    """What came of all files."""

    run_id: str
    model: str
    version: int
    bulk_id: str
    files: int
    rows: int
    """Predicted rows."""
    rejected: int
    result_key: str


def run(request: Request, ports: Ports) -> Collected:
    """Write the result, which is the same whoever made the chunks, and close the run.

    Raises
    ------
    DataError
        A chunk is missing, or not one row could be predicted.
    """
    with recorded(ports, request.run_id, "collect") as output:
        plan = read_plan(ports, request.model, request.bulk_id)
        result = _result(ports, plan)
        if result.rows == 0:
            most = max(result.rejected_by, key=result.rejected_by.__getitem__)
            raise DataError(
                f"none of the {result.rejected:,} rows can be predicted; most break {most}: see "
                f"s3://{ports.artifacts.bucket}/{next(key for file in result.files for key in file.rejects)}"
            )
        key = keys.bulk_result(plan.model, plan.bulk_id)
        ports.artifacts.put(key, result.model_dump_json(indent=2).encode(), "application/json")
        collected = Collected(
            run_id=request.run_id,
            model=plan.model,
            version=plan.version,
            bulk_id=plan.bulk_id,
            files=len(result.files),
            rows=result.rows,
            rejected=result.rejected,
            result_key=key,
        )
        output.update(collected.model_dump(mode="json"))
    ports.catalog.finish_run(request.run_id, "succeeded", ports.clock.now(), outputs=output)
    return collected


def _result(ports: Ports, plan: BulkPlan) -> BulkResult:
    ends = several(lambda number: _end(ports, plan, number), range(len(plan.files)))
    places = [(number, chunk) for number, end in enumerate(ends) for chunk in range(end.chunks)]
    chunks = dict(zip(places, several(lambda place: _chunk(ports, plan, *place), places), strict=True))
    files = tuple(_file(plan, number, end, chunks) for number, end in enumerate(ends))
    return BulkResult(
        bulk_id=plan.bulk_id,
        model=plan.model,
        version=plan.version,
        manifest_sha256=plan.manifest_sha256,
        at=plan.at,
        views={
            table.view.name: {
                "version": table.version,
                "manifest_key": table.manifest_key,
                "sha256": table.manifest_sha256,
            }
            for table in plan.tables
        },
        files=files,
        rows=sum(file.rows for file in files),
        rejected=sum(file.rejected for file in files),
        rejected_by=_sums(chunk.rejected_by for chunk in chunks.values()),
        missing=_sums(chunk.missing for chunk in chunks.values()),
        sha256={key: PurePath(key).stem for file in files for key in (*file.parts, *file.rejects)},
    )


def _file(plan: BulkPlan, number: int, end: BulkEnd, chunks: Mapping[tuple[int, int], BulkChunk]) -> BulkFileResult:
    own = [chunks[number, chunk] for chunk in range(end.chunks)]
    file = plan.files[number]

    def placed(sha256: str, suffix: str) -> str:
        return keys.bulk_part(plan.model, plan.bulk_id, sha256, suffix)

    return BulkFileResult(
        name=file.name,
        source=f"s3://{file.bucket}/{file.key}",
        version_id=file.version_id,
        sha256=end.sha256,
        size=file.size,
        rows=sum(chunk.rows for chunk in own),
        rejected=sum(chunk.rejected for chunk in own),
        rejected_by=_sums(chunk.rejected_by for chunk in own),
        parts=tuple(placed(chunk.part_sha256, "parquet") for chunk in own if chunk.part_sha256),
        rejects=tuple(placed(chunk.rejects_sha256, "jsonl") for chunk in own if chunk.rejects_sha256),
    )


def _sums(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total = Counter[str]()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items()))


def _end(ports: Ports, plan: BulkPlan, number: int) -> BulkEnd:
    return BulkEnd.model_validate_json(_read(ports, plan, number, None))


def _chunk(ports: Ports, plan: BulkPlan, number: int, chunk: int) -> BulkChunk:
    return BulkChunk.model_validate_json(_read(ports, plan, number, chunk))


def _read(ports: Ports, plan: BulkPlan, number: int, chunk: int | None) -> bytes:
    try:
        return ports.artifacts.get(keys.bulk_chunk(plan.model, plan.bulk_id, number, chunk))
    except NotFoundError:
        what = "its end" if chunk is None else f"chunk {chunk}"
        raise DataError(
            f"{plan.files[number].name}: {what} was not predicted; go on with `perennial batch-predict --resume`"
        ) from None
