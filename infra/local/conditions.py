"""The condition key ``cloudwatch:namespace``, which the emulator does not read from a request.

PutMetricData knows no resources: a role is bound by the namespace that it may write to.
"""

from __future__ import annotations

import json
from typing import Any


def patch() -> None:
    """Give IAM's evaluation the namespace of a PutMetricData."""
    from ministack.core import iam_actions

    context_of = iam_actions.request_tag_context

    def with_namespace(service: str, iam_action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        context: dict[str, Any] = context_of(service, iam_action, body, params)
        if iam_action == "cloudwatch:PutMetricData":
            context["cloudwatch:namespace"] = namespace(body, params)
        return context

    iam_actions.request_tag_context = with_namespace


def namespace(body: bytes, params: dict[str, Any]) -> str:
    """Return the namespace that a PutMetricData names: in its JSON, or in the parameters of the query protocol."""
    if body[:1] == b"{":
        return str(json.loads(body).get("Namespace", ""))
    value = params.get("Namespace", "")
    return str(value[0] if isinstance(value, list) else value)
