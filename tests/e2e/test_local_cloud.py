"""The local cloud does what AWS does, where the emulator alone does not."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from infra.local import docker
from infra.local.cloud import CloudError, Endpoint, LocalCloud

pytestmark = pytest.mark.e2e

Value = TypeVar("Value")

ANYBODY = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}
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
HANDLER = """
import os
class TransientError(Exception): ...
calls = 0
def handler(event, context):
    global calls
    calls += 1
    if event.get("fail_before", 0) >= calls:
        raise TransientError(f"call {calls}")
    if "httpMethod" in event:
        return {"statusCode": 200, "body": event["requestContext"]["identity"]["userArn"]}
    return {"calls": calls, "definitions": os.environ["DEFINITIONS"]}
"""


def wait_for(read: Callable[[], Value | None], seconds: float = 15) -> Value:
    """Return the first answer that is not None."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = read()
        if value is not None:
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def processes(state: Path) -> list[str]:
    """Return the command lines that name a state directory."""
    if Path("/proc/self/cmdline").exists():
        lines = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    else:
        lines = subprocess.run(["ps", "-ww", "-Ao", "args"], capture_output=True, text=True, check=True).stdout.split(
            "\n"
        )
    return [line for line in lines if str(state) in line]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Start one local cloud for the tests of this module."""
    local = LocalCloud(tmp_path_factory.mktemp("cloud") / "state")
    yield local.start()
    local.stop()


@pytest.fixture(scope="module")
def role(cloud: Endpoint) -> str:
    """Return a role that may do nothing."""
    created = cloud.client("iam").create_role(RoleName="nothing", AssumeRolePolicyDocument=json.dumps(ANYBODY))
    return str(created["Role"]["Arn"])


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


@pytest.fixture(scope="module")
def function(cloud: Endpoint, role: str) -> str:
    """Return the ARN of a function with a layer."""
    client = cloud.client("lambda")
    layer = client.publish_layer_version(LayerName="definitions", Content={"ZipFile": zipped("definitions/a.toml", "")})
    created = client.create_function(
        FunctionName="function",
        Runtime="python3.13",
        Role=role,
        Handler="main.handler",
        Code={"ZipFile": zipped("main.py", HANDLER)},
        Layers=[layer["LayerVersionArn"]],
        Timeout=20,
        Environment={"Variables": {"DEFINITIONS": "/opt/definitions"}},
    )
    return str(created["FunctionArn"])


def zipped(name: str, text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, text)
    return buffer.getvalue()


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


def execute(cloud: Endpoint, name: str, states: dict[str, Any], stop_after: float | None = None) -> dict[str, Any]:
    """Run a state machine, its first state first, and return the execution's description."""
    client = cloud.client("stepfunctions")
    machine = client.create_state_machine(
        name=name,
        definition=json.dumps({"StartAt": next(iter(states)), "States": states}),
        roleArn="arn:aws:iam::000000000000:role/nothing",
    )["stateMachineArn"]
    execution = client.start_execution(stateMachineArn=machine)["executionArn"]
    if stop_after is not None:
        time.sleep(stop_after)
        client.stop_execution(executionArn=execution)

    def read() -> dict[str, Any] | None:
        described: dict[str, Any] = client.describe_execution(executionArn=execution)
        return described if described["status"] != "RUNNING" else None

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


# Lifecycle


@contextmanager
def another_program(port: int) -> Iterator[None]:
    """Serve something else on a port."""
    server = ThreadingHTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def leave_job_running(cloud: Endpoint, folder: Path) -> None:
    """Start a job of a minute whose command line names the folder."""
    (folder / "context").mkdir()
    (folder / "context" / "Dockerfile").write_text("FROM x\n")
    docker.main(["--store", str(cloud.state / "images"), "build", "--tag", IMAGE, str(folder / "context")])
    batch = cloud.client("batch")
    batch.create_job_queue(jobQueueName="jobs", priority=1, computeEnvironmentOrder=[])
    properties = {"image": IMAGE, "command": ["/bin/sh", "-c", f"sleep 60; echo {folder}"]}
    batch.register_job_definition(jobDefinitionName="j", type="container", containerProperties=properties)
    batch.submit_job(jobName="j", jobQueue="jobs", jobDefinition="j")
    wait_for(lambda: [line for line in processes(folder) if "sleep 60" in line] or None)


def test_two_clouds_run_side_by_side_and_one_ends_with_its_jobs_and_files(cloud: Endpoint, tmp_path: Path) -> None:
    other = LocalCloud(tmp_path / "state")
    try:
        endpoint = other.start()
        assert other.start() == endpoint  # it runs already
        assert endpoint.url != cloud.url
        endpoint.client("s3").create_bucket(Bucket="mine")
        assert "mine" not in [bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]]
        leave_job_running(endpoint, tmp_path)
    finally:
        assert other.stop()
    assert not other.stop()
    assert other.status() is None
    assert [path.name for path in tmp_path.iterdir()] == ["context"]
    assert processes(tmp_path) == []
    assert cloud.answers()


