"""Functions on the local cloud: called by hand, by state machines and through the signed API."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra.local.cloud import Endpoint
from tests.e2e.executions import execute

pytestmark = pytest.mark.e2e

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


@pytest.mark.parametrize(("fails", "error"), [(0, "States.Timeout"), (10**6, "TransientError")])
def test_a_task_that_waits_for_a_token_ends_by_its_time_or_with_its_function(
    cloud: Endpoint, function: str, fails: int, error: str
) -> None:
    wait = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": function, "Payload": {"token.$": "$$.Task.Token", "fail_before": fails}},
        "TimeoutSecondsPath": "$.seconds",
        "End": True,
    }
    begin = {"Type": "Pass", "Result": {"seconds": 1}, "Next": "Wait"}
    done = execute(cloud, f"waits-{fails}", {"Begin": begin, "Wait": wait})
    assert (done["status"], done["error"]) == ("FAILED", error)


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
