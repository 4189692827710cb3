"""Answer with predictions: the Lambda handler of ``POST /models/…/predict`` and ``POST /v2/models/…/infer``."""

from weakref import WeakKeyDictionary

from perennial.aws.api import Call, api_handler
from perennial.aws.lean import runtime
from perennial.serving.answers import render
from perennial.serving.bodies import read_body
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
    """Parse the rows, run the step and answer in the shape that was asked in."""
    asked = read_body(call.body, call.resource)
    at = ports.clock.now()
    request = predict.Request(
        model=call.path["model"],
        version=call.version,
        instances=asked.rows,
        request_id=runtime.new_request_id(at),
        at=at,
        route_key=call.header("X-Route-Key"),
        explain=asked.explain,
        place=asked.place,
    )
    return render(predict.run(request, ports, predictors(ports.catalog)), asked)


handler = api_handler(200, answer, runtime.serving_ports)
