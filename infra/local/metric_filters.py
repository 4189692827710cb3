"""Metric filters of CloudWatch Logs: the emulator keeps them and counts nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_EQUALS = re.compile(r'^\{\s*\$\.(\w+)\s*=\s*"([^"*]*)"\s*\}$')


def matches(pattern: str, message: str) -> bool:
    """Return whether a line of JSON has the value that ``{ $.field = "value" }`` asks for.

    Raises
    ------
    LookupError
        The pattern is of another form, which is not available here.
    """
    asked = _EQUALS.match(pattern.strip())
    if asked is None:
        raise LookupError(f'the local cloud knows metric filters like {{ $.field = "value" }} only, not {pattern}')
    if asked[2] not in message:  # most lines are not worth parsing
        return False
    try:
        content: Any = json.loads(message)
    except ValueError:
        return False
    return isinstance(content, dict) and content.get(asked[1]) == asked[2]


def patch() -> None:
    """Count each line that a filter matches, behind whatever else becomes of it; patched after ``subscriptions``."""
    from ministack.services import cloudwatch, cloudwatch_logs

    fan_out = cloudwatch_logs._fanout_to_subscription_filters

    def count_too(group: str, stream: str, events: Sequence[Mapping[str, Any]]) -> None:
        fan_out(group, stream, events)
        for (of, _), each in list(cloudwatch_logs._metric_filters.items()):
            found = [event for event in events if of == group and matches(each["filterPattern"], event["message"])]
            for transformation in each["metricTransformations"] if found else ():
                for _event in found:
                    value = float(transformation.get("metricValue") or 1)
                    cloudwatch.record_metric(transformation["metricNamespace"], transformation["metricName"], value)

    cloudwatch_logs._fanout_to_subscription_filters = count_too
