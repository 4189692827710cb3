"""The alarms: of each model's signals, of each dataset's uploads, and of the system itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.access import METRICS_NAMESPACE
from perennial.definitions import SIGNALS, Dataset, Model, SignalName
from perennial.definitions.alarms import attention_name, signal_alarm_name

LIMIT = 1.0
"""The threshold of what is published as a multiple of its own limit."""
_NOT_BREACHING = cloudwatch.TreatMissingData.NOT_BREACHING
_BREACHING = cloudwatch.TreatMissingData.BREACHING


@dataclass(frozen=True)
class Watched:
    """What the alarms of one model are."""

    signals: Mapping[SignalName, cloudwatch.Alarm]
    attention: cloudwatch.CompositeAlarm | None
    """On while any of them is; None of a model whose signals have no alarms."""

    @property
    def all(self) -> list[cloudwatch.IAlarm]:
        """Every one of them, the one of all first."""
        return [*([self.attention] if self.attention else []), *self.signals.values()]


class Alarms(Construct):
    """Every alarm of a deployment; what they start is said elsewhere."""

    def __init__(self, scope: Construct, id: str, *, deployment: str) -> None:
        super().__init__(scope, id)
        self._deployment = deployment

    def of_model(self, model: Model) -> Watched:
        """Add the alarms of a model's signals, and the one that is on while any of them is."""
        signals = {name: self._signal(model, name) for name in model.alarms.on}
        if not signals:
            return Watched({}, None)
        on = [cloudwatch.AlarmRule.from_alarm(each, cloudwatch.AlarmState.ALARM) for each in signals.values()]
        attention = cloudwatch.CompositeAlarm(
            self,
            f"{model.name} attention",
            composite_alarm_name=attention_name(self._deployment, model.name),
            alarm_description=(
                f"{model.name} needs attention: its data, its predictions or their quality are not as they were. "
                f"See `perennial alarms {model.name}` and `perennial monitor {model.name}`."
            ),
            alarm_rule=cloudwatch.AlarmRule.any_of(*on),
        )
        return Watched(signals, attention)

    def of_dataset(self, dataset: Dataset) -> list[cloudwatch.Alarm]:
        """Add the alarms of a dataset's uploads: refused, much of one quarantined, none for too long."""
        dimensions = {"Deployment": self._deployment, "Dataset": dataset.name}
        see = f"See `perennial runs --kind ingest` and the upload's report, `perennial snapshots {dataset.name}`."

        def alarm(name: str, metric: str, statistic: str, description: str, threshold: float = 0) -> cloudwatch.Alarm:
            return self._alarm(
                f"{dataset.name} {name}",
                name=f"{self._deployment}-{dataset.name}-{name}",
                description=f"{dataset.name}: {description}. {see}",
                metric=_metric(metric, dimensions, statistic, Duration.minutes(1)),
                threshold=threshold,
            )

        alarms = [alarm("uploads-failed", "UploadsFailed", "Sum", "an upload was refused, or could not be taken in")]
        if dataset.expected.quarantined is not None:
            share = f"more than {dataset.expected.quarantined:.1%} of an upload's rows went to quarantine"
            alarms.append(alarm("quarantined", "Quarantined", "Maximum", share, LIMIT))
        if dataset.expected.every is not None:
            alarms.append(self._late(dataset, dataset.expected.every, dimensions))
        return alarms

    def of_system(self, metrics: Mapping[str, tuple[cloudwatch.IMetric, str]]) -> list[cloudwatch.Alarm]:
        """Add an alarm for each metric of the system itself, any of which is to be zero; it comes with its words."""
        return [
            self._alarm(name, name=f"{self._deployment}-{name}", description=text, metric=metric, threshold=0)
            for name, (metric, text) in metrics.items()
        ]

    def _signal(self, model: Model, name: SignalName) -> cloudwatch.Alarm:
        signal, alarms = SIGNALS[name], model.alarms
        needed, periods = alarms.datapoints_of(name)
        silent = alarms.silence_is_an_alarm(name)
        return self._alarm(
            f"{model.name} {signal.metric}",
            name=signal_alarm_name(self._deployment, model.name, name),
            description=(
                f"{model.name}: {signal.means} ({signal.metric} is above its limit, which is 1"
                f"{', or was not published at all' if silent else ''}). "
                f"See `perennial monitor {model.name}`: it says what moved, and since when."
            ),
            metric=_metric(
                signal.metric,
                {"Deployment": self._deployment, "Model": model.name},
                "Maximum",
                Duration.seconds(int(alarms.period_of(name).total_seconds())),
            ),
            threshold=LIMIT,
            needed=needed,
            periods=periods,
            missing=_BREACHING if silent else _NOT_BREACHING,
        )

    def _late(self, dataset: Dataset, every: timedelta, dimensions: Mapping[str, str]) -> cloudwatch.Alarm:
        """Add an alarm that is on when no upload was taken in for so long: a whole number of hours, rounded up."""
        hours = -(-int(every.total_seconds()) // 3600)
        return self._alarm(
            f"{dataset.name} late",
            name=f"{self._deployment}-{dataset.name}-late",
            description=(
                f"{dataset.name}: no upload was taken in for {every} (expected.every). "
                f"Ask whoever sends them; see `perennial runs --kind ingest`."
            ),
            metric=_metric("Uploads", dimensions, "Sum", Duration.hours(1)),
            threshold=1,
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            needed=hours,
            periods=hours,
            missing=_BREACHING,
        )

    def _alarm(
        self,
        id: str,
        *,
        name: str,
        description: str,
        metric: cloudwatch.IMetric,
        threshold: float,
        comparison: cloudwatch.ComparisonOperator = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
        needed: int = 1,
        periods: int = 1,
        missing: cloudwatch.TreatMissingData = _NOT_BREACHING,
    ) -> cloudwatch.Alarm:
        return cloudwatch.Alarm(
            self,
            id,
            alarm_name=name,
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            comparison_operator=comparison,
            evaluation_periods=periods,
            datapoints_to_alarm=needed,
            treat_missing_data=missing,
        )


def training_alarms(model: Model, watched: Watched) -> Sequence[cloudwatch.Alarm]:
    """Return the alarms of a model that ask for a training run."""
    return [watched.signals[name] for name in model.training_alarms]


def _metric(name: str, dimensions: Mapping[str, str], statistic: str, period: Duration) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=METRICS_NAMESPACE,
        metric_name=name,
        dimensions_map=dict(dimensions),
        statistic=statistic,
        period=period,
    )
