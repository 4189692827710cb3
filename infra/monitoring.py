"""The monitor and what looks after it: its queue, its clock, the alarms and the dashboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.access import METRICS_NAMESPACE
from infra.functions import SHAPES
from infra.stage import Stage
from infra.storage import Storage
from perennial.definitions import Model

ATTEMPTS = 3


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
    """Predictions and labels → queue → ``monitor`` → metrics → alarms."""

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

    def alarms(self, model: Model) -> list[cloudwatch.Alarm]:
        """Return new alarms of a model, one for each threshold of its definition."""
        thresholds = {
            "FeatureDrift": model.monitor.feature_drift,
            "PredictionDrift": model.monitor.prediction_drift,
            "PerformanceRatio": model.monitor.performance_ratio,
        }
        dimensions = {"Deployment": self._deployment, "Model": model.name}
        return [
            _alarm(
                self,
                f"{model.name} {name}",
                name=f"{self._deployment}-{model.name}-{name}",
                description=f"{model.name}: {name} is above {threshold:g}",
                metric=cloudwatch.Metric(
                    namespace=METRICS_NAMESPACE,
                    metric_name=name,
                    dimensions_map=dimensions,
                    statistic="Maximum",
                    period=Duration.minutes(1),
                ),
                threshold=threshold,
            )
            for name, threshold in thresholds.items()
        ]

    def watch(self, machines: Mapping[str, sfn.StateMachine], api: apigateway.RestApi) -> None:
        """Add the alarms of the system itself; they are shown on the dashboard and start nothing."""
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
                cloudwatch.Metric(
                    namespace=METRICS_NAMESPACE,
                    metric_name="PredictionsLost",
                    dimensions_map={"Deployment": self._deployment},
                    statistic="Maximum",
                    period=Duration.minutes(5),
                ),
                "predictions did not come to their log: see the log of log_predictions and the queue Undelivered",
            ),
            "predict-5xx": (
                api.metric_server_error(period=minutes, statistic="Sum"),
                "the API answered with a server error",
            ),
        }
        for verb, machine in machines.items():
            metrics[f"{verb}-failed"] = (
                machine.metric_failed(period=minutes, statistic="Sum"),
                f"a run of {verb} failed",
            )
        self.system_alarms = [
            _alarm(self, name, name=f"{self._deployment}-{name}", description=text, metric=metric, threshold=0)
            for name, (metric, text) in metrics.items()
        ]

    def dashboard(
        self,
        models: Sequence[Model],
        alarms: Sequence[cloudwatch.Alarm],
        machines: Mapping[str, sfn.StateMachine],
        api: str,
    ) -> None:
        """Add the deployment's dashboard."""
        region = Stack.of(self).region
        runs = [
            ["AWS/States", f"Executions{end}", "StateMachineArn", machine.state_machine_arn, {"label": f"{verb} {end}"}]
            for verb, machine in machines.items()
            for end in ("Succeeded", "Failed")
        ]
        latency = [
            ["AWS/ApiGateway", "Latency", "ApiName", api, {"stat": stat, "label": stat}] for stat in ("p50", "p99")
        ]
        calls = [["AWS/ApiGateway", name, "ApiName", api] for name in ("Count", "4XXError", "5XXError")]
        widgets = [
            *(
                _graph(f"{model.name}: drift and performance", self._figures(model), region, "Maximum")
                for model in models
            ),
            _graph("API: latency (ms)", latency, region, "p50"),
            _graph("API: calls and errors", calls, region, "Sum"),
            _graph("Runs", runs, region, "Sum"),
            {
                "type": "alarm",
                "width": 12,
                "height": 6,
                "properties": {"title": "Alarms", "alarms": [a.alarm_arn for a in [*alarms, *self.system_alarms]]},
            },
        ]
        cloudwatch.CfnDashboard(
            self,
            "Dashboard",
            dashboard_name=self._deployment,
            dashboard_body=Stack.of(self).to_json_string({"widgets": widgets}),
        )

    def _figures(self, model: Model) -> list[list[Any]]:
        return [
            [METRICS_NAMESPACE, name, "Deployment", self._deployment, "Model", model.name]
            for name in ("FeatureDrift", "PredictionDrift", "PerformanceRatio")
        ]

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


def _alarm(
    scope: Construct, id: str, *, name: str, description: str, metric: cloudwatch.IMetric, threshold: float
) -> cloudwatch.Alarm:
    return cloudwatch.Alarm(
        scope,
        id,
        alarm_name=name,
        alarm_description=description,
        metric=metric,
        threshold=threshold,
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
        evaluation_periods=1,
        datapoints_to_alarm=1,
        treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
    )


def _graph(title: str, metrics: list[list[Any]], region: str, statistic: str) -> dict[str, Any]:
    properties = {
        "title": title,
        "metrics": metrics,
        "region": region,
        "stat": statistic,
        "period": 60,
        "view": "timeSeries",
    }
    return {"type": "metric", "width": 12, "height": 6, "properties": properties}
