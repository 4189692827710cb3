"""What the templates and the deployed code must say alike, though each says it for itself."""

from __future__ import annotations

import inspect
from pathlib import Path

import perennial.serving.predictors
from infra.monitoring import STAND_IN
from infra.options import DEFINITIONS
from perennial.aws.metrics import NAMESPACE
from perennial.definitions import SIGNALS
from perennial.definitions.files import load_definitions
from perennial.serving.log_lines import MARKER
from perennial.steps.admit import CLAIM_LENGTH
from perennial.steps.monitor import METRICS
from tests.infra.synthesised import Synthesised


def test_each_figure_that_the_monitor_publishes_has_an_alarm_that_watches_it(dev: Synthesised) -> None:
    alarms = dev.properties("AWS::CloudWatch::Alarm").values()
    watched = [alarm["MetricName"] for alarm in alarms if alarm.get("Namespace") == NAMESPACE]
    (model,) = load_definitions(DEFINITIONS).models.values()
    of_model = {SIGNALS[name].metric for name in model.alarms.on}
    assert of_model | {"PredictionsLost"} == set(METRICS) & set(watched)


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
    assert set(allowed) == {NAMESPACE}


def test_what_predict_says_of_a_stand_in_is_counted_and_an_alarm(stack: Synthesised) -> None:
    predictors = Path(inspect.getfile(perennial.serving.predictors)).read_text(encoding="utf-8")
    assert f'say("ERROR", "{STAND_IN}"' in predictors
    (counted,) = stack.properties("AWS::Logs::MetricFilter").values()
    assert counted["FilterPattern"] == f'{{ $.message = "{STAND_IN}" }}'
    (transformation,) = counted["MetricTransformations"]
    alarms = stack.properties("AWS::CloudWatch::Alarm").values()
    (alarm,) = [one for one in alarms if one["MetricName"] == transformation["MetricName"]]
    assert alarm["Namespace"] == transformation["MetricNamespace"] == f"{NAMESPACE}/{stack.name}"


def test_a_training_run_ends_before_its_claim_does(dev: Synthesised) -> None:
    assert dev.machines()["train"]["TimeoutSeconds"] <= CLAIM_LENGTH.total_seconds()
