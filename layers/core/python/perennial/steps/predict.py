"""Answer a request: predictions of the champion, or of a version that is named, which the log is told."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any

import duckdb
from pydantic import BaseModel

from perennial import keys
from perennial.errors import DataError, NotFoundError
from perennial.manifest import Manifest
from perennial.ports import Ports
from perennial.records import Moment
from perennial.serving.artifact import load_artifact
from perennial.serving.ids import PredictionId
from perennial.serving.logged import LoggedRequest, policy_of
from perennial.serving.predictor import Predictions, Predictor
from perennial.serving.request_view import connect

_log = logging.getLogger("perennial")


class Request(BaseModel):
    """Rows to predict."""

    model: str
    version: int | str | None = None
    """A version's number or an alias; None means the champion."""
    instances: list[dict[str, Any]]
    """Column name to JSON value, one mapping per row."""
    request_id: str
    """From :func:`perennial.serving.ids.make_request_id`."""
    at: Moment


class Prediction(BaseModel):
    """The answer for one row."""

    prediction_id: str
    """What feedback is given under."""
    value: float
    """In the target's unit; of a binary model the probability that the condition holds."""


class ConditionPrediction(Prediction):
    """The answer of a binary model for one row."""

    label: bool
    """Whether the condition is more likely than not."""


class ClassPrediction(Prediction):
    """The answer of a model of several classes for one row; ``value`` is the probability of ``label``."""

    label: str
    """The likeliest class; of equals, the first by name."""
    probabilities: dict[str, float]
    """Class to its probability."""


class Answer(BaseModel):
    """The answer for a request."""

    model: str
    version: int
    predictions: list[ClassPrediction | ConditionPrediction | Prediction]


class Predictors:
    """What a serving process keeps between requests: pointers for a while, versions for good.

    Parameters
    ----------
    pointer_ttl : timedelta
        How long a champion pointer, or an alias, that was read is trusted.
    keep : int
        How many versions stay loaded; the one that was used longest ago goes first.
    """

    def __init__(self, pointer_ttl: timedelta = timedelta(seconds=5), keep: int = 4) -> None:
        self._pointer_ttl = pointer_ttl
        self._keep = keep
        self._pointers: dict[str, tuple[datetime, int, str, str]] = {}
        self._aliases: dict[tuple[str, str], tuple[datetime, int]] = {}
        self._loaded: dict[tuple[str, int, str], Predictor] = {}
        self._connection: duckdb.DuckDBPyConnection | None = None

    def get(self, ports: Ports, model: str, version: int | str | None, now: datetime) -> Predictor:
        """Return the predictor of a version, of what an alias stands for, or of the champion.

        While the champion's files are not the registered ones, the version that served before it stands in, and an
        error is logged. A version that is asked for has no stand-in.

        Raises
        ------
        NotFoundError
            There is no such model, version, alias or champion.
        DataError
            The version's files are not the registered ones.
        """
        if version is not None:
            return self._predictor(ports, model, self._version(ports, model, self._number(ports, model, version, now)))
        champion = self._champion(ports, model, now)
        try:
            return self._predictor(ports, model, champion)
        except DataError as error:
            return self._stand_in(ports, model, champion[0], error)

    def _predictor(self, ports: Ports, model: str, registered: tuple[int, str, str]) -> Predictor:
        number, manifest_key, sha256 = registered
        identity = (model, number, sha256)
        predictor = self._loaded.pop(identity, None) or self._load(ports, model, number, manifest_key, sha256)
        self._loaded[identity] = predictor
        while len(self._loaded) > self._keep:
            del self._loaded[next(iter(self._loaded))]
        return predictor

    def _stand_in(self, ports: Ports, model: str, number: int, error: DataError) -> Predictor:
        """Return the predictor of the version that served before a champion that does not load, or raise its error."""
        champion = ports.catalog.champion(model)
        if champion is None or champion.previous is None:
            raise error
        what = f"champion version {number} of {model} does not serve: {error}"
        previous = self._version(ports, model, champion.previous)
        try:
            predictor = self._predictor(ports, model, previous)
        except DataError as other:
            _log.error("%s; nor does version %s, which served before it: %s", what, champion.previous, other)
            raise error from None
        _log.error("%s; version %s, which served before it, answers instead", what, champion.previous)
        # In the champion's place for what is left of the pointer's time: then the champion is tried again.
        self._pointers[model] = (self._pointers[model][0], *previous)
        return predictor

    def _champion(self, ports: Ports, model: str, now: datetime) -> tuple[int, str, str]:
        known = self._pointers.get(model)
        if known is None or not self._trusted(known[0], now):
            champion = ports.catalog.champion(model)
            if champion is None:
                raise NotFoundError(f"model {model!r} has no champion; train it, or name a version", "model")
            known = (now, champion.version, champion.manifest_key, champion.manifest_sha256)
            self._pointers[model] = known
        return known[1:]

    def _number(self, ports: Ports, model: str, version: int | str, now: datetime) -> int:
        if isinstance(version, int):
            return version
        known = self._aliases.get((model, version))
        if known is None or not self._trusted(known[0], now):
            known = self._aliases[model, version] = (now, ports.catalog.alias(model, version).version)
        return known[1]

    def _trusted(self, read_at: datetime, now: datetime) -> bool:
        return timedelta(0) <= now - read_at < self._pointer_ttl

    def _version(self, ports: Ports, model: str, version: int) -> tuple[int, str, str]:
        for name, number, sha256 in self._loaded:
            if (name, number) == (model, version):  # a registered version never changes
                return number, keys.artifact(model, number, "manifest.json"), sha256
        registered = ports.catalog.version(model, version)
        return registered.version, registered.manifest_key, registered.manifest_sha256

    def _load(self, ports: Ports, model: str, version: int, manifest_key: str, sha256: str) -> Predictor:
        self._connection = self._connection or connect()
        try:
            manifest = ports.artifacts.get(manifest_key)
        except NotFoundError:
            raise DataError(f"{manifest_key}: is missing; restore it or train again") from None
        artifact = load_artifact(
            manifest,
            sha256,
            lambda name: ports.artifacts.get(keys.artifact(model, version, name)),
        )
        return Predictor(artifact, self._connection)


