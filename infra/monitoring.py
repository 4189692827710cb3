"""The monitor, its queue and its clock, and the figures of the system itself."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.access import METRICS_NAMESPACE
from infra.functions import SHAPES
from infra.stage import Stage
from infra.storage import Storage

ATTEMPTS = 3
STAND_IN = "stand_in"
"""What ``predict`` calls it when the version before the champion answers in its place."""


def queue(
    scope: Construct, id: str, *, dead_letters: sqs.IQueue | None = None, visible_after: Duration | None = None
) -> sqs.Queue:
    """Return an encrypted queue that takes TLS only and keeps messages for two weeks."""
    return sqs.Queue(
        scope,
        id,
        # With a KMS key every service that sends would need it. Messages name objects and runs; alone the lines of the
        # prediction log that could not be put there hold data.
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=Duration.days(14),
        visibility_timeout=visible_after,
        dead_letter_queue=sqs.DeadLetterQueue(max_receive_count=ATTEMPTS, queue=dead_letters) if dead_letters else None,
    )


class Monitoring(Construct):
    """Predictions and labels → queue → ``monitor`` → metrics."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        deployment: str,
        function: lambda_.Function,
        storage: Storage,
        undelivered: sqs.IQueue,
    ) -> None:
        super().__init__(scope, id)
        self._deployment = deployment
        self._undelivered = undelivered
        self.failed = queue(self, "Failed")
        # AWS's advice: six times the function's timeout, and the window on top.
        visible_after = Duration.seconds(6 * SHAPES["monitor"].seconds + stage.monitor_window_seconds)
        self.news = queue(self, "News", dead_letters=self.failed, visible_after=visible_after)
        self._fill(storage)
        function.add_event_source(
            sources.SqsEventSource(
                self.news,
                batch_size=1000,
                max_batching_window=Duration.seconds(stage.monitor_window_seconds),
                max_concurrency=2,  # the least that AWS allows
                report_batch_item_failures=True,
            )
        )
        scheduler.Schedule(
            self,
            "Heartbeat",
            description=f"{deployment}: the monitor looks at every model once an hour",
            schedule=scheduler.ScheduleExpression.rate(Duration.hours(1)),
            target=scheduler_targets.LambdaInvoke(
                function,
                input=scheduler.ScheduleTargetInput.from_object({"model": None}),
                dead_letter_queue=undelivered,
            ),
        )

    def figures(
        self, machines: Mapping[str, sfn.StateMachine], api: apigateway.RestApi, predict_log: logs.ILogGroup
    ) -> dict[str, tuple[cloudwatch.IMetric, str]]:
        """Return the metrics of the system itself, each of which is to be zero, with what it means if it is not."""
        minutes = Duration.minutes(5)
        metrics: dict[str, tuple[cloudwatch.IMetric, str]] = {
            "undelivered": (
                self._undelivered.metric_approximate_number_of_messages_visible(period=minutes, statistic="Maximum"),
                "an event or a call could not be delivered: see the queue Undelivered",
            ),
            "monitor-failed": (
                self.failed.metric_approximate_number_of_messages_visible(period=minutes, statistic="Maximum"),
                "the monitor failed three times: see its log and the queue Failed",
            ),
            "predictions-lost": (
                self._own("PredictionsLost", "Maximum"),
                "predictions did not come to their log: see the log of log_predictions and the queue Undelivered",
            ),
            "predict-5xx": (
                api.metric_server_error(period=minutes, statistic="Sum"),
                "the API answered with a server error: see `perennial logs predict`",
            ),
        }
        metrics |= {
            "version-withdrawn": (
                self._own("Withdrawn", "Sum"),
                "a version that stood beside the champion was found wanting and taken back: see `perennial models`",
            ),
            "stand-in": (
                self._stands_in(predict_log).metric(statistic="Sum", period=minutes),
                "the champion's files are not what was registered, and the version before it answers: see "
                "`perennial logs predict` and roll back, or train",
            ),
        }
        for verb, machine in machines.items():
            metrics[f"{verb}-failed"] = (
                machine.metric_failed(period=minutes, statistic="Sum"),
                f"a run of {verb} failed: see `perennial runs --kind {verb}`",
            )
        return metrics

    def _own(self, name: str, statistic: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=METRICS_NAMESPACE,
            metric_name=name,
            dimensions_map={"Deployment": self._deployment},
            statistic=statistic,
            period=Duration.minutes(5),
        )

    def _stands_in(self, predict_log: logs.ILogGroup) -> logs.MetricFilter:
        """Count what ``predict`` says when another version answers in the champion's place.

        A line's metric has no dimensions but what the line says, so the deployment is in the namespace.
        """
        return logs.MetricFilter(
            self,
            "StandIn",
            log_group=predict_log,
            filter_pattern=logs.FilterPattern.string_value("$.message", "=", STAND_IN),
            metric_namespace=f"{METRICS_NAMESPACE}/{self._deployment}",
            metric_name="StandIn",
        )

    def _fill(self, storage: Storage) -> None:
        events.Rule(
            self,
            "PredictionsAndLabels",
            description="Predictions and labels that were written are looked at by the monitor",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [storage.artifacts.bucket_name]},
                    "object": {"key": [{"prefix": "predictions/"}, {"prefix": "labels/"}]},
                },
            ),
            targets=[targets.SqsQueue(self.news, dead_letter_queue=self._undelivered)],
        )
