"""Ten thousand predictions while a version is promoted and rolled back: none fails, and none is lost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from threading import Event, Lock
from typing import Any

import numpy as np
import onnxruntime
import pytest

from infra.deployment import Deployment
from infra.stage import STAGES
from infra.waiting import wait_until
from perennial import keys
from perennial.data.prediction_columns import LoggedRows, join, read_columns
from perennial.errors import TransientError
from perennial.serving.engine import Engine
from perennial.serving.ids import moment_of, parse_prediction_id
from perennial.serving.loading import load_predictor
from perennial.serving.payload import MAX_ROWS
from perennial.serving.predictor import Predictor
from tests.e2e.leases import MODEL, features_of, signed_leases, wanted_lease
from tests.e2e.shell import Shell

pytestmark = pytest.mark.e2e

PREDICTIONS = 10_000
CALLERS = 4
SIZES = (1, 1, 1, 1, 1, 20, 25, 50)
"""Rows of one call after the other."""
SECONDS = 120
"""Most, for what comes by itself, on a machine that does other things."""
HEARD = timedelta(seconds=STAGES["local"].pointer_ttl_seconds + 1)
"""From when a move is decided until all go by it: a second for it to be written, and the pointer's time."""


@dataclass(frozen=True)
class Said:
    """One prediction, as its caller heard it."""

    number: int
    """Of the lease."""
    version: int
    prediction_id: str
    value: float
    explanation: dict[str, Any] | None

    @property
    def at(self) -> datetime:
        """The moment of the request."""
        return moment_of(parse_prediction_id(self.prediction_id).request_id)


class Callers:
    """Callers who go on asking until they are told that it is enough, and remember every answer."""

    def __init__(self, agency: Deployment) -> None:
        self.said: list[Said] = []
        self._agency = agency
        self._calls = count()
        self._enough, self._writing = Event(), Lock()
        self._next = 0

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Ask while the block runs, and on until all predictions are asked for; raises what a call raised."""
        with ThreadPoolExecutor(CALLERS) as pool:
            callers = [pool.submit(self._call_on) for _ in range(CALLERS)]
            try:
                yield
            finally:
                self._enough.set()
            for caller in callers:
                caller.result()

    def ask_until(self, moment: datetime) -> None:
        """Return when some requests have come after a moment."""
        wait_until(lambda: sum(one.at > moment for one in self.said[-100:]) > 50 or None, SECONDS, "more predictions")

    def _call_on(self) -> None:
        while not self._enough.is_set() or len(self.said) < PREDICTIONS:
            size = SIZES[next(self._calls) % len(SIZES)]
            with self._writing:
                first, self._next = self._next, self._next + size
            answer = self._call(range(first, first + size))
            assert len(answer["predictions"]) == size
            heard = [
                Said(number, answer["version"], one["prediction_id"], one["value"], one.get("explanation"))
                for number, one in enumerate(answer["predictions"], first)
            ]
            with self._writing:
                self.said.extend(heard)

    def _call(self, numbers: range) -> dict[str, Any]:
        """Ask once, and for single leases for the reasons too; only the API's own limit of calls is waited for."""
        body = {"instances": [wanted_lease(number) for number in numbers], "explain": len(numbers) == 1}
        while True:
            try:
                return self._agency.api.post(f"/models/{MODEL}/predict", body)
            except TransientError as error:
                if "answered 429" not in str(error):
                    raise
                time.sleep(0.1)


@pytest.fixture(scope="module")
def said(agency_shell: Shell, agency: Deployment) -> list[Said]:
    """Let people promote a version and roll it back, as callers ask and ask; returns what these heard."""
    (agency_shell.folder / "dearer.csv").write_text(signed_leases(90, first=960, price=40.0))
    agency_shell.json("upload", "leases", "dearer.csv")  # too few for the model to be trained by itself
    agency_shell.run("retrain", MODEL)
    assert agency.ports.catalog.version(MODEL, 2).stage == "refused"
    callers = Callers(agency)
    with callers.calling():
        callers.ask_until(moved(agency))
        promoted = agency_shell.json("promote", MODEL, "2", "--reason", "a trial", "--override-gate")
        assert promoted["outputs"]["serves"], promoted
        callers.ask_until(moved(agency) + HEARD)
        rolled_back = agency_shell.json("rollback", MODEL, "--reason", "the trial is over")
        assert (rolled_back["version"], rolled_back["previous"]) == (1, 2)
        callers.ask_until(moved(agency) + HEARD)
    return callers.said


def moved(agency: Deployment) -> datetime:
    """Return when the pointer was moved last."""
    return agency.ports.catalog.audit(MODEL)[0].at


@pytest.fixture(scope="module")
def predictors(agency: Deployment) -> dict[int, Predictor]:
    """Return what each version predicts by, read from its artifact into this process."""
    return {version: read_predictor(agency, version) for version in (1, 2)}


