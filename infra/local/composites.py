"""Composite alarms for CloudFormation: the emulator has them in CloudWatch, but templates may not name them."""

from __future__ import annotations

import json
from typing import Any

KIND = "AWS::CloudWatch::CompositeAlarm"


def patch() -> None:
    """Let templates make composite alarms."""
    from ministack.services.cloudformation import provisioners

    provisioners._RESOURCE_HANDLERS[KIND] = {"create": _create, "update": _update, "delete": _delete}


def _create(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
    from ministack.services import cloudwatch
    from ministack.services.cloudformation import provisioners

    name = properties.get("AlarmName") or provisioners._physical_name(stack, logical_id, max_len=255)
    status, _, body = cloudwatch._put_composite_alarm({}, {**properties, "AlarmName": name}, False, True)
    if status != 200:
        raise ValueError(f"{KIND} {name}: {json.loads(body).get('message', body)}")
    return name, {"Arn": cloudwatch._composite_alarms[name]["AlarmArn"]}


def _update(
    physical_id: str, before: dict[str, Any], properties: dict[str, Any], stack: str
) -> tuple[str, dict[str, str]]:
    return _create("", {**properties, "AlarmName": properties.get("AlarmName") or physical_id}, stack)


def _delete(physical_id: str, _properties: dict[str, Any]) -> None:
    from ministack.services import cloudwatch

    cloudwatch._composite_alarms.pop(physical_id, None)
    cloudwatch._composite_triggers.pop(physical_id, None)
