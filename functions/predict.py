"""Answer with predictions: the Lambda handler of ``POST /models/{model}[/versions/{version}]/predict``."""

import json
from dataclasses import asdict
from weakref import WeakKeyDictionary

from perennial.aws.api import Call, api_handler
from perennial.aws.lean import runtime
from perennial.serving.payload import parse_instances
from perennial.serving.ports import Registry, ServingPorts
from perennial.serving.predictors import Predictors
from perennial.steps import predict

_kept: WeakKeyDictionary[Registry, Predictors] = WeakKeyDictionary()


def predictors(catalog: Registry) -> Predictors:
    """Return what is kept between invocations: versions for good, pointers for as long as the settings say."""
    if catalog not in _kept:
        _kept[catalog] = Predictors(runtime.pointer_ttl())
    return _kept[catalog]


def answer(call: Call, ports: ServingPorts) -> str:
    """Parse the instances and run the step."""
    at = ports.clock.now()
    request = predict.Request(
        model=call.path["model"],
        version=call.version,
        instances=parse_instances(call.body),
        request_id=runtime.new_request_id(at),
        at=at,
        route_key=call.header("X-Route-Key"),
    )
    return json.dumps(asdict(predict.run(request, ports, predictors(ports.catalog))))


handler = api_handler(200, answer, runtime.serving_ports)
