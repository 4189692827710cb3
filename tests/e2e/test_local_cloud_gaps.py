"""What the emulator lacks, as it comes: a test here fails when an upgrade mends it, and the workaround can go.

The emulator's modules are used in this process, as they are; ``infra.local`` changes them only in its own.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from infra.local import functions

ROLE = "arn:aws:iam::000000000000:role/any"


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    from ministack.core import lambda_runtime
    from ministack.services import cloudwatch, ecr, eventbridge, stepfunctions

    for module in (lambda_runtime, cloudwatch, ecr, eventbridge, stepfunctions):
        module.reset()


def test_batch_is_unknown_to_cloudformation_and_to_step_functions() -> None:  # infra/local/batch.py
    from ministack.services import stepfunctions
    from ministack.services.cloudformation import provisioners

    assert not [name for name in provisioners._RESOURCE_HANDLERS if name.startswith("AWS::Batch::")]
    assert not [name for name in stepfunctions._SERVICE_DISPATCH if "batch" in name]


def test_a_batch_job_only_pretends_to_run() -> None:  # infra/local/jobs.py
    from ministack.services import batch

    _, _, body = batch._submit_job({"jobName": "any", "jobDefinition": "missing"})
    assert batch._jobs[json.loads(body)["jobId"]]["status"] == "SUCCEEDED"


def test_an_alarm_takes_every_dimension_for_its_own_and_tells_no_event_bus() -> None:  # infra/local/alarms.py
    from ministack.services import cloudwatch, eventbridge

    watched: dict[str, Any] = {
        "AlarmName": "churn",
        "AlarmArn": "arn:aws:cloudwatch:us-east-1:000000000000:alarm:churn",
        "Namespace": "Perennial",
        "MetricName": "drift",
        "Dimensions": [{"Name": "model", "Value": "churn"}],
        "Threshold": 0.2,
        "ComparisonOperator": "GreaterThanThreshold",
        "StateValue": "OK",
    }
    cloudwatch._alarms["churn"] = watched
    cloudwatch._store_datum("Perennial", "drift", {"model": "fraud"}, time.time(), "None", 0.9, None, None, None)
    cloudwatch._evaluate_all_alarms()
    assert watched["StateValue"] == "ALARM"
    assert eventbridge._events_log_list() == []


def test_an_exception_of_a_function_loses_its_name() -> None:  # infra/local/functions.py
    from ministack.services import lambda_svc

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("main.py", "def handler(event, context):\n    raise KeyError('x')\n")
    arn = "arn:aws:lambda:us-east-1:000000000000:function:any"
    config = {"FunctionName": "any", "FunctionArn": arn, "Handler": "main.handler", "Runtime": "python3.13"}
    answer = lambda_svc._execute_function_warm({"config": config, "code_zip": buffer.getvalue()}, {}, "1")
    assert answer["body"]["errorType"] == "Runtime.HandlerError"


def test_a_function_is_not_told_where_its_layers_are() -> None:  # infra/local/functions.py
    from ministack.core import lambda_runtime

    assert '"/opt' not in lambda_runtime._PYTHON_WORKER_SCRIPT
    functions.worker_script(lambda_runtime._PYTHON_WORKER_SCRIPT)  # and the workaround still fits


def test_a_failed_child_execution_gives_its_own_error_to_its_parent() -> None:  # infra/local/machines.py
    from ministack.services import stepfunctions

    definition = json.dumps({"StartAt": "No", "States": {"No": {"Type": "Fail", "Error": "Refused", "Cause": "why"}}})
    _, _, body = stepfunctions._create_state_machine({"name": "child", "definition": definition, "roleArn": ROLE})
    arn = json.loads(body)["stateMachineArn"]
    resource = "arn:aws:states:::states:startExecution.sync:2"
    with pytest.raises(stepfunctions._ExecutionError) as failure:
        stepfunctions._invoke_nested_start_execution_sync(resource, {"StateMachineArn": arn})
    assert failure.value.error == "Refused"


def test_an_unknown_image_counts_as_published() -> None:  # infra/local/registry.py
    from ministack.services import ecr

    ecr._create_repository({"repositoryName": "assets"})
    status, _, body = ecr._describe_images({"repositoryName": "assets", "imageIds": [{"imageTag": "missing"}]})
    assert (status, json.loads(body)) == (200, {"imageDetails": []})


def test_the_root_keys_signature_is_not_checked() -> None:  # infra/local/identity.py
    from ministack.core import iam_evaluator

    forged = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    iam_evaluator.pin_signed_request("GET", "/", {}, [(b"authorization", forged.encode())])
    assert iam_evaluator._signed_request.get() is None  # nothing is left to check


def test_an_input_path_with_an_index_finds_nothing() -> None:  # infra/local/events.py
    from ministack.services import eventbridge

    record = {"Source": "aws.cloudwatch", "Resources": ["arn:1"], "Detail": "{}", "Time": 0}
    transformer = {"InputPathsMap": {"first": "$.resources[0]"}, "InputTemplate": '{"first": <first>}'}
    view = eventbridge._pattern_event_view(record)
    assert json.loads(eventbridge._apply_input_transformer(transformer, {}, view)) == {"first": ""}
