"""What the emulator lacks, as it comes: a test here fails when an upgrade mends it, and the workaround can go.

The emulator's modules are used in this process, as they are; ``infra.local`` changes them only in its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local import composites, functions

pytestmark = pytest.mark.e2e

ROLE = "arn:aws:iam::000000000000:role/any"


@pytest.fixture(autouse=True)
def _clean(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the emulator's files, whose place it reads when it is imported, among the tests'; and forget its state."""
    monkeypatch.setenv("STATE_DIR", str(tmp_path_factory.getbasetemp() / "emulator"))
    monkeypatch.setenv("S3_DATA_DIR", str(tmp_path_factory.getbasetemp() / "s3"))
    yield
    from ministack.services import cloudwatch, ecr, eventbridge, s3, stepfunctions

    for module in (cloudwatch, ecr, eventbridge, s3, stepfunctions):
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


def test_an_array_job_has_no_children() -> None:  # infra/local/arrays.py
    from ministack.services import batch

    _, _, body = batch._submit_job({"jobName": "any", "jobDefinition": "missing", "arrayProperties": {"size": 2}})
    assert "arrayProperties" not in batch._jobs[json.loads(body)["jobId"]]
    assert f"{json.loads(body)['jobId']}:0" not in batch._jobs


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


def test_a_template_may_not_name_a_composite_alarm() -> None:  # infra/local/composites.py
    from ministack.services.cloudformation import provisioners

    assert composites.KIND not in provisioners._RESOURCE_HANDLERS


def test_a_metric_filter_counts_nothing() -> None:  # infra/local/metric_filters.py
    from ministack.services import cloudwatch, cloudwatch_logs

    cloudwatch_logs._create_log_group({"logGroupName": "counted"})
    cloudwatch_logs._create_log_stream({"logGroupName": "counted", "logStreamName": "s"})
    transformation = {"metricName": "Seen", "metricNamespace": "Logs", "metricValue": "1"}
    cloudwatch_logs._put_metric_filter(
        {
            "logGroupName": "counted",
            "filterName": "f",
            "filterPattern": '{ $.message = "seen" }',
            "metricTransformations": [transformation],
        }
    )
    event = {"timestamp": int(time.time() * 1000), "message": '{"message": "seen"}'}
    cloudwatch_logs._put_log_events({"logGroupName": "counted", "logStreamName": "s", "logEvents": [event]})
    assert not [key for key, _ in cloudwatch._metrics.items() if key[1] == "Seen"]


def test_an_exception_of_a_function_loses_its_name(tmp_path: Path) -> None:  # infra/local/functions.py
    from ministack.core import lambda_runtime

    (tmp_path / "main.py").write_text("def handler(event, context):\n    raise KeyError('x')\n")
    lines = [{"code_dir": str(tmp_path), "module": "main", "handler": "handler"}, {"event": {}}]
    talk = "\n".join(json.dumps(line) for line in lines) + "\n"
    command = [sys.executable, "-c", lambda_runtime._PYTHON_WORKER_SCRIPT]
    said = subprocess.run(command, input=talk, capture_output=True, text=True, check=True).stdout
    answer = json.loads(said.splitlines()[-1])
    assert {key for key, value in answer.items() if "KeyError" in str(value)} == {"trace"}


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


def test_a_stopped_execution_does_not_stop_the_items_of_its_map() -> None:  # infra/local/machines.py
    from ministack.services import stepfunctions

    parent, child, run = "arn:parent", "arn:child", "arn:map-run"
    for arn in (parent, child):
        stepfunctions._executions[arn] = {"executionArn": arn, "status": "RUNNING", "events": [], "sync": True}
    stepfunctions._executions[child]["mapRunArn"] = run
    stepfunctions._map_runs[run] = {"mapRunArn": run, "executionArn": parent, "status": "RUNNING"}
    stepfunctions._stop_execution({"executionArn": parent})
    assert (stepfunctions._executions[parent]["status"], stepfunctions._executions[child]["status"]) == (
        "ABORTED",
        "RUNNING",
    )


