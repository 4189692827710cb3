"""Which of a deployment's alarms are on."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from rich.table import Table

from infra.deployment import Deployment
from infra.display import table
from perennial.errors import NotFoundError

_ORDER = {"ALARM": 0, "INSUFFICIENT_DATA": 1, "OK": 2}


def list_alarms(deployment: Deployment, model: str | None) -> tuple[list[dict[str, Any]], list[Table]]:
    """Return the alarms of a deployment, or of one of its models, those that are on first, as JSON and as a table.

    Raises
    ------
    NotFoundError
        There is no alarm of that model.
    """
    name = deployment.outputs["Deployment"]
    prefix = f"{name}-" if model is None else f"{name}-{model}-"
    ours = _names(deployment)
    paginator = deployment.client("cloudwatch").get_paginator("describe_alarms")
    pages = paginator.paginate(AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    found = [
        _told(alarm) for page in pages for kind in ("CompositeAlarms", "MetricAlarms") for alarm in page.get(kind, [])
    ]
    # By the stack, for another deployment's name may begin with this one's.
    alarms = [alarm for alarm in found if alarm["alarm"] in ours]
    if model is not None and not alarms:
        raise NotFoundError(f"there is no alarm of model {model!r} in {name}; see `perennial alarms`")
    alarms.sort(key=lambda alarm: (_ORDER.get(alarm["state"], 1), alarm["alarm"]))
    rows = [(each["alarm"].removeprefix(f"{name}-"), each["state"], each["since"], each["means"]) for each in alarms]
    content = [{**each, "since": each["since"].isoformat()} for each in alarms]
    return content, [table("", ["alarm", "state", "since", "means"], rows)]


def _told(alarm: dict[str, Any]) -> dict[str, Any]:
    return {
        "alarm": alarm["AlarmName"],
        "state": alarm["StateValue"],
        "since": alarm.get("StateTransitionedTimestamp", alarm["StateUpdatedTimestamp"]).astimezone(UTC),
        "means": alarm.get("AlarmDescription", ""),
        "reason": alarm.get("StateReason", ""),
    }


def _names(deployment: Deployment) -> set[str]:
    """Return the names of the stack's alarms."""
    pages = deployment.client("cloudformation").get_paginator("list_stack_resources")
    return {
        resource["PhysicalResourceId"]
        for page in pages.paginate(StackName=deployment.outputs["Deployment"])
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
    }