def run(request: Request, ports: Ports, predictors: Predictors | None = None) -> Answer:
    """Predict, and tell the prediction log.

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
    NotFoundError
        There is no such model, version or champion.
    """
    predictors = predictors or Predictors()
    predictor = predictors.get(ports, request.model, request.version, request.at)
    manifest = predictor.artifact.manifest
    began = perf_counter()
    made = predictor.predict(request.instances, ports.online.read_many, request.at)
    ports.log.write(
        LoggedRequest(
            model=request.model,
            version=manifest.version,
            request_id=request.request_id,
            at=request.at,
            route="champion" if request.version is None else "named",
            milliseconds=(perf_counter() - began) * 1000,
            inputs=made.inputs,
            features=made.features.tolist(),
            values=made.values.tolist(),
            policy=policy_of(manifest.log.model_dump(), manifest.features),
            probabilities=None if made.probabilities is None else made.probabilities.tolist(),
        )
    )
    ids = [str(PredictionId(manifest.version, request.request_id, row)) for row in range(len(made.values))]
    answered = _answers(manifest, ids, made)
    return Answer(model=request.model, version=manifest.version, predictions=answered)


def _answers(
    manifest: Manifest, ids: Sequence[str], made: Predictions
) -> list[ClassPrediction | ConditionPrediction | Prediction]:
    rows = list(zip(ids, made.values.tolist(), strict=True))
    if made.probabilities is not None:
        return [
            ClassPrediction(
                prediction_id=prediction_id,
                label=manifest.classes[int(place)],
                value=chances[int(place)],
                probabilities=dict(zip(manifest.classes, chances, strict=True)),
            )
            for (prediction_id, place), chances in zip(rows, made.probabilities.tolist(), strict=True)
        ]
    if manifest.task == "binary":
        # As in `perennial.metrics`, by which the version was judged.
        return [ConditionPrediction(prediction_id=name, value=value, label=value > 0.5) for name, value in rows]
    return [Prediction(prediction_id=name, value=value) for name, value in rows]
