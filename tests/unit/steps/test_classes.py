"""Models of conditions and of classes: what is answered, logged, fed back and watched."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from perennial.definitions import Monitor
from perennial.definitions.files import Definitions
from perennial.errors import DataError, RequestError, TooLargeError
from perennial.ports import Ports
from perennial.records import Assessment, Trigger
from perennial.serving.ids import PredictionId, make_request_id
from perennial.serving.predictor import MAX_PROBABILITIES
from perennial.steps import feedback, monitor, predict, smoke
from perennial.steps.prediction_log import FoundPrediction, find_prediction, latest_labels, read_labels
from tests.support.artifacts import (
    MODEL,
    PRICE_GRAPH,
    REASONS,
    a_classifier,
    linear_graph,
    logistic_graph,
    register,
    softmax_graph,
)
from tests.support.prediction_logs import deliver
from tests.support.records import AT

REQUEST_ID = make_request_id(AT, bytes(10))
CALLS_GRAPH = logistic_graph([math.log(2), math.log(3)], 0.0)
"""Odds of the condition: 3 to the power of calls, times 2 on the plan PLUS."""


def ask(ports: Ports, *rows: dict[str, Any], request_id: str = REQUEST_ID) -> predict.Answer:
    request = predict.Request(model=MODEL, instances=list(rows), request_id=request_id, at=AT)
    answer = predict.run(request, ports)
    deliver(ports)
    return answer


def found(ports: Ports, row: int = 0) -> FoundPrediction:
    prediction = find_prediction(ports.artifacts, MODEL, PredictionId(1, REQUEST_ID, row))
    assert prediction is not None
    return prediction


def customer(plan: str | None = "plus", calls: int = 0) -> dict[str, Any]:
    return {"plan": plan, "calls": calls}


def tell(ports: Ports, *labels: bool | float | str) -> feedback.Receipt:
    """Label the rows of the request in their order."""
    entries = [
        feedback.LabelledPrediction(prediction_id=f"1-{REQUEST_ID}-{row}", label=label)
        for row, label in enumerate(labels)
    ]
    return feedback.run(feedback.Request(model=MODEL, labels=entries), ports)


def stored(ports: Ports) -> list[float]:
    lines = [line for key in ports.artifacts.keys("labels/") for line in read_labels(ports.artifacts, key)]
    return [label.label for _, label in sorted(latest_labels(lines).items())]


@pytest.fixture
def binary(ports: Ports) -> Ports:
    """Return fakes where a model of a condition serves."""
    register(ports, a_classifier("binary", CALLS_GRAPH), CALLS_GRAPH)
    return ports


@pytest.fixture
def multiclass(ports: Ports) -> Ports:
    """Return fakes where a model of three classes serves."""
    register(ports, a_classifier("multiclass", PRICE_GRAPH), PRICE_GRAPH)
    return ports


def test_a_condition_is_answered_by_its_probability_and_by_whether_that_is_above_a_half(binary: Ports) -> None:
    answer = ask(binary, customer(), customer("basic"), customer(None, -1))
    first, second, third = answer.predictions
    assert first == {"prediction_id": f"1-{REQUEST_ID}-0", "value": pytest.approx(2 / 3), "label": True}
    assert (second["value"], second["label"]) == (0.5, False)  # the plan's code is 0; a half is not above a half
    assert (third["value"], third["label"]) == (pytest.approx(1 / 4), False)


def test_classes_are_answered_by_the_likeliest_one_and_the_probability_of_each(multiclass: Ports) -> None:
    answer = ask(multiclass, customer(), customer("basic"))
    first, second = answer.predictions
    assert first == {
        "prediction_id": f"1-{REQUEST_ID}-0",
        "label": "price",
        "value": pytest.approx(4 / 7),
        "probabilities": {name: pytest.approx(odds / 7) for name, odds in zip(REASONS, (2, 4, 1), strict=True)},
    }
    assert (second["label"], second["value"]) == ("moved", pytest.approx(1 / 2))


@pytest.mark.parametrize("plan", [None, "", "gold", "b\u0301asic"])
def test_a_category_that_was_not_learnt_counts_as_missing(multiclass: Ports, plan: str | None) -> None:
    ask(multiclass, customer(plan))
    assert found(multiclass).features == {"customer__plan": None, "customer__calls": 0.0}


def test_the_log_holds_the_place_of_the_class_the_probabilities_and_what_was_said(multiclass: Ports) -> None:
    ask(multiclass, customer())
    line = found(multiclass)
    assert line.value == 1.0
    assert line.probabilities == pytest.approx([2 / 7, 4 / 7, 1 / 7])
    assert line.inputs == {"plan": "plus", "calls": 0}
    assert line.features == {"customer__plan": 1.0, "customer__calls": 0.0}


def test_no_more_probabilities_are_asked_for_than_an_answer_holds(ports: Ports) -> None:
    classes = tuple(f"class {number:03}" for number in range(500))
    graph = softmax_graph([[0.0] * 500] * 2, [0.0] * 500)
    register(ports, a_classifier("multiclass", graph, classes=classes), graph)
    most = MAX_PROBABILITIES // 500
    assert len(ask(ports, *[customer()] * most).predictions) == most
    with pytest.raises(TooLargeError, match=f"500 classes the probabilities of at most {most} fit"):
        ask(ports, *[customer()] * (most + 1))


def test_a_graph_with_another_number_of_classes_is_refused(ports: Ports) -> None:
    register(ports, a_classifier("multiclass", PRICE_GRAPH, classes=("moved", "price")), PRICE_GRAPH)
    with pytest.raises(DataError, match="returned 3 values for 1 rows of 2 classes"):
        ask(ports, customer())


def test_labels_of_a_condition_are_true_or_false_or_one_or_zero(binary: Ports) -> None:
    ask(binary, *[customer()] * 4)
    assert tell(binary, True, False, 1, 0.0).accepted == 4
    assert stored(binary) == [1.0, 0.0, 1.0, 0.0]
    assert tell(binary, 1, 0, True, False).duplicates == 4


@pytest.mark.parametrize("label", [2, 0.5, "yes"])
def test_another_label_of_a_condition_is_refused(binary: Ports, label: float | str) -> None:
    ask(binary, customer(), customer())
    with pytest.raises(RequestError, match=r"labels\[1\]\.label must be") as caught:
        tell(binary, True, label)
    assert caught.value.field == "labels[1].label"
    assert stored(binary) == []


def test_labels_of_classes_are_their_texts_and_are_stored_as_their_places(multiclass: Ports) -> None:
    ask(multiclass, *[customer()] * 3)
    assert tell(multiclass, "service", "moved", "price").accepted == 3
    assert stored(multiclass) == [2.0, 0.0, 1.0]


@pytest.mark.parametrize("label", ["Price", "", 1, True])
def test_a_label_that_is_no_class_is_refused_with_those_that_are(multiclass: Ports, label: float | str) -> None:
    ask(multiclass, customer())
    with pytest.raises(RequestError, match=r"must be one of the version's classes, 'moved', 'price', 'service'$"):
        tell(multiclass, label)


@pytest.mark.parametrize("label", [True, "12"])
def test_a_label_of_a_number_is_a_number(ports: Ports, label: bool | str) -> None:
    graph = logistic_graph([0.0, 0.0], 0.0)
    register(ports, a_classifier("regression", graph, classes=()), graph)
    ask(ports, customer())
    with pytest.raises(RequestError, match="must be a number"):
        tell(ports, label)


def watched(ports: Ports, definitions: Definitions) -> Assessment:
    model = definitions.model(MODEL).model_copy(update={"monitor": Monitor(window_rows=100, min_rows=2)})
    small = Definitions(definitions.datasets, definitions.views, {MODEL: model})
    return monitor.run(monitor.Request(model=MODEL), replace(ports, definitions=small)).assessed[MODEL]


def test_the_log_loss_of_a_condition_is_measured(binary: Ports, definitions: Definitions) -> None:
    ask(binary, customer(), customer())  # 2/3 each
    tell(binary, True, False)
    found = watched(binary, definitions)
    expected = -(math.log(2 / 3) + math.log(1 / 3)) / 2
    assert found.performance == pytest.approx(expected)
    assert found.performance_ratio == pytest.approx(expected / math.log(2))  # what the manifest promises


def test_an_accuracy_that_falls_makes_a_ratio_above_one(multiclass: Ports, definitions: Definitions) -> None:
    ask(multiclass, *[customer()] * 4)  # price, all of them
    tell(multiclass, "price", "price", "price", "moved")
    found = watched(multiclass, definitions)
    assert found.performance == 0.75
    assert found.performance_ratio == pytest.approx((1 - 0.75) / (1 - 0.9))


def test_a_metric_that_cannot_be_told_is_none(ports: Ports, definitions: Definitions) -> None:
    manifest = a_classifier("binary", CALLS_GRAPH, metric="roc_auc", metrics={"roc_auc": 0.8})
    register(ports, manifest, CALLS_GRAPH)
    ask(ports, customer(), customer())
    tell(ports, True, True)
    found = watched(ports, definitions)
    assert (found.labelled, found.performance, found.performance_ratio) == (2, None, None)


def test_texts_that_were_not_learnt_are_drift(binary: Ports, definitions: Definitions) -> None:
    ask(binary, *[customer("basic"), customer("plus", 1)] * 20)
    alike = watched(binary, definitions)
    assert alike.feature_drift == pytest.approx(0, abs=0.01)
    ask(binary, *[customer("gold", 0), customer("gold", 1)] * 20, request_id=make_request_id(AT, bytes([1] * 10)))
    (moved,) = (one for one in watched(binary, definitions).moved if one.subject == "customer__plan")
    assert (moved.kind, moved.reference) == ("missing", 0)  # for a model does not know what it did not learn


TRIGGER = Trigger(kind="run", source="train-1")


def try_out(ports: Ports) -> smoke.Trial:
    return smoke.run(smoke.Request(run_id="deploy-1", model=MODEL, version=1, trigger=TRIGGER), ports)


def test_a_sound_model_of_classes_passes_its_trial(multiclass: Ports) -> None:
    assert try_out(multiclass).rows == len(smoke.LEVELS)


def test_what_is_no_probability_fails_the_trial(ports: Ports) -> None:
    graph = linear_graph([0.0, 0.0], 1.5)
    register(ports, a_classifier("binary", graph), graph)
    with pytest.raises(DataError, match=r"gives a class the probability 1\.5 for a typical row"):
        try_out(ports)


def test_typical_rows_have_categories_and_nothing_between_them(multiclass: Ports) -> None:
    manifest = a_classifier("multiclass", PRICE_GRAPH)
    rows = smoke._typical_rows(manifest)
    assert set(np.unique(rows[:, 0]).tolist()) == {0.0, 1.0}
    assert not set(np.unique(rows[:, 1]).tolist()) <= {0.0, 1.0}
