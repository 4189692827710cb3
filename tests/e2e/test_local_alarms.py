"""Alarms on the local cloud: their dimensions, their datapoints, and the events that tell of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from infra.local.cloud import Endpoint
from tests.e2e.executions import wait_for

pytestmark = pytest.mark.e2e


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


def test_a_composite_alarm_of_a_template_follows_its_children_and_tells_the_event_bus(
    cloud: Endpoint, changes: Callable[[str], list[dict[str, Any]]]
) -> None:
    formation = cloud.client("cloudformation")
    child = {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "Namespace": "Perennial",
            "MetricName": "drift",
            "Statistic": "Maximum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
        },
    }
    resources: dict[str, Any] = {}
    for name in ("fares", "tips"):
        dimensions = [{"Name": "model", "Value": name}]
        resources[name] = {**child, "Properties": {**child["Properties"], "AlarmName": name, "Dimensions": dimensions}}
    rule = {
        "Fn::Join": [
            "",
            ['ALARM("', {"Fn::GetAtt": ["fares", "Arn"]}, '") OR ALARM("', {"Fn::GetAtt": ["tips", "Arn"]}, '")'],
        ]
    }
    resources["any"] = {
        "Type": "AWS::CloudWatch::CompositeAlarm",
        "Properties": {"AlarmName": "attention", "AlarmDescription": "look", "AlarmRule": rule},
    }
    template = json.dumps({"Resources": resources, "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["any", "Arn"]}}}})
    formation.create_stack(StackName="composites", TemplateBody=template)
    formation.get_waiter("stack_create_complete").wait(StackName="composites", WaiterConfig={"Delay": 1})

    def attention() -> str:
        found = cloud.client("cloudwatch").describe_alarms(AlarmNames=["attention"], AlarmTypes=["CompositeAlarm"])
        return str(found["CompositeAlarms"][0]["StateValue"])

    wait_for(lambda: True if attention() == "OK" else None)
    measure(cloud, "tips", 2)
    assert attention() == "ALARM"
    change = wait_for(lambda: next((one for one in changes("attention") if _value(one) == "ALARM"), None))["event"]
    (triggering,) = json.loads(change["detail"]["state"]["reasonData"])["triggeringAlarms"]
    assert triggering["arn"].endswith(":alarm:tips")
    assert "alarmRule" in change["detail"]["configuration"]
    cloud.client("cloudwatch").set_alarm_state(AlarmName="tips", StateValue="OK", StateReason="mended")
    assert attention() == "OK"
    formation.delete_stack(StackName="composites")
    formation.get_waiter("stack_delete_complete").wait(StackName="composites", WaiterConfig={"Delay": 1})
    left = cloud.client("cloudwatch").describe_alarms(AlarmNames=["attention", "tips"], AlarmTypes=["CompositeAlarm"])
    assert left["CompositeAlarms"] == []


def _value(change: dict[str, Any]) -> str:
    return str(change["event"]["detail"]["state"]["value"])