def test_a_killed_cloud_is_noticed_and_replaced_with_all_that_it_left(tmp_path: Path) -> None:
    cloud = LocalCloud(tmp_path / "state")
    try:
        old = cloud.start()
        leave_job_running(old, tmp_path)
        os.killpg(old.pid, signal.SIGKILL)
        wait_for(lambda: None if old.answers() else True)
        # Its port may by now be another program's, which answers anything.
        with another_program(int(old.url.rsplit(":", 1)[1])):
            assert cloud.status() is None
            new = cloud.start()
        assert new.url != old.url
        assert new.answers()
    finally:
        cloud.stop()
    assert processes(tmp_path) == []


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(CloudError, match="holds other files"):
        LocalCloud(tmp_path).start()
    assert (tmp_path / "thesis.tex").exists()


def test_a_cloud_that_does_not_start_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "hypercorn.py").write_text("raise ImportError('the server is missing')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    with pytest.raises(CloudError, match="the server is missing"):
        LocalCloud(tmp_path / "state").start()
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]
    assert processes(tmp_path) == []


# Batch


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
    stopped = execute(cloud, "stopped", {"Train": job_state(definition, "sleep", "60")}, stop_after=1)
    timed_out = execute(cloud, "late", {"Train": job_state(definition, "sleep", "60", TimeoutSeconds=1)})
    assert (stopped["status"], timed_out["error"]) == ("ABORTED", "States.Timeout")
    batch = cloud.client("batch")
    wait_for(lambda: None if batch.list_jobs(jobQueue="jobs", jobStatus="RUNNING")["jobSummaryList"] else True)


# Functions and state machines


def test_a_function_finds_its_layer_and_stays_warm_after_an_error(cloud: Endpoint, function: str) -> None:
    client = cloud.client("lambda")
    failed = client.invoke(FunctionName=function, Payload=json.dumps({"fail_before": 1}))
    assert json.loads(failed["Payload"].read())["errorType"] == "TransientError"
    answer = json.loads(client.invoke(FunctionName=function, Payload=b"{}")["Payload"].read())
    assert answer["calls"] == 2
    assert Path(answer["definitions"], "a.toml").exists()


def test_a_state_machine_retries_on_the_name_of_an_exception(cloud: Endpoint, function: str) -> None:
    retry = [{"ErrorEquals": ["TransientError"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 1}]
    calls = json.loads(cloud.client("lambda").invoke(FunctionName=function, Payload=b"{}")["Payload"].read())["calls"]
    task = {"Type": "Task", "Resource": function, "Parameters": {"fail_before": calls + 1}, "Retry": retry, "End": True}
    done = execute(cloud, "retries", {"Step": task})
    assert json.loads(done["output"])["calls"] == calls + 2


def test_a_failed_child_execution_fails_the_task_as_in_aws(cloud: Endpoint) -> None:
    execute(cloud, "child", {"Refuse": {"Type": "Fail", "Error": "Refused", "Cause": "cooldown"}})
    child = "arn:aws:states:us-east-1:000000000000:stateMachine:child"
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": child},
        "End": True,
    }
    done = execute(cloud, "parent", {"Child": task})
    cause = json.loads(done["cause"])
    assert (done["error"], cause["Error"], cause["Cause"]) == ("States.TaskFailed", "Refused", "cooldown")


# The API


@pytest.fixture(scope="module")
def url(cloud: Endpoint, function: str) -> str:
    """Return the URL of a method that asks for a signature."""
    client = cloud.client("apigateway")
    api = client.create_rest_api(name="api")["id"]
    root = client.get_resources(restApiId=api)["items"][0]["id"]
    method = {"restApiId": api, "resourceId": root, "httpMethod": "GET"}
    client.put_method(**method, authorizationType="AWS_IAM")
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function}/invocations"
    client.put_integration(**method, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    client.create_deployment(restApiId=api, stageName="v1")
    return f"{cloud.url}/restapis/{api}/v1/_user_request_/"


def get(url: str, credentials: Credentials | None = None) -> tuple[int, str]:
    request = AWSRequest(method="GET", url=url)
    if credentials is not None:
        SigV4Auth(credentials, "execute-api", "us-east-1").add_auth(request)
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=dict(request.headers))) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_only_a_signed_call_reaches_the_api(cloud: Endpoint, url: str) -> None:
    assert get(url) == (403, '{"message":"Missing Authentication Token"}')
    assert get(url, Credentials(cloud.access_key, "wrong"))[0] == 403
    assert get(url, Credentials("test", "test"))[0] == 403
    assert get(url, Credentials(cloud.access_key, cloud.secret_key)) == (200, f"arn:aws:iam::{cloud.account}:root")


def test_a_queue_that_refuses_insecure_transport_answers(cloud: Endpoint) -> None:
    sqs = cloud.client("sqs")
    queue = sqs.create_queue(QueueName="private")["QueueUrl"]
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    statement = {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "*", "Condition": insecure}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    assert sqs.send_message(QueueUrl=queue, MessageBody="hello")["MessageId"]


