"""The alarms, what they start, and the dashboard that shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from perennial.definitions import SIGNALS, SignalName
from perennial.definitions.alarms import ARRIVALS
from tests.infra.synthesised import Synthesise, Synthesised

ON = [name for name in SIGNALS if name not in (*ARRIVALS, "multivariate")]
"""What the example has alarms of: it may rest, and its features settle as months come in."""
WATCHED = {SIGNALS[name].metric for name in ON}
TRAINING = {SIGNALS[name].metric for name in ON if SIGNALS[name].trains}


def alarms_about(stack: Synthesised, kind: str, name: str) -> dict[str, dict[str, Any]]:
    """Return the alarms of a model's or dataset's metrics, by metric."""
    wanted = [{"Name": "Deployment", "Value": stack.name}, {"Name": kind, "Value": name}]
    found = stack.properties("AWS::CloudWatch::Alarm").values()
    return {
        alarm["MetricName"]: alarm
        for alarm in found
        if sorted(alarm.get("Dimensions", []), key=lambda pair: str(pair["Name"] != "Deployment")) == wanted
    }


def trains(stack: Synthesised) -> set[str]:
    """Return the metrics whose alarms may start a training run."""
    rules = stack.properties("AWS::Events::Rule").values()
    found = [rule for rule in rules if '"kind":"alarm"' in json.dumps(rule.get("Targets", [])).replace("\\", "")]
    names = {id: found["MetricName"] for id, found in stack.properties("AWS::CloudWatch::Alarm").items()}
    for rule in found:
        assert rule["EventPattern"]["detail"] == {"state": {"value": ["ALARM"]}}
    return {names[each["Fn::GetAtt"][0]] for rule in found for each in rule["EventPattern"]["resources"]}


def test_each_signal_of_a_model_is_an_alarm_above_its_limit(stack: Synthesised) -> None:
    alarms = alarms_about(stack, "Model", "taxi_fare")
    assert set(alarms) == WATCHED
    for alarm in alarms.values():
        assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "GreaterThanThreshold")
        assert (alarm["Namespace"], alarm["Statistic"], alarm["Period"]) == ("Perennial", "Maximum", 60)
        assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (1, 1)
        assert alarm["TreatMissingData"] == "notBreaching"
        assert "perennial monitor taxi_fare" in alarm["AlarmDescription"]


def test_the_alarms_that_training_may_mend_start_it(stack: Synthesised) -> None:
    assert trains(stack) == TRAINING


def test_a_definition_chooses_signals_datapoints_periods_and_what_trains(
    synthesise: Synthesise, definitions_folder: Path
) -> None:
    path = definitions_folder / "models" / "house_price.toml"
    path.write_text(
        path.read_text().replace("[retrain]", '[retrain]\non_alarm = ["performance"]')
        + '[alarms]\noff = ["multivariate"]\ndatapoints = "2 of 3"\nperiod = "5 minutes"\ncalled_every = "3 hours"\n'
        '[alarms.signals.performance]\ndatapoints = "1 of 1"\n'
    )
    houses = synthesise(stage="dev", definitions=str(definitions_folder), name="houses")
    alarms = alarms_about(houses, "Model", "house_price")
    assert set(alarms) == {signal.metric for signal in SIGNALS.values()} - {"MultivariateDrift"}
    assert {name: (each["DatapointsToAlarm"], each["EvaluationPeriods"]) for name, each in alarms.items()} == {
        **dict.fromkeys(alarms, (2, 3)),
        "PerformanceRatio": (1, 1),
    }
    silent = {name for name, each in alarms.items() if each["TreatMissingData"] == "breaching"}
    assert silent == {"Volume", "Freshness"}
    assert {name: each["Period"] for name, each in alarms.items()} == {
        **dict.fromkeys(alarms, 300),
        **dict.fromkeys(silent, 3 * 3600),
    }
    assert trains(houses) == {"PerformanceRatio"}


def test_one_alarm_is_on_while_any_of_a_models_is(stack: Synthesised) -> None:
    (attention,) = stack.properties("AWS::CloudWatch::CompositeAlarm").values()
    assert attention["AlarmName"] == f"{stack.name}-taxi_fare-needs-attention"
    parts = attention["AlarmRule"]["Fn::Join"][1]
    children = {part["Fn::GetAtt"][0] for part in parts if isinstance(part, dict)}
    names = {id: found["MetricName"] for id, found in stack.properties("AWS::CloudWatch::Alarm").items()}
    assert {names[child] for child in children} == WATCHED
    words = "".join(part for part in parts if isinstance(part, str))
    assert (words.count("ALARM("), words.count(" OR "), "AND" in words) == (len(WATCHED), len(WATCHED) - 1, False)


def test_uploads_that_are_refused_or_quarantined_are_alarms_and_late_ones_where_some_are_expected(
    synthesise: Synthesise, definitions_folder: Path, dev: Synthesised
) -> None:
    assert set(alarms_about(dev, "Dataset", "taxi_trips")) == {"UploadsFailed", "Quarantined"}
    path = definitions_folder / "datasets" / "houses.toml"
    path.write_text(path.read_text() + '[expected]\nevery = "36 hours"\n')
    houses = synthesise(stage="dev", definitions=str(definitions_folder), name="houses")
    alarms = alarms_about(houses, "Dataset", "houses")
    assert set(alarms) == {"Uploads", "UploadsFailed", "Quarantined"}
    late = alarms["Uploads"]
    assert (late["ComparisonOperator"], late["Threshold"], late["Statistic"]) == ("LessThanThreshold", 1, "Sum")
    assert (late["Period"], late["EvaluationPeriods"], late["DatapointsToAlarm"]) == (3600, 36, 36)
    assert late["TreatMissingData"] == "breaching"
    assert (alarms["Quarantined"]["Threshold"], alarms["UploadsFailed"]["Threshold"]) == (1, 0)


def dashboard(stack: Synthesised) -> dict[str, Any]:
    """Return the dashboard's JSON; a reference in it becomes a text."""
    (found,) = stack.properties("AWS::CloudWatch::Dashboard").values()
    parts = found["DashboardBody"]["Fn::Join"][1]
    texts = [part if isinstance(part, str) else json.dumps(part).replace('"', "'") for part in parts]
    content: dict[str, Any] = json.loads("".join(texts))
    return content