def test_a_task_that_waits_for_a_token_does_not_hear_that_its_function_failed(  # infra/local/callbacks.py
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ministack.services import stepfunctions

    def broken(*_: object) -> None:
        raise stepfunctions._ExecutionError("ConflictError", "it is decided already")

    monkeypatch.setattr(stepfunctions, "_call_lambda", broken)
    resource = "arn:aws:states:::lambda:invoke.waitForTaskToken"
    with pytest.raises(stepfunctions._ExecutionError) as failure:
        stepfunctions._invoke_with_callback(resource, {"FunctionName": "ask"}, "token", {"TimeoutSeconds": 0.1})
    assert failure.value.error == "States.Timeout"


def test_a_path_of_a_tasks_timeout_is_not_read() -> None:  # infra/local/callbacks.py
    from ministack.services import stepfunctions

    assert "TimeoutSecondsPath" not in Path(stepfunctions.__file__).read_text(encoding="utf-8")


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


def test_a_put_metric_data_tells_iam_no_namespace() -> None:  # infra/local/conditions.py
    from ministack.core import iam_actions

    body = json.dumps({"Namespace": "Perennial"}).encode()
    context = iam_actions.request_tag_context("cloudwatch", "cloudwatch:PutMetricData", body, {})
    assert "cloudwatch:namespace" not in context


def test_the_event_of_an_upload_does_not_name_its_version(  # infra/local/uploads.py
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ministack.services import eventbridge, s3

    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(eventbridge, "_dispatch_event", lambda event, *_: sent.append(event))
    s3._bucket_notifications["raw"] = "<EventBridgeConfiguration/>"
    s3._fire_s3_event("raw", "a.csv", "s3:ObjectCreated:Put", version_id="v1", sequencer="1")
    assert [event["DetailType"] for event in sent] == ["Object Created"]
    assert "version-id" not in json.loads(sent[0]["Detail"])["object"]


def test_a_range_of_an_older_version_is_the_whole_object() -> None:  # infra/local/ranges.py
    from ministack.services import s3

    s3._create_bucket("raw", b"")
    s3._bucket_versioning["raw"] = "Enabled"
    _, headers, _ = s3._put_object("raw", "a.csv", b"0123456789", {})
    version = {"versionId": [headers["x-amz-version-id"]]}
    status, _, body = s3._get_object("raw", "a.csv", {"range": "bytes=0-3"}, version)
    assert (status, body) == (200, b"0123456789")


def test_an_api_forgets_that_its_authorizer_names_the_caller_s_key() -> None:  # infra/local/callers.py
    from ministack.services import apigateway_v1
    from ministack.services.cloudformation import provisioners

    create = provisioners._RESOURCE_HANDLERS["AWS::ApiGateway::RestApi"]["create"]
    api_id, _ = create("Api", {"Name": "any", "ApiKeySourceType": "AUTHORIZER"}, "stack")
    try:
        assert apigateway_v1._rest_apis[api_id]["apiKeySource"] == "HEADER"
    finally:
        apigateway_v1.reset()


def test_the_key_that_an_authorizer_names_is_not_looked_at() -> None:  # infra/local/callers.py
    from ministack.services import apigateway_v1

    assert "usageIdentifierKey" not in Path(apigateway_v1.__file__).read_text(encoding="utf-8")
    assert apigateway_v1._api_key_from_request({"x-api-key": "of another"}) == "of another"


def test_log_events_are_delivered_one_call_at_a_time_and_a_delivery_that_fails_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # infra/local/subscriptions.py
    from ministack.services import cloudwatch_logs, lambda_svc

    calls: list[Any] = []

    def failing(function: Any, event: Any) -> dict[str, Any]:
        calls.append(event)
        return {"error": True}

    monkeypatch.setattr(lambda_svc, "_execute_function_with_config_scope", failing)
    monkeypatch.setattr(lambda_svc, "invoke_async_with_retry", failing)
    monkeypatch.setitem(lambda_svc._functions, "reader", {"config": {}})
    destination = "arn:aws:lambda:us-east-1:000000000000:function:reader"
    each = {"filterName": "f", "filterPattern": "", "destinationArn": destination}
    monkeypatch.setitem(cloudwatch_logs._log_groups, "group", {"subscriptionFilters": {"f": each}})
    for number in range(3):
        cloudwatch_logs._fanout_to_subscription_filters("group", "s", [{"timestamp": 0, "message": str(number)}])
    time.sleep(0.5)
    assert len(calls) == 3


def test_what_a_function_prints_late_is_not_in_its_log() -> None:  # infra/local/subscriptions.py
    from ministack.core import lambda_runtime

    worker = lambda_runtime.Worker("f", {"Runtime": "python3.13"}, b"")
    threading.Timer(0.3, lambda: worker._stderr_queue.put("late")).start()
    assert worker._drain_stderr_bounded() == ""
