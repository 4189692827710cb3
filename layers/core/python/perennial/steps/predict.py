"""Answer a request: predictions of the champion, of its challenger, or of a version that is named; all are logged."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from perennial.errors import NotFoundError, PerennialError, RequestError
from perennial.serving import routing
from perennial.serving.answers import Answer, Explanation, Prediction
from perennial.serving.ids import PredictionId
from perennial.serving.logged import LoggedRequest, LogPolicy, Route
from perennial.serving.payload import Place, Row, instance_place
from perennial.serving.ports import Challenger, ServingPorts
from perennial.serving.predictor import Predictions, Predictor
from perennial.serving.predictors import Predictors

FAULTS = (PerennialError, ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
"""How a version that is only on its way to serve may fail without anybody but the log hearing of it."""


@dataclass(frozen=True)
class Request:
    """Rows to predict."""

    model: str
    instances: Sequence[Row]
    """Column name to JSON value, one mapping per row."""
    request_id: str
    """From :func:`perennial.serving.ids.make_request_id`."""
    at: datetime
    version: int | str | None = None
    """A version's number or an alias; None means whoever serves."""
    route_key: str | None = None
    """What the caller says makes its requests one caller's."""
    explain: bool = False
    """Whether each prediction is to say how it came about."""
    place: Place = field(default=instance_place, repr=False)
    """Names the place of a value in what the caller sent."""


def run(request: Request, ports: ServingPorts, predictors: Predictors | None = None) -> Answer:
    """Predict, and hand over to the prediction log what each version saw and said.

    Of a model with a challenger, its share of the callers is answered by it. If it fails at what the champion does not
    fail at, the champion answers. A challenger that is a shadow scores what the champion has answered.

    Parameters
    ----------
    predictors : Predictors or None
        What is kept between requests; None keeps nothing.

    Raises
    ------
    RequestError
        An instance breaks the contract; ``field`` names the place.
    TooLargeError
        There are more instances than the answer holds the probabilities of.
    IncompleteError
        A feature is missing without which the model does not predict.
    NotFoundError
        There is no such model, version or champion.
    """
    call = _Call(request, ports, predictors or Predictors())
    if request.version is not None:
        return call.predict(call.predictors.named(ports, request.model, request.version, request.at), "named")
    pointer = call.predictors.pointer(ports, request.model, request.at)
    challenger = pointer.challenger
    champion = call.predictors.champion(ports, request.model, request.at)
    failed: _Failure | None = None
    if challenger is not None and _answers(challenger, champion, request):
        attempt = call.attempt(challenger)
        if isinstance(attempt, _Success):
            call.log(attempt, "canary")
            return call.answer(attempt, "canary")
        failed = attempt
    answer = call.predict(champion, "champion")
    if failed is not None:  # the champion could answer: the fault was not the caller's
        call.log_failure(failed, "canary")
    if challenger is not None and challenger.shadow:
        call.shadow(challenger)
    return answer


@dataclass(frozen=True)
class _Success:
    predictor: Predictor
    made: Predictions
    explanations: Sequence[Explanation] | None
    milliseconds: float


@dataclass(frozen=True)
class _Failure:
    version: int
    milliseconds: float
    error: str


