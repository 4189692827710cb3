"""Batch jobs on the local cloud: images, exit codes, limits, roles, and the state machines that wait for them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local import docker
from infra.local.cloud import Endpoint
from tests.e2e.executions import execute, wait_for

pytestmark = pytest.mark.e2e

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/test:1"
JOB = """
import os, sys, time
verb, value = sys.argv[1], sys.argv[2]
print("attempt", os.environ["AWS_BATCH_JOB_ATTEMPT"], "of", verb, os.environ.get("COLOUR"), flush=True)
if verb == "exit":
    sys.exit(int(value))
if verb == "flaky":
    sys.exit(0 if os.environ["AWS_BATCH_JOB_ATTEMPT"] == value else 20)
if verb == "sleep":
    time.sleep(float(value))
if verb == "buckets":
    import boto3
    boto3.client("s3").list_buckets()
"""


@pytest.fixture(scope="module")
def definition(cloud: Endpoint, role: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a job definition, with its image and its queue ``jobs``."""
    context = tmp_path_factory.mktemp("context")
    (context / "job.py").write_text(JOB)
    (context / "Dockerfile").write_text('FROM python\nWORKDIR /app\nCOPY job.py .\nENTRYPOINT ["python", "job.py"]\n')
    assert docker.main(["--store", str(cloud.state / "images"), "build", "--tag", IMAGE, str(context)]) == 0
    batch = cloud.client("batch")
    batch.create_compute_environment(computeEnvironmentName="fargate", type="MANAGED")
    order = [{"order": 1, "computeEnvironment": "fargate"}]
    batch.create_job_queue(jobQueueName="jobs", priority=1, computeEnvironmentOrder=order)
    registered = batch.register_job_definition(
        jobDefinitionName="job",
        type="container",
        parameters={"verb": "exit", "value": "0"},
        timeout={"attemptDurationSeconds": 60},
        retryStrategy={
            "attempts": 3,
            "evaluateOnExit": [{"onExitCode": "20", "action": "RETRY"}, {"onExitCode": "*", "action": "EXIT"}],
        },
        containerProperties={
            "image": IMAGE,
            "command": ["Ref::verb", "Ref::value"],
            "jobRoleArn": role,
            "environment": [{"name": "COLOUR", "value": "red"}],
            "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/jobs"}},
        },
    )
    return str(registered["jobDefinitionArn"])


def submit(cloud: Endpoint, definition: str, verb: str, value: str, **options: Any) -> str:
    parameters = {"verb": verb, "value": value}
    request = {"jobName": verb, "jobQueue": "jobs", "jobDefinition": definition, "parameters": parameters, **options}
    return str(cloud.client("batch").submit_job(**request)["jobId"])


def finished(cloud: Endpoint, job: str) -> dict[str, Any]:
    """Wait for a job and return its description."""
    batch = cloud.client("batch")

    def read() -> dict[str, Any] | None:
        described: dict[str, Any] = batch.describe_jobs(jobs=[job])["jobs"][0]
        return described if described["status"] in ("SUCCEEDED", "FAILED") else None

    return wait_for(read)


def job_state(definition: str, verb: str, value: str, **options: Any) -> dict[str, Any]:
    parameters = {"verb": verb, "value": value}
    request = {"JobName": verb, "JobQueue": "jobs", "JobDefinition": definition, "Parameters": parameters}
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::batch:submitJob.sync",
        "Parameters": request,
        "End": True,
        **options,
    }


def test_a_job_runs_its_image_with_parameters_and_its_log_is_kept(cloud: Endpoint, definition: str) -> None:
    job = finished(cloud, submit(cloud, definition, "exit", "0"))
    assert (job["status"], job["container"]["exitCode"]) == ("SUCCEEDED", 0)
    stream = job["container"]["logStreamName"]
    events = cloud.client("logs").get_log_events(logGroupName="/jobs", logStreamName=stream)["events"]
    assert [event["message"] for event in events] == ["attempt 1 of exit red"]


@pytest.mark.parametrize(
    ("verb", "value", "status", "exit_code", "attempts"),
    [("exit", "10", "FAILED", 10, 1), ("flaky", "2", "SUCCEEDED", 0, 2), ("exit", "20", "FAILED", 20, 3)],
)
def test_exit_10_is_final_and_exit_20_is_retried(
    verb: str, value: str, status: str, exit_code: int, attempts: int, cloud: Endpoint, definition: str
) -> None:
    job = finished(cloud, submit(cloud, definition, verb, value))
    assert (job["status"], job["container"]["exitCode"], len(job["attempts"])) == (status, exit_code, attempts)


