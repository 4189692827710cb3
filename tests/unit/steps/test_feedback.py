"""The step ``feedback``: labels of real predictions, stored once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from perennial import keys
from perennial.errors import NotFoundError
from perennial.fakes import FakeObjectStore, FixedClock
from perennial.manifest import Kept
from perennial.ports import Ports
from perennial.serving.ids import make_request_id
from perennial.serving.logged import LogPolicy
from perennial.steps import feedback, predict
from perennial.steps.prediction_log import latest_labels, read_labels
from tests.support.artifacts import MODEL, a_manifest, a_trip, register
from tests.support.prediction_logs import deliver
from tests.support.records import AT


def predicted(ports: Ports, rows: int = 2, seed: int = 0) -> list[str]:
    """Have rows predicted and return their ids."""
    if ports.catalog.champion(MODEL) is None:
        register(ports)
    request_id = make_request_id(AT, bytes([seed] * 10))
    request = predict.Request(model=MODEL, instances=[a_trip()] * rows, request_id=request_id, at=AT)
    answer = predict.run(request, ports)
    deliver(ports)
    return [prediction["prediction_id"] for prediction in answer.predictions]


def send(ports: Ports, labels: dict[str, float], model: str = MODEL) -> tuple[int, int]:
    """Send labels and return how many were accepted and how many were known."""
    entries = [feedback.LabelledPrediction(prediction_id=name, label=label) for name, label in labels.items()]
    receipt = feedback.run(feedback.Request(model=model, labels=entries), ports)
    return receipt.accepted, receipt.duplicates


def stored(ports: Ports) -> dict[str, float]:
    """Return the label that counts of each prediction."""
    found = [read_labels(ports.artifacts, key) for key in ports.artifacts.keys(keys.labels_prefix(MODEL, 1))]
    return {name: label.label for name, label in latest_labels(x for lines in found for x in lines).items()}


def test_labels_are_stored_under_their_predictions(ports: Ports) -> None:
    first, second = predicted(ports)
    assert send(ports, {first: 14.5, second: 20.0}) == (2, 0)
    assert stored(ports) == {first: 14.5, second: 20.0}


def test_the_same_call_again_changes_nothing(ports: Ports, clock: FixedClock) -> None:
    labels = dict.fromkeys(predicted(ports), 14.5)
    send(ports, labels)
    before = ports.artifacts.keys("labels/")
    clock.advance(hours=1)
    assert send(ports, labels) == (0, 2)
    assert ports.artifacts.keys("labels/") == before


def test_a_part_that_is_known_counts_as_duplicate_and_the_rest_is_accepted(ports: Ports) -> None:
    first, second = predicted(ports)
    send(ports, {first: 14.5})
    assert send(ports, {first: 14.5, second: 20.0}) == (1, 1)
    assert stored(ports) == {first: 14.5, second: 20.0}


def test_a_later_label_replaces_an_earlier_one_even_within_one_tick_of_the_clock(ports: Ports) -> None:
    first, _ = predicted(ports)
    for label in (14.5, 15.5, 14.5):  # corrected, and corrected back
        assert send(ports, {first: label}) == (1, 0)
        assert stored(ports) == {first: label}


def test_two_racing_calls_with_the_same_labels_write_one_object(ports: Ports, clock: FixedClock) -> None:
    class Blind(FakeObjectStore):
        """A bucket that does not list labels yet, as the loser of a race sees it."""

        def keys(self, prefix: str) -> list[str]:
            return [key for key in super().keys(prefix) if not key.startswith("labels/")]

    blind = Blind()
    ports = replace(ports, artifacts=blind)
    first, _ = predicted(ports)
    assert send(ports, {first: 14.5}) == (1, 0)
    clock.advance(seconds=1)
    assert send(ports, {first: 14.5}) == (1, 0)
    assert len(FakeObjectStore.keys(blind, "labels/")) == 1


@pytest.mark.parametrize("nonsense", ["nonsense", "1-01D4V8SW00ZZZZZZZZZZZZZZZZ-0", "1-01D4V8SW000000000000000000-2"])
def test_an_id_that_predict_never_gave_is_refused_and_nothing_is_stored(
    ports: Ports, clock: FixedClock, nonsense: str
) -> None:
    first, second = predicted(ports)
    clock.advance(minutes=15)  # by then all are in the log
    with pytest.raises(NotFoundError) as caught:
        send(ports, {first: 14.5, second: 14.5, nonsense: 14.5})
    assert caught.value.field == "labels[2].prediction_id"
    assert ports.artifacts.keys("labels/") == []


def test_a_prediction_of_another_model_is_not_found(ports: Ports) -> None:
    first, _ = predicted(ports)
    with pytest.raises(NotFoundError, match="model 'other' made no prediction"):
        send(ports, {first: 14.5}, model="other")


def test_each_part_of_the_log_is_read_once(ports: Ports) -> None:
    class Counting(FakeObjectStore):
        reads = 0

        def get(self, key: str) -> bytes:
            self.reads += key.startswith("predictions/")
            return super().get(key)

    store = Counting()
    ports = replace(ports, artifacts=store)
    ids = predicted(ports, rows=10) + predicted(ports, rows=10, seed=1)
    assert send(ports, dict.fromkeys(ids, 1.0)) == (20, 0)
    assert store.reads == 2


def unlogged(ports: Ports, *ids: str) -> int:
    labels = [feedback.LabelledPrediction(prediction_id=name, label=1.0) for name in ids]
    return feedback.run(feedback.Request(model=MODEL, labels=labels), ports).unlogged


def test_a_label_may_come_before_its_prediction_is_in_the_log(ports: Ports, clock: FixedClock) -> None:
    register(ports)
    young = f"1-{make_request_id(AT, bytes(10))}-0"
    clock.advance(minutes=14.9)
    assert unlogged(ports, young) == 1
    assert stored(ports) == {young: 1.0}
    predicted(ports, rows=1)  # now it came
    assert unlogged(ports, young) == 0


def test_after_a_while_a_prediction_that_is_not_in_the_log_was_not_made(ports: Ports, clock: FixedClock) -> None:
    register(ports)
    clock.advance(minutes=15)
    with pytest.raises(NotFoundError, match="made no prediction"):
        unlogged(ports, f"1-{make_request_id(AT, bytes(10))}-0")
    assert ports.artifacts.keys("labels/") == []


@pytest.mark.parametrize("ahead", [timedelta(minutes=2), timedelta(days=3000)], ids=["minutes", "years"])
def test_a_prediction_of_the_future_was_not_made(ports: Ports, ahead: timedelta) -> None:
    register(ports)
    with pytest.raises(NotFoundError, match="made no prediction"):
        unlogged(ports, f"1-{make_request_id(AT + ahead, bytes(10))}-0")


def test_a_young_prediction_of_an_unknown_version_was_not_made(ports: Ports) -> None:
    register(ports)
    with pytest.raises(NotFoundError, match="made no prediction") as caught:
        unlogged(ports, f"2-{make_request_id(AT, bytes(10))}-0")
    assert caught.value.field == "labels[0].prediction_id"


def test_a_young_prediction_is_refused_if_its_request_is_known_to_be_shorter(ports: Ports) -> None:
    first, _ = predicted(ports)
    with pytest.raises(NotFoundError, match="made no prediction"):
        unlogged(ports, first.removesuffix("0") + "2")


def test_of_a_version_that_keeps_a_share_the_labels_of_the_others_are_taken(ports: Ports, clock: FixedClock) -> None:
    register(ports, a_manifest(log=Kept(sample=0.5)))
    ids = [make_request_id(AT, bytes([number] * 10)) for number in range(50)]
    kept = [name for name in ids if LogPolicy(sample=0.5).keeps(name)]
    assert 10 < len(kept) < 40
    clock.advance(hours=1)
    assert unlogged(ports, *(f"1-{name}-0" for name in ids if name not in kept)) == 50 - len(kept)
    with pytest.raises(NotFoundError, match="made no prediction"):
        unlogged(ports, f"1-{kept[0]}-0")
