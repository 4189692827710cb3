"""Array jobs on the local cloud: children with their index, and a parent that sums them up."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local import docker
from infra.local.cloud import Endpoint
from tests.e2e.executions import execute, wait_for

pytestmark = pytest.mark.e2e

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/array:1"
JOB = """
import os, sys, time
index = os.environ.get("AWS_BATCH_JOB_ARRAY_INDEX")
print("child", index, "is", os.environ["AWS_BATCH_JOB_ID"], flush=True)
if sys.argv[1] == "sleep":
    time.sleep(60)
sys.exit(10 if sys.argv[1] == index else 0)
"""


@pytest.fixture(scope="module")
def definition(cloud: Endpoint, role: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a job definition, with its image and its queue ``arrays``; the child of the named index fails."""
    context = tmp_path_factory.mktemp("context")
    (context / "job.py").write_text(JOB)
    (context / "Dockerfile").write_text('FROM python\nWORKDIR /app\nCOPY job.py .\nENTRYPOINT ["python", "job.py"]\n')
    assert docker.main(["--store", str(cloud.state / "images"), "build", "--tag", IMAGE, str(context)]) == 0
    batch = cloud.client("batch")
    batch.create_compute_environment(computeEnvironmentName="array_fargate", type="MANAGED")
    order = [{"order": 1, "computeEnvironment": "array_fargate"}]
    batch.create_job_queue(jobQueueName="arrays", priority=1, computeEnvironmentOrder=order)
    logs = {"logDriver": "awslogs", "options": {"awslogs-group": "/arrays"}}
    container = {"image": IMAGE, "command": ["Ref::fails"], "jobRoleArn": role, "logConfiguration": logs}
    registered = batch.register_job_definition(
        jobDefinitionName="array", type="container", parameters={"fails": "none"}, containerProperties=container
    )
    return str(registered["jobDefinitionArn"])


def submit(cloud: Endpoint, definition: str, size: int, fails: str = "none") -> str:
    request: dict[str, Any] = {"jobName": "array", "jobQueue": "arrays", "jobDefinition": definition}
    options = {"parameters": {"fails": fails}, "arrayProperties": {"size": size}}
    return str(cloud.client("batch").submit_job(**request, **options)["jobId"])


def finished(cloud: Endpoint, job: str) -> dict[str, Any]:
    """Wait for a job and return its description."""
    batch = cloud.client("batch")

    def read() -> dict[str, Any] | None:
        described: dict[str, Any] = batch.describe_jobs(jobs=[job])["jobs"][0]
        return described if described["status"] in ("SUCCEEDED", "FAILED") else None

    return wait_for(read)


def test_each_child_is_told_its_index_and_the_parent_succeeds_when_all_have(cloud: Endpoint, definition: str) -> None:
    parent = finished(cloud, submit(cloud, definition, 3))
    assert (parent["status"], parent["arrayProperties"]["size"]) == ("SUCCEEDED", 3)
    assert parent["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 3
    batch, logs = cloud.client("batch"), cloud.client("logs")
    ids = [f"{parent['jobId']}:{index}" for index in range(3)]
    children = batch.describe_jobs(jobs=ids)["jobs"]
    assert [child["arrayProperties"]["index"] for child in children] == [0, 1, 2]
    for index, child in enumerate(children):
        stream = child["container"]["logStreamName"]
        events = logs.get_log_events(logGroupName="/arrays", logStreamName=stream)["events"]
        assert [event["message"] for event in events] == [f"child {index} is {ids[index]}"]
    listed = batch.list_jobs(arrayJobId=parent["jobId"], jobStatus="SUCCEEDED")["jobSummaryList"]
    assert sorted(job["jobId"] for job in listed) == ids


def test_a_parent_fails_when_all_have_ended_and_one_failed(cloud: Endpoint, definition: str) -> None:
    parent = finished(cloud, submit(cloud, definition, 3, fails="1"))
    assert parent["status"] == "FAILED"
    summary = parent["arrayProperties"]["statusSummary"]
    assert (summary["SUCCEEDED"], summary["FAILED"]) == (2, 1)


def test_to_end_the_parent_is_to_end_all_children(cloud: Endpoint, definition: str) -> None:
    job = submit(cloud, definition, 5, fails="sleep")
    cloud.client("batch").terminate_job(jobId=job, reason="enough")
    parent = finished(cloud, job)
    assert (parent["status"], parent["arrayProperties"]["statusSummary"]["FAILED"]) == ("FAILED", 5)
    (last,) = cloud.client("batch").describe_jobs(jobs=[f"{job}:4"])["jobs"]
    assert last["statusReason"] == "enough"


def test_an_array_has_two_children_at_least(cloud: Endpoint, definition: str) -> None:
    with pytest.raises(ClientError, match="between 2 and 10000"):
        submit(cloud, definition, 1)


def test_a_state_machine_waits_for_all_children_and_goes_on_where_one_failed(cloud: Endpoint, definition: str) -> None:
    def machine(fails: str) -> dict[str, Any]:
        request = {
            "JobName": "array",
            "JobQueue": "arrays",
            "JobDefinition": definition,
            "Parameters": {"fails": fails},
            "ArrayProperties": {"Size.$": "$.size"},
        }
        task = {"Type": "Task", "Resource": "arn:aws:states:::batch:submitJob.sync", "Parameters": request}
        caught = [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.lost", "Next": "After"}]
        return {
            "Begin": {"Type": "Pass", "Result": {"size": 2}, "Next": "Trials"},
            "Trials": {**task, "ResultPath": "$.job", "Catch": caught, "Next": "After"},
            "After": {"Type": "Pass", "End": True},
        }

    done = json.loads(execute(cloud, "array-succeeds", machine("none"))["output"])
    assert done["job"]["ArrayProperties"]["StatusSummary"]["SUCCEEDED"] == 2
    lost = json.loads(execute(cloud, "array-fails", machine("0"))["output"])["lost"]
    assert json.loads(lost["Cause"])["ArrayProperties"]["StatusSummary"]["FAILED"] == 1
