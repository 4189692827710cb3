"""Metrics in CloudWatch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from perennial.aws.errors import translated
from perennial.ports import Metric

if TYPE_CHECKING:
    from types_boto3_cloudwatch.client import CloudWatchClient

NAMESPACE = "Perennial"
MOST = 1000
"""Metrics that one PutMetricData may bring."""


class CloudWatchMetricSink:
    """CloudWatch metrics in the namespace ``Perennial``, one-minute resolution.

    Parameters
    ----------
    client : callable
        Returns the CloudWatch client; called when there is something to publish, for most functions never have.
    """

    def __init__(self, client: Callable[[], CloudWatchClient]) -> None:
        self._client = client

    def put(self, metrics: Sequence[Metric], at: datetime) -> None:
        """Publish metrics."""
        for start in range(0, len(metrics), MOST):
            with translated(f"CloudWatch namespace {NAMESPACE}"):
                self._client().put_metric_data(
                    Namespace=NAMESPACE,
                    MetricData=[
                        {
                            "MetricName": metric.name,
                            "Value": metric.value,
                            "Timestamp": at,
                            "StorageResolution": 60,
                            "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions.items()],
                        }
                        for metric in metrics[start : start + MOST]
                    ],
                )
