"""What the templates and the deployed code must say alike, though each says it for itself."""

from __future__ import annotations

from perennial.aws.metrics import NAMESPACE
from perennial.steps.admit import CLAIM_LENGTH
from perennial.steps.monitor import METRICS
from tests.infra.synthesised import Synthesised


def test_each_figure_that_the_monitor_publishes_has_an_alarm_that_watches_it(dev: Synthesised) -> None:
    alarms = dev.properties("AWS::CloudWatch::Alarm").values()
    watched = [alarm["MetricName"] for alarm in alarms if alarm.get("Namespace") == NAMESPACE]
    assert sorted(watched) == sorted(METRICS)  # the example has one model


def test_the_monitor_may_publish_in_its_namespace(dev: Synthesised) -> None:
    allowed = [
        statement["Condition"]["StringEquals"]["cloudwatch:namespace"]
        for _, statement in dev.statements()
        if statement["Action"] == "cloudwatch:PutMetricData"
    ]
    assert allowed == [NAMESPACE]


def test_a_training_run_ends_before_its_claim_does(dev: Synthesised) -> None:
    assert dev.machines()["train"]["TimeoutSeconds"] <= CLAIM_LENGTH.total_seconds()
