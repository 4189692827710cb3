"""Answer a request: predictions of the champion, of its challenger, or of a version that is named; all are logged."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypedDict

from perennial.errors import PerennialError, RequestError
from perennial.serving import routing
from perennial.serving.ids import PredictionId
from perennial.serving.logged import LoggedRequest, LogPolicy, Route
from perennial.serving.payload import Place, Row, instance_place
from perennial.serving.ports import Challenger, ServingPorts
from perennial.serving.predictor import Predictions, Predictor
from perennial.serving.predictors import Predictors

FAULTS = (PerennialError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
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
    place: Place = field(default=instance_place, repr=False)
    """Names the place of a value in what the caller sent."""


class Prediction(TypedDict, total=False):
    """The answer for one row."""

    prediction_id: str
    """What feedback is given under."""
    value: float
    """In the target's unit; of a binary model the probability that the condition holds, of several classes that of
    ``label``."""
    label: bool | str
    """Of a binary model, whether the condition is more likely than not; of several classes, the likeliest one; of
    equals, the first by name."""
    probabilities: dict[str, float]
    """Of several classes: each to its probability."""
    missing: list[str]
    """Features that the model has no value of, or one that it has not learnt; left out if there are none."""


@dataclass(frozen=True)
class Answer:
    """The answer for a request."""

    model: str
    version: int
    route: Route
    """Why this version answers."""
    predictions: list[Prediction]


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
        predictor = call.predictors.named(ports, request.model, request.version, request.at)
        return call.answer(predictor, "named", call.predict(predictor, "named"))
    pointer = call.predictors.pointer(ports, request.model, request.at)
    challenger = pointer.challenger
    champion = call.predictors.champion(ports, request.model, request.at)
    failed: _Failure | None = None
    if challenger is not None and challenger.weight > 0:
        first = request.instances[0] if request.instances else {}
        key = routing.route_key(request.route_key, _entity(champion), first, request.request_id)
        if routing.answers(challenger, request.model, key):
            attempt = call.attempt(challenger)
            if isinstance(attempt, _Success):
                call.log(attempt.predictor, "canary", attempt.made, attempt.milliseconds)
                return call.answer(attempt.predictor, "canary", attempt.made)
            failed = attempt
    made = call.predict(champion, "champion")
    if failed is not None:  # the champion could answer: the fault was not the caller's
        call.log_failure(failed.version, "canary", failed.milliseconds, failed.error)
    if challenger is not None and challenger.shadow:
        call.shadow(challenger)
    return call.answer(champion, "champion", made)


@dataclass(frozen=True)
class _Success:
    predictor: Predictor
    made: Predictions
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

    def predict(self, predictor: Predictor, route: Route) -> Predictions:
        """Predict and log it, a failure too unless it is the caller's."""
        start = time.perf_counter()
        try:
            made = self._made(predictor)
        except RequestError:
            raise
        except FAULTS as error:
            self.log_failure(predictor.served.version, route, _since(start), type(error).__name__)
            raise
        self.log(predictor, route, made, _since(start))
        return made

    def attempt(self, challenger: Challenger) -> _Success | _Failure:
        """Predict by the challenger, whatever comes of it."""
        start = time.perf_counter()
        try:
            predictor = self.predictors.registered(self.ports, self.request.model, challenger)
            return _Success(predictor, self._made(predictor), _since(start))
        except FAULTS as error:
            return _Failure(challenger.version, _since(start), type(error).__name__)

    def shadow(self, challenger: Challenger) -> None:
        """Let the challenger score what was answered, for the log alone."""
        attempt = self.attempt(challenger)
        if isinstance(attempt, _Success):
            self.log(attempt.predictor, "shadow", attempt.made, attempt.milliseconds)
        else:
            self.log_failure(attempt.version, "shadow", attempt.milliseconds, attempt.error)

    def log(self, predictor: Predictor, route: Route, made: Predictions, milliseconds: float) -> None:
        """Hand over what a version saw and said."""
        logged = LoggedRequest(
            model=self.request.model,
            version=predictor.served.version,
            request_id=self.request.request_id,
            at=self.request.at,
            route=route,
            milliseconds=milliseconds,
            inputs=made.inputs,
            features=made.features,
            values=made.values,
            policy=predictor.log_policy,
            probabilities=made.probabilities,
        )
        self.ports.log.write(logged)

    def log_failure(self, version: int, route: Route, milliseconds: float, error: str) -> None:
        """Hand over that a version failed, through no fault of the caller."""
        request = self.request
        self.ports.log.write(
            LoggedRequest(
                model=request.model,
                version=version,
                request_id=request.request_id,
                at=request.at,
                route=route,
                milliseconds=milliseconds,
                inputs={},
                features=[],
                values=[],
                policy=LogPolicy(),
                error=error,
            )
        )

    def answer(self, predictor: Predictor, route: Route, made: Predictions) -> Answer:
        """Return what the caller is told."""
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
            predictions.append(said)
        return Answer(self.request.model, served.version, route, predictions)

    def _made(self, predictor: Predictor) -> Predictions:
        request = self.request
        return predictor.predict(request.instances, self.ports.online.read_many, request.at, request.place)


def _since(start: float) -> float:
    return 1000 * (time.perf_counter() - start)


def _entity(predictor: Predictor) -> Sequence[str]:
    """Return the columns that identify whose features a version looks up."""
    return list(dict.fromkeys(column for view in predictor.served.stored for column in view.entity))