@dataclass(frozen=True)
class _Call:
    """One request on its way."""

    request: Request
    ports: ServingPorts
    predictors: Predictors

    def predict(self, predictor: Predictor, route: Route) -> Answer:
        """Predict and log it, a failure too unless it is the caller's."""
        start = time.perf_counter()
        try:
            success = self._success(predictor, start)
        except RequestError:
            raise
        except FAULTS as error:
            self.log_failure(_Failure(predictor.served.version, _since(start), type(error).__name__), route)
            raise
        self.log(success, route)
        return self.answer(success, route)

    def attempt(self, challenger: Challenger) -> _Success | _Failure:
        """Predict by the challenger, whatever comes of it."""
        start = time.perf_counter()
        try:
            predictor = self.predictors.registered(self.ports, self.request.model, challenger)
            start = time.perf_counter()  # loading a version is not the request's time; nor is it of the champion's
            return self._success(predictor, start)
        except FAULTS as error:
            return _Failure(challenger.version, _since(start), type(error).__name__)

    def shadow(self, challenger: Challenger) -> None:
        """Let the challenger score what was answered, for the log alone."""
        attempt = self.attempt(challenger)
        if isinstance(attempt, _Success):
            self.log(attempt, "shadow")
        else:
            self.log_failure(attempt, "shadow")

    def log(self, success: _Success, route: Route) -> None:
        """Hand over what a version saw and said."""
        made = success.made
        logged = LoggedRequest(
            model=self.request.model,
            version=success.predictor.served.version,
            request_id=self.request.request_id,
            at=self.request.at,
            route=route,
            milliseconds=success.milliseconds,
            inputs=made.inputs,
            features=made.features,
            values=made.values,
            policy=success.predictor.log_policy,
            probabilities=made.probabilities,
        )
        self.ports.log.write(logged)

    def log_failure(self, failure: _Failure, route: Route) -> None:
        """Hand over that a version failed, through no fault of the caller."""
        request = self.request
        self.ports.log.write(
            LoggedRequest(
                model=request.model,
                version=failure.version,
                request_id=request.request_id,
                at=request.at,
                route=route,
                milliseconds=failure.milliseconds,
                inputs={},
                features=[],
                values=[],
                policy=LogPolicy(),
                error=failure.error,
            )
        )

    def answer(self, success: _Success, route: Route) -> Answer:
        """Return what the caller is told."""
        predictor, made = success.predictor, success.made
        served = predictor.served
        predictions: list[Prediction] = []
        for row, (value, features) in enumerate(zip(made.values, made.features, strict=True)):
            said: Prediction = {
                "prediction_id": str(PredictionId(served.version, self.request.request_id, row)),
                "value": value,
            }
            if made.probabilities is not None:
                chances, place = made.probabilities[row], int(value)
                said["label"], said["value"] = served.classes[place], chances[place]
                said["probabilities"] = dict(zip(served.classes, chances, strict=True))
            elif served.task == "binary":
                said["label"] = value > 0.5  # as in `perennial.metrics`, by which the version was judged
            missing = predictor.missing(features)
            if missing:
                said["missing"] = missing
            if success.explanations is not None:
                said["explanation"] = success.explanations[row]
            predictions.append(said)
        return Answer(self.request.model, served.version, route, predictions)

    def _success(self, predictor: Predictor, start: float) -> _Success:
        request = self.request
        made = predictor.predict(request.instances, self.ports.online.read_many, request.at, request.place)
        took = _since(start)
        explanations = [_explained(predictor, features) for features in made.features] if request.explain else None
        return _Success(predictor, made, explanations, took)


def _answers(challenger: Challenger, champion: Predictor, request: Request) -> bool:
    """Tell whether the challenger answers this caller."""
    if challenger.weight <= 0:
        return False
    first = request.instances[0] if request.instances else {}
    key = routing.route_key(request.route_key, _entity(champion), first, request.request_id)
    return routing.answers(challenger, request.model, key)


def _explained(predictor: Predictor, features: Sequence[float]) -> Explanation:
    served = predictor.served
    try:
        found = predictor.scorer.contributions(features)
    except NotFoundError as error:
        raise RequestError(f"explain: {error}", "explain") from None
    parts = [dict(zip(served.features, values, strict=True)) for values in found.values]
    if not found.classes:
        return {"scale": found.scale, "base": found.base[0], "contributions": parts[0]}
    names = [served.classes[place] for place in found.classes]
    return {
        "scale": found.scale,
        "base": dict(zip(names, found.base, strict=True)),
        "contributions": dict(zip(names, parts, strict=True)),
    }


def _since(start: float) -> float:
    return 1000 * (time.perf_counter() - start)


def _entity(predictor: Predictor) -> Sequence[str]:
    """Return the columns that identify whose features a version looks up."""
    return list(dict.fromkeys(column for view in predictor.served.stored for column in view.entity))
