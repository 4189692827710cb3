"""Tell what is registered and logged: the Lambda handler of every ``GET``, and of paths that are not there."""

from collections.abc import Callable

from pydantic import BaseModel

from perennial.aws import runtime
from perennial.aws.api import Call, api_handler
from perennial.openapi import served
from perennial.ports import Ports
from perennial.serving.routes import operation_of
from perennial.settings import Settings
from perennial.steps import describe
from perennial.steps import describe_tensors as tensors
from perennial.steps.describe_prediction import prediction
from perennial.steps.lineage import described

READS: dict[str, Callable[[Call, Ports], BaseModel]] = {
    "server": lambda call, ports: tensors.server(ports),
    "live": lambda call, ports: tensors.Live(live=True),
    "ready": lambda call, ports: tensors.ready(ports),
    "tensors": lambda call, ports: tensors.tensors(ports, call.path["model"], call.version),
    "model_ready": lambda call, ports: tensors.model_ready(ports, call.path["model"], call.version),
    "models": lambda call, ports: describe.models(ports, describe.Page.of(call.query)),
    "model": lambda call, ports: describe.model(ports, call.path["model"], describe.Page.of(call.query)),
    "version": lambda call, ports: describe.version(ports, call.path["model"], call.version),
    "prediction": lambda call, ports: prediction(ports, call.path["prediction_id"], call.query.get("model")),
    "run": lambda call, ports: describe.run(ports, call.path["run_id"]),
    "lineage": lambda call, ports: described(ports, call.path["thing"], call.query),
    "document": lambda call, ports: served(ports, Settings.from_env().auth, call.stage_url, call.path.get("model")),
}


def answer(call: Call, ports: Ports) -> str:
    """Find out what is asked for and tell it."""
    told = READS[operation_of(call.method, call.resource, call.address, call.query).read](call, ports)
    return told.model_dump_json()


handler = api_handler(200, answer, runtime.ports)
