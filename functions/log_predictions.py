"""Put predictions into their log: the Lambda handler of the subscription to the log group of ``predict``."""

from typing import Any

from perennial.aws.handler import step_handler
from perennial.aws.log_events import messages_of
from perennial.ports import Ports
from perennial.steps import log_predictions

put = step_handler(log_predictions.Request, log_predictions.run)


def handler(event: dict[str, Any], context: object, ports: Ports | None = None) -> dict[str, Any]:
    """Unpack what CloudWatch Logs sends and run the step."""
    return put({"lines": messages_of(event)}, context, ports)
