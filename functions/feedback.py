"""Take in labels of earlier predictions: the Lambda handler of ``POST /models/{model}/feedback``."""

from dataclasses import asdict

from perennial.aws import runtime
from perennial.aws.api import Call, api_handler
from perennial.ports import Ports
from perennial.serving.payload import parse_labels
from perennial.steps import feedback


def answer(call: Call, ports: Ports) -> str:
    """Parse the labels and run the step."""
    labels = [feedback.LabelledPrediction(**asdict(label)) for label in parse_labels(call.body)]
    return feedback.run(feedback.Request(model=call.path["model"], labels=labels), ports).model_dump_json()


handler = api_handler(202, answer, runtime.ports)
