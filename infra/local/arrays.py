"""Array jobs of AWS Batch: a parent that runs nothing, and children that differ in their index alone."""

from __future__ import annotations

import copy
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from infra.local.jobs import Job, Runner, now

_LEAST, _MOST = 2, 10_000
"""Children that an array job has (AWS Batch User Guide, "Array jobs")."""
_STATUSES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
_children: dict[str, list[Job]] = {}
_parents: dict[str, Job] = {}
_lock = threading.Lock()


def size_of(request: Mapping[str, Any]) -> int | None:
    """Return how many children a submitted job has; None of a job that is no array. LookupError as Batch has it."""
    size = (request.get("arrayProperties") or {}).get("size")
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, int) or not _LEAST <= size <= _MOST:
        raise LookupError(f"Array job size should be between {_LEAST} and {_MOST}, not {size}")
    return size


def submit(runner: Runner, parent: Job, size: int) -> None:
    """Queue the children of a job, which becomes their parent."""
    children = [_child(parent, index) for index in range(size)]
    with _lock:
        _children[parent["jobId"]] = children
        _parents[parent["jobId"]] = parent
        parent["status"] = "PENDING"  # as long as a child is under way
        _summarise(parent)
    for child in children:
        runner.submit(child)


def child_changed(job: Job) -> None:
    """Bring the parent of a job up to date, if it has one: it fails if a child did, but when all have ended."""
    parent = _parents.get(job["jobId"].partition(":")[0])
    if parent is None or parent is job:
        return
    with _lock:
        found = _summarise(parent)
        if found["SUCCEEDED"] + found["FAILED"] < parent["arrayProperties"]["size"]:
            return
        parent["stoppedAt"] = now()
        if found["FAILED"]:
            parent["statusReason"] = "Array Child Job failed"
        parent["status"] = "FAILED" if found["FAILED"] else "SUCCEEDED"


def children(job: Job) -> list[Job]:
    """Return the children of a job, in their order; none of one that is no array."""
    return _children.get(job["jobId"], [])


def find(job_id: str, jobs: MutableMapping[str, Job]) -> Job | None:
    """Return a job, or the child of one, by its id."""
    parent, _, index = job_id.partition(":")
    job = jobs.get(parent)
    if job is None or not index:
        return job
    return next((child for child in children(job) if child["jobId"] == job_id), None)


def described(request: Mapping[str, Any], jobs: MutableMapping[str, Job]) -> dict[str, list[Job]]:
    """Answer DescribeJobs, children included."""
    found = (find(job_id, jobs) for job_id in request.get("jobs") or [])
    return {"jobs": [job for job in found if job is not None]}


def listing(plain: Callable[[dict[str, Any]], Any], answer: Callable[[int, Any], Any]) -> Callable[..., Any]:
    """Return ListJobs that also lists the children of an array job, if asked for its ``arrayJobId``."""
    members = ("jobId", "jobArn", "jobName", "status", "createdAt", "arrayProperties")

    def list_jobs(request: dict[str, Any]) -> Any:
        if "arrayJobId" not in request:
            return plain(request)
        wanted = request.get("jobStatus", "RUNNING")  # as Batch has it
        found = [job for job in _children.get(request["arrayJobId"], []) if job["status"] == wanted]
        return answer(200, {"jobSummaryList": [{name: job[name] for name in members} for job in found]})

    return list_jobs


def _child(parent: Job, index: int) -> Job:
    child = copy.deepcopy(parent)
    child["jobId"], child["jobArn"] = f"{parent['jobId']}:{index}", f"{parent['jobArn']}:{index}"
    child["arrayProperties"] = {"index": index}
    prefix = child["container"]["logStreamName"].rpartition("/")[0]
    child["container"]["logStreamName"] = f"{prefix}/{secrets.token_hex(16)}"
    return child


def _summarise(parent: Job) -> Counter[str]:
    found = Counter(child["status"] for child in _children[parent["jobId"]])
    summary = {status: found[status] for status in _STATUSES}
    parent["arrayProperties"] = {"size": len(_children[parent["jobId"]]), "statusSummary": summary}
    return found
