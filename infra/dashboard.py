"""The deployment's dashboard: every figure that is published, and every alarm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.access import METRICS_NAMESPACE
from infra.alarms import LIMIT, Watched
from perennial.definitions import SIGNALS
from perennial.serving.log_lines import MARKER

QUALITY = ("PerformanceRatio", "EstimatedPerformanceRatio")
ARRIVALS = ("Volume", "Freshness")
MOVES = tuple(signal.metric for signal in SIGNALS.values() if signal.metric not in (*QUALITY, *ARRIVALS))
UPLOADS = ("Uploads", "UploadsFailed", "Quarantined")
_LIMIT = {"horizontal": [{"label": "the limit", "value": LIMIT}]}


class Dashboard(Construct):
    """One page of a deployment: graphs of each model, of the API and the runs, of each dataset; and the alarms."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        deployment: str,
        models: Mapping[str, Watched],
        datasets: Mapping[str, Sequence[cloudwatch.Alarm]],
        system: Sequence[cloudwatch.Alarm],
        machines: Mapping[str, sfn.StateMachine],
        predict_log: str,
    ) -> None:
        super().__init__(scope, id)
        self._deployment = deployment
        self._region = Stack.of(self).region
        alarms = [
            *(each for watched in models.values() for each in watched.all),
            *(each for of in datasets.values() for each in of),
            *system,
        ]
        widgets = [
            *(widget for model in models for widget in self._of_model(model, predict_log)),
            *self._of_system(machines),
            *(self._of_dataset(dataset) for dataset in datasets),
            {
                "type": "alarm",
                "width": 24,
                "height": 6,
                "properties": {"title": "Alarms", "alarms": [alarm.alarm_arn for alarm in alarms]},
            },
        ]
        cloudwatch.CfnDashboard(
            self,
            "Dashboard",
            dashboard_name=deployment,
            dashboard_body=Stack.of(self).to_json_string({"widgets": widgets}),
        )

    def _of_model(self, model: str, predict_log: str) -> list[dict[str, Any]]:
        def figures(names: Sequence[str]) -> list[list[Any]]:
            return [[METRICS_NAMESPACE, name, "Deployment", self._deployment, "Model", model] for name in names]

        return [
            self._graph(f"{model}: what moved (1 is the limit)", figures(MOVES), "Maximum", _LIMIT),
            self._graph(
                f"{model}: quality, measured and estimated (1 is the limit)", figures(QUALITY), "Maximum", _LIMIT
            ),
            self._graph(f"{model}: calls (1 is the limit)", figures(ARRIVALS), "Maximum", _LIMIT),
            self._by_version(model, predict_log),
        ]

    def _by_version(self, model: str, log: str) -> dict[str, Any]:
        """Return requests and milliseconds by version and route: of the champion, of a canary, of a shadow."""
        query = (
            f"SOURCE '{log}' | filter {MARKER} = 1 and model = '{model}' "
            "| stats count(*) as requests, pct(milliseconds, 50) as p50, pct(milliseconds, 99) as p99 "
            "by version, route, bin(5m)"
        )
        properties = {
            "title": f"{model}: requests and milliseconds by version and route",
            "query": query,
            "region": self._region,
            "view": "table",
        }
        return {"type": "log", "width": 12, "height": 6, "properties": properties}

    def _of_system(self, machines: Mapping[str, sfn.StateMachine]) -> list[dict[str, Any]]:
        api = self._deployment
        runs = [
            ["AWS/States", f"Executions{end}", "StateMachineArn", machine.state_machine_arn, {"label": f"{verb} {end}"}]
            for verb, machine in machines.items()
            for end in ("Succeeded", "Failed")
        ]
        latency = [
            ["AWS/ApiGateway", "Latency", "ApiName", api, {"stat": stat, "label": stat}] for stat in ("p50", "p99")
        ]
        calls = [["AWS/ApiGateway", name, "ApiName", api] for name in ("Count", "4XXError", "5XXError")]
        faults = [
            [METRICS_NAMESPACE, "PredictionsLost", "Deployment", self._deployment],
            [METRICS_NAMESPACE, "Withdrawn", "Deployment", self._deployment],
            [f"{METRICS_NAMESPACE}/{self._deployment}", "StandIn"],
        ]
        return [
            self._graph("API: latency (ms)", latency, "p50"),
            self._graph("API: calls and errors", calls, "Sum"),
            self._graph("Predictions lost, versions withdrawn, stand-ins", faults, "Maximum"),
            self._graph("Runs", runs, "Sum"),
        ]

    def _of_dataset(self, dataset: str) -> dict[str, Any]:
        uploads = [
            [METRICS_NAMESPACE, name, "Deployment", self._deployment, "Dataset", dataset, {"stat": stat}]
            for name, stat in zip(UPLOADS, ("Sum", "Sum", "Maximum"), strict=True)
        ]
        return self._graph(f"{dataset}: uploads, and the share quarantined (1 is the limit)", uploads, "Sum")

    def _graph(
        self, title: str, metrics: list[list[Any]], statistic: str, annotations: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        properties = {
            "title": title,
            "metrics": metrics,
            "region": self._region,
            "stat": statistic,
            "period": 60,
            "view": "timeSeries",
            **({"annotations": annotations} if annotations else {}),
        }
        return {"type": "metric", "width": 12, "height": 6, "properties": properties}
