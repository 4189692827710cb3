"""CloudWatch receives what is published (the fake only keeps it)."""

from __future__ import annotations

from datetime import timedelta

import boto3
import pytest

from perennial.aws.metrics import CloudWatchMetricSink
from perennial.fakes import FakeMetricSink
from perennial.ports import Metric
from tests.support.records import AT


@pytest.mark.usefixtures("aws")
def test_metrics_arrive_with_their_dimensions_beyond_one_calls_thousand() -> None:
    client = boto3.client("cloudwatch")
    here = {"Deployment": "test", "Model": "fare"}
    sink = CloudWatchMetricSink(lambda: client)
    sink.put([Metric("FeatureDrift", number / 4, here) for number in range(2001)], AT)
    sink.put([Metric("FeatureDrift", -1.0, {**here, "Model": "tips"})], AT)
    statistics = client.get_metric_statistics(
        Namespace="Perennial",
        MetricName="FeatureDrift",
        Dimensions=[{"Name": name, "Value": value} for name, value in here.items()],
        StartTime=AT - timedelta(minutes=5),
        EndTime=AT + timedelta(minutes=5),
        Period=60,
        Statistics=["SampleCount", "Maximum", "Minimum"],
    )["Datapoints"]
    assert [(point["SampleCount"], point["Maximum"], point["Minimum"]) for point in statistics] == [(2001, 500.0, 0.0)]


def test_nothing_to_publish_builds_no_client() -> None:
    CloudWatchMetricSink(lambda: pytest.fail("built a client")).put([], AT)


def test_the_fake_gives_values_by_name_and_dimensions() -> None:
    sink = FakeMetricSink()
    sink.put([Metric("A", 1.0, {"Model": "x"}), Metric("A", 2.0, {"Model": "y"}), Metric("B", 3.0, {})], AT)
    assert sink.values("A") == [1.0, 2.0]
    assert sink.values("A", {"Model": "y"}) == [2.0]
    assert sink.published[2] == (Metric("B", 3.0, {}), AT)
