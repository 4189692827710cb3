"""Answer with predictions: the Lambda handler of ``POST /models/{model}[/versions/{version}]/predict``."""

import os
from datetime import timedelta
from weakref import WeakKeyDictionary

from perennial.aws.api import Call, api_handler
from perennial.ports import Catalog, Ports
from perennial.serving.ids import RANDOM_BYTES, make_request_id
from perennial.serving.payload import parse_instances
from perennial.settings import Settings
from perennial.steps import predict

_kept: WeakKeyDictionary[Catalog, predict.Predictors] = WeakKeyDictionary()


def predictors(catalog: Catalog) -> predict.Predictors:
    """Return what is kept between invocations: versions for good, pointers for as long as the settings say."""
    if catalog not in _kept:
        _kept[catalog] = predict.Predictors(timedelta(seconds=Settings.from_env().pointer_ttl_seconds))
    return _kept[catalog]


def answer(call: Call, ports: Ports) -> predict.Answer:
    """Parse the instances, give the request its id and run the step."""
    instances = parse_instances(call.body)
    at = ports.clock.now()
    request = predict.Request.model_construct(  # parse_instances has checked what pydantic would check again
        model=call.path["model"],
        version=call.version,
        instances=[dict(instance) for instance in instances],
        request_id=make_request_id(at, os.urandom(RANDOM_BYTES)),
        at=at,
    )
    return predict.run(request, ports, predictors(ports.catalog))


handler = api_handler(200, answer)