def test_the_dashboard_shows_every_metric_that_has_an_alarm_and_every_alarm(stack: Synthesised) -> None:
    widgets = dashboard(stack)["widgets"]
    shown = {
        (line[0], line[1], *map(str, line[2:6]))
        for widget in widgets
        if widget["type"] == "metric"
        for line in widget["properties"]["metrics"]
    }
    for alarm in stack.properties("AWS::CloudWatch::Alarm").values():
        if alarm["Namespace"] != "Perennial":
            continue
        pairs = sorted(alarm["Dimensions"], key=lambda pair: str(pair["Name"] != "Deployment"))
        line = (alarm["Namespace"], alarm["MetricName"], *(text for pair in pairs for text in pair.values()))
        assert any(one[: len(line)] == line for one in shown), line
    (listed,) = [widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm"]
    kinds = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
    assert len(listed) == len(set(listed)) == sum(len(stack.resources(kind)) for kind in kinds)
    assert len(listed) <= 100, "what one widget may list"


def test_the_dashboard_tells_requests_and_latency_by_version_and_route(stack: Synthesised) -> None:
    (query,) = [widget["properties"]["query"] for widget in dashboard(stack)["widgets"] if widget["type"] == "log"]
    assert "by version, route" in query
    assert "model = 'taxi_fare'" in query
    assert "milliseconds" in query


@pytest.mark.parametrize("signal", ON)
def test_an_alarm_says_what_it_means_and_what_to_do(signal: SignalName, dev: Synthesised) -> None:
    means = SIGNALS[signal]
    description = alarms_about(dev, "Model", "taxi_fare")[means.metric]["AlarmDescription"]
    assert means.means in description
    assert len(description) <= 1024, "what CloudWatch keeps"