def test_a_job_that_takes_too_long_is_killed_and_not_retried(cloud: Endpoint, definition: str) -> None:
    options = {"timeout": {"attemptDurationSeconds": 1}, "retryStrategy": {"attempts": 2}}
    job = finished(cloud, submit(cloud, definition, "sleep", "60", **options))
    assert (job["status"], job["statusReason"]) == ("FAILED", "Job attempt duration exceeded timeout")
    assert len(job["attempts"]) == 1


def test_a_terminated_job_fails_with_the_reason(cloud: Endpoint, definition: str) -> None:
    job = submit(cloud, definition, "sleep", "60")
    cloud.client("batch").terminate_job(jobId=job, reason="enough")
    assert (finished(cloud, job)["status"], finished(cloud, job)["statusReason"]) == ("FAILED", "enough")


def test_a_job_may_do_only_what_its_role_allows(cloud: Endpoint, definition: str) -> None:
    job = finished(cloud, submit(cloud, definition, "buckets", ""))
    events = cloud.client("logs").get_log_events(logGroupName="/jobs", logStreamName=job["container"]["logStreamName"])
    assert "AccessDenied" in events["events"][-1]["message"]


def jobs(cloud: Endpoint, status: str) -> list[Any]:
    """Return the jobs of a status."""
    return list(cloud.client("batch").list_jobs(jobQueue="jobs", jobStatus=status)["jobSummaryList"])


def test_a_state_machine_waits_for_a_job_and_gets_its_description(cloud: Endpoint, definition: str) -> None:
    done = execute(cloud, "job-succeeds", {"Train": job_state(definition, "exit", "0")})
    output = json.loads(done["output"])
    assert (output["Status"], output["Container"]["ExitCode"]) == ("SUCCEEDED", 0)


def test_a_failed_job_fails_the_task_with_its_description_as_the_cause(cloud: Endpoint, definition: str) -> None:
    done = execute(cloud, "job-fails", {"Train": job_state(definition, "exit", "10")})
    assert (done["status"], done["error"]) == ("FAILED", "States.TaskFailed")
    cause = json.loads(done["cause"])
    assert (cause["Container"]["ExitCode"], cause["StatusReason"]) == (10, "Essential container in task exited")


def test_a_stopped_execution_and_a_timed_out_task_end_their_job(cloud: Endpoint, definition: str) -> None:
    stopped = execute(cloud, "stopped", {"Train": job_state(definition, "sleep", "60")}, lambda: jobs(cloud, "RUNNING"))
    timed_out = execute(cloud, "late", {"Train": job_state(definition, "sleep", "60", TimeoutSeconds=1)})
    assert (stopped["status"], timed_out["error"]) == ("ABORTED", "States.Timeout")
    wait_for(lambda: None if jobs(cloud, "RUNNING") else True)


def test_a_stopped_execution_ends_the_jobs_of_its_map_and_starts_no_more(cloud: Endpoint, definition: str) -> None:
    job = job_state(definition, "sleep", "60")
    processor = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "Job"}
    items = {"Type": "Map", "ItemProcessor": {**processor, "States": {"Job": job}}, "MaxConcurrency": 1, "End": True}
    begin = {"Type": "Pass", "Result": [1, 2, 3], "Next": "Items"}
    before = len(jobs(cloud, "FAILED"))
    stopped = execute(cloud, "stopped-map", {"Begin": begin, "Items": items}, lambda: jobs(cloud, "RUNNING"))
    assert stopped["status"] == "ABORTED"
    wait_for(lambda: None if jobs(cloud, "RUNNING") else True)
    assert len(jobs(cloud, "FAILED")) == before + 1


@pytest.mark.usefixtures("definition")
def test_an_image_that_was_not_pushed_is_not_in_the_registry(cloud: Endpoint) -> None:
    ecr = cloud.client("ecr")
    repository = ecr.describe_repositories()["repositories"][0]["repositoryName"]
    with pytest.raises(ClientError, match="ImageNotFoundException"):
        ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "missing"}])