def test_an_image_that_was_not_pushed_is_not_in_the_registry(cloud: Endpoint) -> None:
    ecr = cloud.client("ecr")
    repository = ecr.describe_repositories()["repositories"][0]["repositoryName"]
    with pytest.raises(ClientError, match="ImageNotFoundException"):
        ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "missing"}])


# Alarms


@pytest.fixture(scope="module")
def changes(cloud: Endpoint) -> Callable[[str], list[dict[str, Any]]]:
    """Return what reads the events about an alarm: each as the whole event, and one field by an indexed path."""
    events, sqs = cloud.client("events"), cloud.client("sqs")
    queue = sqs.create_queue(QueueName="changes")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.cloudwatch"], "detail-type": ["CloudWatch Alarm State Change"]}
    events.put_rule(Name="changes", EventPattern=json.dumps(pattern))
    transformer = {
        "InputPathsMap": {"dimensions": "$.detail.configuration.metrics[0].metricStat.metric.dimensions"},
        "InputTemplate": '{"dimensions": <dimensions>, "event": <aws.events.event.json>}',
    }
    events.put_targets(Rule="changes", Targets=[{"Id": "queue", "Arn": arn, "InputTransformer": transformer}])
    seen: list[dict[str, Any]] = []

    def read(alarm: str) -> list[dict[str, Any]]:
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in received:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            seen.append(json.loads(message["Body"]))
        return [change for change in seen if change["event"]["detail"]["alarmName"] == alarm]

    return read


def alarm(cloud: Endpoint, name: str, **options: Any) -> None:
    cloud.client("cloudwatch").put_metric_alarm(
        **{
            "AlarmName": name,
            "AlarmDescription": "it drifts",
            "Namespace": "Perennial",
            "MetricName": "drift",
            "Dimensions": [{"Name": "model", "Value": name}],
            "Statistic": "Maximum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 0.2,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            **options,
        }
    )


def measure(cloud: Endpoint, model: str, value: float) -> None:
    datum = {"MetricName": "drift", "Value": value, "Dimensions": [{"Name": "model", "Value": model}]}
    cloud.client("cloudwatch").put_metric_data(Namespace="Perennial", MetricData=[datum])


def state(cloud: Endpoint, name: str) -> str:
    return str(cloud.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"])


def test_an_alarm_watches_its_own_dimensions_and_tells_the_event_bus(
    cloud: Endpoint, changes: Callable[[str], list[dict[str, Any]]]
) -> None:
    alarm(cloud, "churn")
    measure(cloud, "fraud", 0.9)
    assert state(cloud, "churn") == "OK"
    measure(cloud, "churn", 0.9)
    assert state(cloud, "churn") == "ALARM"
    change = wait_for(lambda: next(iter(changes("churn")[1:]), None))
    event = change["event"]
    assert change["dimensions"] == {"model": "churn"}
    assert event["resources"] == [f"arn:aws:cloudwatch:us-east-1:{cloud.account}:alarm:churn"]
    detail = event["detail"]
    assert (detail["previousState"]["value"], detail["state"]["value"]) == ("OK", "ALARM")
    assert json.loads(detail["state"]["reasonData"])["recentDatapoints"] == [0.9]
    assert detail["configuration"]["description"] == "it drifts"
    assert detail["configuration"]["metrics"][0]["metricStat"] == {
        "metric": {"namespace": "Perennial", "name": "drift", "dimensions": {"model": "churn"}},
        "period": 60,
        "stat": "Maximum",
    }


def test_an_alarm_recovers_when_no_data_comes(cloud: Endpoint) -> None:
    # A period of one second, that the test need not wait for minutes.
    alarm(cloud, "short", Period=1)
    alarm(cloud, "unknown", Period=1, TreatMissingData="missing")
    for name in ("short", "unknown"):
        measure(cloud, name, 0.9)
        assert state(cloud, name) == "ALARM"
    wait_for(lambda: True if state(cloud, "short") == "OK" else None)
    wait_for(lambda: True if state(cloud, "unknown") == "INSUFFICIENT_DATA" else None)


def test_two_of_three_datapoints_raise_an_alarm_and_one_does_not(cloud: Endpoint) -> None:
    alarm(cloud, "patient", EvaluationPeriods=3, DatapointsToAlarm=2)
    data = [{"MetricName": "drift", "Dimensions": [{"Name": "model", "Value": "patient"}]}]
    client, minute = cloud.client("cloudwatch"), 60
    for age, value, expected in ((2, 0.1, "OK"), (1, 0.9, "OK"), (0, 0.9, "ALARM")):
        datum = {**data[0], "Value": value, "Timestamp": time.time() - age * minute}
        client.put_metric_data(Namespace="Perennial", MetricData=[datum])
        assert state(cloud, "patient") == expected


def test_a_state_set_by_hand_is_told_too(cloud: Endpoint, changes: Callable[[str], list[dict[str, Any]]]) -> None:
    alarm(cloud, "manual", TreatMissingData="ignore")
    cloud.client("cloudwatch").set_alarm_state(AlarmName="manual", StateValue="ALARM", StateReason="a drill")
    change = wait_for(lambda: next(iter(changes("manual")), None))
    assert change["event"]["detail"]["state"]["reason"] == "a drill"
