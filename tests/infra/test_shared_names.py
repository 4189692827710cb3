"""What the templates and the deployed code must say alike, though each says it for itself."""

from __future__ import annotations

from perennial.aws.metrics import NAMESPACE
from perennial.serving.log_lines import MARKER
from perennial.steps.admit import CLAIM_LENGTH
from perennial.steps.monitor import METRICS
from tests.infra.synthesised import Synthesised


def test_each_figure_that_the_monitor_publishes_has_an_alarm_that_watches_it(dev: Synthesised) -> None:
    alarms = dev.properties("AWS::CloudWatch::Alarm").values()
    watched = [alarm["MetricName"] for alarm in alarms if alarm.get("Namespace") == NAMESPACE]
    assert set(METRICS) <= set(watched)


def test_the_lines_of_the_prediction_log_are_carried_to_the_function_that_keeps_them(stack: Synthesised) -> None:
    (subscription,) = stack.properties("AWS::Logs::SubscriptionFilter").values()
    assert subscription["FilterPattern"] == f'"{MARKER}"'
    group = stack.properties("AWS::Logs::LogGroup")[subscription["LogGroupName"]["Ref"]]
    assert group["LogGroupName"].endswith("/predict")
    assert group["RetentionInDays"] == 3
    (function, _) = subscription["DestinationArn"]["Fn::GetAtt"]
    called = stack.properties("AWS::Lambda::Function")[function]
    assert called["Handler"] == "log_predictions.handler"
    assert "DeadLetterConfig" in called
    permitted = [p for p in stack.properties("AWS::Lambda::Permission").values() if "logs" in p["Principal"]]
    assert [one["FunctionName"]["Fn::GetAtt"][0] for one in permitted] == [function]


def test_the_monitor_may_publish_in_its_namespace(dev: Synthesised) -> None:
    allowed = [
        statement["Condition"]["StringEquals"]["cloudwatch:namespace"]
        for _, statement in dev.statements()
        if statement["Action"] == "cloudwatch:PutMetricData"
    ]
    assert allowed == [NAMESPACE]


def test_a_training_run_ends_before_its_claim_does(dev: Synthesised) -> None:
    assert dev.machines()["train"]["TimeoutSeconds"] <= CLAIM_LENGTH.total_seconds()