def read_predictor(agency: Deployment, version: int) -> Predictor:
    store, registered = agency.ports.artifacts, agency.ports.catalog.version(MODEL, version)
    manifest = store.get(registered.manifest_key)
    return load_predictor(
        manifest, registered.manifest_sha256, lambda name: store.get(keys.artifact(MODEL, version, name)), Engine()
    )


def test_none_of_ten_thousand_predictions_fails_during_a_promotion_and_a_rollback(
    said: list[Said], agency: Deployment
) -> None:
    assert len(said) >= PREDICTIONS
    assert len({one.prediction_id for one in said}) == len(said)
    assert sorted(one.number for one in said) == list(range(len(said)))
    assert {parse_prediction_id(one.prediction_id).version == one.version for one in said} == {True}
    answered = Counter(one.version for one in said)
    assert answered.keys() == {1, 2}
    assert min(answered.values()) > 500, answered
    *_, challenged, promoted, rolled_back = reversed(agency.ports.catalog.audit(MODEL))
    moves = [(move.action, move.version) for move in (challenged, promoted, rolled_back)]
    assert moves == [("challenge", 2), ("promote", 2), ("rollback", 1)]
    # What each caller heard follows the pointer within the time that it is trusted.
    began, served, ended = challenged.at, promoted.at, rolled_back.at
    after = [one for one in said if served + HEARD < one.at < ended]
    assert after
    assert {one.version for one in after} == {2}
    around = [one for one in said if one.at < began or one.at > ended + HEARD]
    assert min(one.at for one in around) < began < ended < max(one.at for one in around)
    assert {one.version for one in around} == {1}


def test_each_prediction_is_what_the_version_that_it_names_predicts(
    said: list[Said], predictors: dict[int, Predictor], agency: Deployment
) -> None:
    for version, predictor in predictors.items():
        heard = [one for one in said if one.version == version]
        assert [one.value for one in heard] == predicted(predictor, heard)  # bit for bit
        assert [one.value for one in heard] == pytest.approx(by_the_graph(agency, predictor, heard), rel=1e-6)
        explained = [one for one in heard if one.explanation is not None]
        assert len(explained) > 10
        for one in explained:
            assert one.explanation is not None
            told = one.explanation["base"] + sum(one.explanation["contributions"].values())
            assert one.value == pytest.approx(told, rel=1e-9)
    first = said[:1]
    assert predicted(predictors[2], first) != pytest.approx(predicted(predictors[1], first), rel=1e-4), "they differ"


def predicted(predictor: Predictor, asked: Sequence[Said]) -> list[float]:
    """Predict again what callers asked, as many rows at once as a call may have."""
    values: list[float] = []
    for first in range(0, len(asked), MAX_ROWS):
        leases = [wanted_lease(one.number) for one in asked[first : first + MAX_ROWS]]
        values += predictor.predict(leases, lambda _: [], asked[0].at).values
    return values


def by_the_graph(agency: Deployment, predictor: Predictor, asked: Sequence[Said]) -> list[float]:
    """Predict it by another library, from features that are worked out without the view."""
    graph = agency.ports.artifacts.get(keys.artifact(MODEL, predictor.served.version, "model.onnx"))
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    features = [features_of(wanted_lease(one.number)) for one in asked]
    matrix = [[row[name] for name in predictor.served.features] for row in features]
    dtype = {"tensor(double)": np.float64, "tensor(float)": np.float32}[session.get_inputs()[0].type]
    given = {predictor.served.onnx_input: np.array(matrix, dtype=dtype)}
    return [float(value) for value in np.ravel(session.run([predictor.served.onnx_output], given)[0])]


def test_the_log_holds_each_prediction_once_under_the_version_that_answered(
    said: list[Said], agency: Deployment
) -> None:
    wanted: dict[int, dict[tuple[str, int], float]] = {version: {} for version in (1, 2)}
    for one in said:
        found = parse_prediction_id(one.prediction_id)
        wanted[one.version][found.request_id, found.row] = one.value

    def there(version: int) -> dict[tuple[str, int], float] | None:
        logged = read_log(agency, version)
        rows = list(zip(logged.request_ids, logged.places.tolist(), strict=True))
        if not wanted[version].keys() <= set(rows):
            return None
        counts = Counter(rows)
        assert {counts[row] for row in wanted[version]} == {1}
        return dict(zip(rows, logged.predictions.tolist(), strict=True))

    for version, values in wanted.items():
        logged = wait_until(lambda version=version: there(version), SECONDS, f"the log of version {version}")
        assert {row: logged[row] for row in values} == values
        others = wanted[3 - version].keys()
        assert not others & logged.keys(), "no version has logged what the other answered"


def read_log(agency: Deployment, version: int) -> LoggedRows:
    """Return a version's log as its readers see it: what was delivered twice is there once."""
    store = agency.ports.artifacts
    return join(read_columns([store.get(key) for key in store.keys(keys.predictions(MODEL, version))]))
