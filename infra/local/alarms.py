"""CloudWatch alarms as in AWS: dimensions, M out of N datapoints, missing data, and an event at each change of state.

The emulator takes all metrics of a name for one, evaluates when data arrives and never again, and tells SNS alone.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Alarm = dict[str, Any]
EVALUATION_SECONDS = 1.0
# CloudWatch looks at more periods than it must; in its documentation five for an alarm of three.
_EXTRA_PERIODS = 2
_COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (lambda value, threshold: value > threshold, "greater than"),
    "GreaterThanOrEqualToThreshold": (lambda value, threshold: value >= threshold, "greater than or equal to"),
    "LessThanThreshold": (lambda value, threshold: value < threshold, "less than"),
    "LessThanOrEqualToThreshold": (lambda value, threshold: value <= threshold, "less than or equal to"),
}
_log = logging.getLogger("alarms")


@dataclass(frozen=True)
class Datapoint:
    """One period's value of the alarm's statistic."""

    start: float
    value: float
    samples: float


def verdict(breaching: Sequence[bool], *, periods: int, needed: int, missing: str, current: str) -> str:
    """Return the state of an alarm.

    Parameters
    ----------
    breaching : sequence of bool
        Whether each of the latest datapoints that exist breaches; at most ``periods`` of them.
    periods : int
        ``EvaluationPeriods``.
    needed : int
        ``DatapointsToAlarm``.
    missing : str
        ``TreatMissingData``: how the datapoints that do not exist count.
    current : str
        The state the alarm is in.

    Notes
    -----
    The rules are those of the two tables in "Configuring how CloudWatch alarms treat missing data" of the
    CloudWatch user guide.
    """
    count = sum(breaching)
    absent = periods - len(breaching)
    if missing == "breaching":
        return "ALARM" if count + absent >= needed else "OK"
    if missing == "notBreaching" or not absent:
        return "ALARM" if count >= needed else "OK"
    if not breaching:
        return current if missing == "ignore" else "INSUFFICIENT_DATA"
    if count < min(needed, len(breaching)):
        return "OK"
    return current if missing == "ignore" and count < needed else "ALARM"


def datapoints(alarm: Alarm, now: float) -> list[Datapoint]:
    """Return the alarm's latest datapoints, oldest first, at most ``EvaluationPeriods`` of them.

    The period that has not ended counts as soon as it has data, so that an alarm answers at once, and is not missing
    while it has none.
    """
    from ministack.services import cloudwatch

    period, periods = int(alarm.get("Period") or 60), int(alarm.get("EvaluationPeriods") or 1)
    dimensions = cloudwatch._dims_from_list(alarm.get("Dimensions") or [])
    key = (alarm.get("Namespace"), alarm.get("MetricName"), cloudwatch._dims_key(dimensions))
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    current = math.floor(now / period) * period
    first = current - (periods + _EXTRA_PERIODS) * period
    buckets: dict[float, list[Any]] = {}
    for point in list(cloudwatch._metrics.get(key) or ()):
        if first <= point["Timestamp"] < current + period and alarm.get("Unit") in (None, "", point.get("Unit")):
            buckets.setdefault(math.floor(point["Timestamp"] / period) * period, []).append(point)
    found = []
    for start, points in sorted(buckets.items()):
        stats = cloudwatch._calc_stats(points)
        value = cloudwatch._stat_value(stats, statistic, points)
        if stats and value is not None:
            found.append(Datapoint(start, float(value), stats["SampleCount"]))
    return found[-periods:]


def evaluate(alarm: Alarm, now: float) -> None:
    """Bring an alarm to the state its metric asks for."""
    comparison = _COMPARISONS.get(str(alarm.get("ComparisonOperator")))
    if not alarm.get("MetricName") or comparison is None:
        return
    breaches, words = comparison
    periods = int(alarm.get("EvaluationPeriods") or 1)
    needed = int(alarm.get("DatapointsToAlarm") or periods)
    threshold, found = float(alarm.get("Threshold") or 0), datapoints(alarm, now)
    breaching = [breaches(point.value, threshold) for point in found]
    treatment, old = alarm.get("TreatMissingData") or "missing", alarm["StateValue"]
    new = verdict(breaching, periods=periods, needed=needed, missing=treatment, current=old)
    if new == old:
        return
    if found:
        shown = [point for point, breach in zip(found, breaching, strict=True) if breach == (new == "ALARM")] or found
        values = ", ".join(f"{point.value} ({_short(point.start)})" for point in shown)
        least = needed if new == "ALARM" else periods - needed + 1
        reason = (
            f"Threshold Crossed: {len(shown)} out of the last {periods} datapoints [{values}] "
            f"{'was' if len(shown) == 1 else 'were'} {'' if new == 'ALARM' else 'not '}{words} "
            f"the threshold ({threshold}) "
            f"(minimum {least} datapoint{'' if least == 1 else 's'} for {old} -> {new} transition)."
        )
    elif new == "INSUFFICIENT_DATA":
        reason = f"Insufficient Data: {periods} datapoint{' was' if periods == 1 else 's were'} unknown."
    else:
        kind = "Breaching" if treatment == "breaching" else "NonBreaching"
        reason = (
            f"Threshold Crossed: no datapoints were received for {periods} period{'' if periods == 1 else 's'} "
            f"and {periods} missing datapoint{' was' if periods == 1 else 's were'} treated as [{kind}]."
        )
    _change(alarm, new, reason, _reason_data(alarm, found, threshold, now))


def _reason_data(alarm: Alarm, found: Sequence[Datapoint], threshold: float, now: float) -> str:
    return json.dumps(
        {
            "version": "1.0",
            "queryDate": _stamp(now),
            **({"startDate": _stamp(found[0].start)} if found else {}),
            **({"unit": alarm["Unit"]} if alarm.get("Unit") else {}),
            "statistic": alarm.get("ExtendedStatistic") or alarm.get("Statistic"),
            "period": alarm.get("Period"),
            "recentDatapoints": [point.value for point in found],
            "threshold": threshold,
            "evaluatedDatapoints": [
                {"timestamp": _stamp(point.start), "sampleCount": point.samples, "value": point.value}
                for point in reversed(found)
            ],
        },
        separators=(",", ":"),
    )


def _change(alarm: Alarm, new: str, reason: str, reason_data: str) -> None:
    from ministack.services import cloudwatch

    old = alarm["StateValue"]
    alarm.update(
        StateValue=new, StateReason=reason, StateReasonData=reason_data, StateUpdatedTimestamp=int(time.time())
    )
    cloudwatch._record_history(alarm["AlarmName"], old, new, reason)
    cloudwatch._dispatch_alarm_actions(alarm, old, new, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def state_change(alarm: Alarm, previous: dict[str, Any]) -> dict[str, Any]:
    """Return the entry for the default event bus that tells of an alarm's new state, in CloudWatch's own form."""
    state = {"value": alarm["StateValue"], "reason": alarm["StateReason"], "timestamp": _stamp(time.time())}
    if alarm.get("StateReasonData"):
        state["reasonData"] = alarm["StateReasonData"]
    if alarm.get("AlarmRule"):
        configuration: dict[str, Any] = {"alarmRule": alarm["AlarmRule"]}
    else:
        metric = {
            "namespace": alarm.get("Namespace"),
            "name": alarm.get("MetricName"),
            "dimensions": {pair["Name"]: pair["Value"] for pair in alarm.get("Dimensions") or []},
        }
        statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic")
        measured = {"metric": metric, "period": alarm.get("Period"), "stat": statistic}
        # Stable for one alarm, as CloudWatch's is.
        identifier = str(uuid.uuid5(uuid.NAMESPACE_URL, alarm["AlarmArn"]))
        configuration = {"metrics": [{"id": identifier, "metricStat": measured, "returnData": True}]}
    if alarm.get("AlarmDescription"):
        configuration["description"] = alarm["AlarmDescription"]
    return {
        "Source": "aws.cloudwatch",
        "DetailType": "CloudWatch Alarm State Change",
        "Resources": [alarm["AlarmArn"]],
        "Detail": json.dumps(
            {
                "alarmName": alarm["AlarmName"],
                "state": state,
                "previousState": previous,
                "configuration": configuration,
            }
        ),
    }


def patch() -> None:
    """Install the evaluation, the events and the timer."""
    from ministack.core.responses import request_scope
    from ministack.services import cloudwatch, eventbridge

    notify = cloudwatch._dispatch_alarm_actions
    lock = threading.RLock()
    states: dict[str, dict[str, Any]] = {}  # the last state told, which the next event names as the previous one

    def dispatch(alarm: Alarm, old: str, new: str, reason: str) -> None:
        first = {"value": old, "reason": "Unchecked: Initial alarm creation", "timestamp": _stamp(time.time())}
        entry = state_change(alarm, states.get(alarm["AlarmArn"], first))
        states[alarm["AlarmArn"]] = json.loads(entry["Detail"])["state"]
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
        notify(alarm, old, new, reason)

    def evaluate_one(alarm: Alarm) -> None:
        with lock:
            evaluate(alarm, time.time())

    def evaluate_everywhere() -> None:
        while True:
            time.sleep(EVALUATION_SECONDS)
            for (account, region, _), alarm in cloudwatch._alarms.all_items():
                with request_scope(account, region):
                    try:
                        evaluate_one(alarm)
                    except (LookupError, TypeError, ValueError, RuntimeError):  # one bad alarm must not end the others
                        _log.exception("alarm %s could not be evaluated", alarm.get("AlarmName"))

    cloudwatch._dispatch_alarm_actions = dispatch
    cloudwatch._evaluate_alarm = evaluate_one
    threading.Thread(target=evaluate_everywhere, daemon=True, name="alarms").start()


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


def _short(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d/%m/%y %H:%M:%S")
