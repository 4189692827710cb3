"""The step ``monitor``: figures of the latest window, published and recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from perennial import keys
from perennial.data.prediction_columns import read_columns
from perennial.definitions import Monitor
from perennial.definitions.files import Definitions
from perennial.errors import DataError, NotFoundError
from perennial.fakes import FakeMetricSink, FakeObjectStore, FixedClock
from perennial.manifest import Histogram, Kept
from perennial.monitoring.manifest_baseline import manifest_baseline
from perennial.ports import Ports
from perennial.records import Assessment
from perennial.serving.ids import make_request_id
from perennial.serving.predictors import Predictors
from perennial.steps import feedback, monitor, predict
from perennial.steps.log_window import LogReader
from perennial.steps.looking import look
from perennial.steps.watched_rows import Counted, watched_rows
from tests.support.artifacts import MODEL, a_manifest, a_trip, register
from tests.support.prediction_logs import deliver
from tests.support.records import AT

WINDOW = Monitor(window_rows=100, min_rows=10)
DIMENSIONS = {"Deployment": "test", "Model": MODEL}


class CountingStore(FakeObjectStore):
    """A bucket that remembers which keys were read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def get(self, key: str) -> bytes:
        self.read.append(key)
        return super().get(key)

    def logs_read(self) -> int:
        """Return how many objects of the log were read since the last call."""
        count = sum(key.startswith("predictions/") for key in self.read)
        self.read.clear()
        return count


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def ports(definitions: Definitions, clock: FixedClock, ports: Ports, store: CountingStore) -> Ports:
    """Return fakes with the example version serving, watched through a window of 100 rows."""
    model = definitions.model(MODEL).model_copy(update={"monitor": WINDOW})
    small = Definitions(definitions.datasets, definitions.views, {MODEL: model})
    ports = replace(ports, definitions=small, artifacts=store)
    register(ports)
    return ports


def log(
    ports: Ports, distances: Sequence[float], at: datetime | None = None, kept: Predictors | None = None
) -> list[str]:
    """Have trips of those distances predicted in one request; return the prediction ids."""
    at = at or ports.clock.now()
    log.calls += 1  # type: ignore[attr-defined]
    request_id = make_request_id(at, log.calls.to_bytes(10))  # type: ignore[attr-defined]
    rows = [a_trip(trip_distance=distance) for distance in distances]
    answer = predict.run(predict.Request(model=MODEL, instances=rows, request_id=request_id, at=at), ports, kept)
    deliver(ports)
    return [prediction["prediction_id"] for prediction in answer.predictions]


log.calls = 0  # type: ignore[attr-defined]


def label(ports: Ports, ids: Sequence[str], value: float) -> None:
    labels = [feedback.LabelledPrediction(prediction_id=name, label=value) for name in ids]
    feedback.run(feedback.Request(model=MODEL, labels=labels), ports)


def looked(ports: Ports, reader: LogReader | None = None) -> Assessment:
    """Return what a look sees, without the report that is due now and then."""
    champion = ports.catalog.champion(MODEL)
    assert champion is not None
    reader = reader or LogReader(ports.artifacts)
    found = look(ports, champion, reader, hourly=False).assessment
    reader.forget_unused()
    return found


def assess(ports: Ports, reader: LogReader | None = None) -> Assessment:
    return monitor.run(monitor.Request(model=MODEL), ports, reader).assessed[MODEL]


def seen(ports: Ports, rows: int = 100, back_to: datetime | None = None) -> tuple[Counted, bool]:
    """Return what a look counts of version 1, and whether that is all there is."""
    manifest = a_manifest()
    until = ports.clock.now().date()
    baseline = manifest_baseline(manifest)
    found, everything = watched_rows(LogReader(ports.artifacts), manifest, baseline, until, rows, back_to)
    assert found is not None
    return found, everything


def distances(found: Counted) -> dict[float, int]:
    """Return how many rows fell into each of the baseline's bins of ten miles, told by their middles."""
    counts = found.window.counts["trip_context__distance"]
    return {10.0 * place - 5: int(rows) for place, rows in enumerate(counts) if rows}


def published(ports: Ports) -> dict[str, list[float]]:
    assert isinstance(ports.metrics, FakeMetricSink)
    return {name: ports.metrics.values(name, DIMENSIONS) for name in monitor.METRICS}


def test_below_min_rows_nothing_is_published_and_the_assessment_says_how_many_there_were(ports: Ports) -> None:
    log(ports, [5.0] * 9)
    found = assess(ports)
    assert (found.rows, found.labelled) == (9, 0)
    figures = (found.feature_drift, found.drifted_feature, found.prediction_drift)
    assert (*figures, found.performance, found.performance_ratio) == (None,) * 5
    assert published(ports) == {name: [] for name in monitor.METRICS}
    assert (found.attention, found.sentence) == (False, "9 of 10 rows: too few to say")
    assert ports.catalog.assessments(MODEL) == [found]


def test_drift_is_the_index_of_the_window_against_the_baseline(ports: Ports, clock: FixedClock) -> None:
    # Distances in the shape of their baseline; the hour is always 8 and one passenger rides, all in the bin [0, 10).
    even = Histogram(edges=(0, 10, 20), counts=(0, 500, 500, 0, 0))
    here = Histogram(edges=(0, 10), counts=(0, 1000, 0, 0))
    manifest = a_manifest(
        version=2,
        baseline={"trip_context__distance": even, "trip_context__hour": here, "trip_context__passengers": here},
        prediction_baseline=even,
    )
    register(ports, manifest)
    log_of_second = Predictors()
    request = predict.Request(
        model=MODEL,
        instances=[a_trip(trip_distance=5.0)] * 15 + [a_trip(trip_distance=15.0)] * 5,
        request_id=make_request_id(AT, bytes(10)),
        at=AT,
    )
    predict.run(request, ports, log_of_second)
    deliver(ports)
    found = assess(ports)
    assert found.version == 2
    # 15 of 20 rows lie in a cell that held half, and the log of a share over the other's weighs the difference.
    index = (0.75 - 0.5) * math.log(0.75 / 0.5) + (0.25 - 0.5) * math.log(0.25 / 0.5)
    assert found.drifted_feature == "trip_context__distance"
    assert found.feature_drift == pytest.approx(index, rel=0.15)  # an empty cell is never empty: half a row is added
    # 3 + 2 * 5 + 4 + 1 = 18 lies in [10, 20], 38 above it, which counts as the last cell
    assert found.prediction_drift == pytest.approx(found.feature_drift, abs=2)
    # So few rows differ by so much by chance: at most 1, which is the limit.
    assert published(ports)["FeatureDrift"] == [1]
    assert published(ports)["PerformanceRatio"] == []


def test_a_version_that_promised_no_finite_error_has_a_performance_and_no_ratio(ports: Ports) -> None:
    """A person may promote what the gate refused."""
    register(ports, a_manifest(version=2, metrics={"n": 100.0, "not_finite": 1.0}))
    label(ports, log(ports, [5.0] * 10), 18.0)
    found = assess(ports)
    assert (found.version, found.labelled, found.performance_ratio) == (2, 10, None)
    assert found.performance is not None
    assert published(ports)["PerformanceRatio"] == []


def test_a_champion_that_cannot_be_assessed_keeps_none_of_the_others_from_it(ports: Ports) -> None:
    definitions = ports.definitions
    first = definitions.model(MODEL).model_copy(update={"name": "airport_fare"})
    models = {"airport_fare": first, MODEL: definitions.model(MODEL)}
    ports = replace(ports, definitions=Definitions(definitions.datasets, definitions.views, models))
    register(ports, a_manifest(model="airport_fare"))
    ports.artifacts.put(keys.artifact("airport_fare", 1, "manifest.json"), b"{}")
    with pytest.raises(DataError, match=r"manifest\.json: has SHA-256"):
        monitor.run(monitor.Request(), ports)
    assert len(ports.catalog.assessments(MODEL)) == 1


def test_min_rows_are_enough(ports: Ports) -> None:
    label(ports, log(ports, [5.0] * 10), 18.0)
    found = assess(ports)
    assert found.figures.keys() == {"features", "quality", "predictions", "performance"}
    assert found.performance == 0


def test_a_missing_feature_counts_as_its_own_cell(ports: Ports) -> None:
    log(ports, [5.0] * 20)
    # The baseline of the stored feature has no missing values, the window nothing else.
    found = assess(ports)
    (missing,) = (one for one in found.moved if one.kind == "missing")
    assert (missing.subject, missing.value, missing.reference) == ("zone_stats__mean_speed", 1, 0)
    assert published(ports)["DataQuality"] == [pytest.approx(1 / 0.01)]
    assert "zone_stats__mean_speed moved: missing in 100" in found.sentence
    assert found.attention


def test_the_window_holds_the_latest_rows_only_and_no_object_is_read_for_nothing(
    ports: Ports, clock: FixedClock, store: CountingStore
) -> None:
    for _ in range(20):
        log(ports, [5.0] * 25, clock.advance(minutes=1))
    store.logs_read()
    assert looked(ports).rows == 100
    assert store.logs_read() == 4


def test_single_rows_are_read_one_object_each(ports: Ports, clock: FixedClock, store: CountingStore) -> None:
    kept = Predictors()
    for _ in range(130):
        log(ports, [5.0], clock.advance(minutes=1), kept)
    store.logs_read()
    assert looked(ports).rows == 100
    assert store.logs_read() == 100


def test_the_newest_rows_count_across_days_and_months(ports: Ports, clock: FixedClock) -> None:
    log(ports, [50.0] * 60, clock.now())
    log(ports, [5.0] * 60, clock.advance(days=40))
    clock.advance(days=50)
    found, _ = seen(ports)
    assert distances(found) == {5.0: 60, 55.0: 40}


def test_a_prediction_is_counted_once_however_its_day_is_listed(ports: Ports, clock: FixedClock) -> None:
    clock.set("2019-03-20T00:00:00Z")  # within a month of which the latest days are listed one by one
    log(ports, [5.0] * 15, clock.now())
    log(ports, [5.0] * 15, clock.now() - timedelta(days=10))
    assert assess(ports).rows == 30


def test_of_one_large_request_the_last_rows_are_in_the_window(ports: Ports) -> None:
    log(ports, [50.0] * 50 + [5.0] * 100)
    found, _ = seen(ports)
    assert distances(found) == {5.0: 100}


def test_a_second_look_reads_what_is_new_alone(ports: Ports, clock: FixedClock, store: CountingStore) -> None:
    reader = LogReader(store)
    for _ in range(4):
        log(ports, [5.0] * 25, clock.advance(minutes=1))
    store.logs_read()
    first = looked(ports, reader)
    assert store.logs_read() == 4
    log(ports, [5.0] * 25, clock.advance(minutes=1))
    assert looked(ports, reader).rows == first.rows == 100
    assert store.logs_read() == 1


def test_what_has_left_the_window_is_forgotten(ports: Ports, clock: FixedClock, store: CountingStore) -> None:
    reader = LogReader(store)
    log(ports, [5.0] * 100)
    looked(ports, reader)
    old = store.keys("predictions/")
    log(ports, [5.0] * 100, clock.advance(minutes=1))
    looked(ports, reader)
    store.logs_read()
    reader.read(old, read_columns)
    assert store.logs_read() == 1


def test_performance_is_the_metric_over_labels_and_the_ratio_to_the_holdouts(ports: Ports) -> None:
    ids = log(ports, [10.0] * 20)  # each is predicted to be 28, without its zone's speed
    label(ports, ids[:10], 25.0)
    label(ports, ids[10:], 33.0)
    found = assess(ports)
    assert (found.rows, found.labelled) == (20, 20)
    assert found.performance == pytest.approx((3 + 5) / 2)
    assert found.performance_ratio == pytest.approx(4 / 2)  # the manifest's mae is 2
    assert published(ports)["PerformanceRatio"] == [pytest.approx(2 / 1.25)]


def test_too_few_labels_give_no_performance(ports: Ports) -> None:
    label(ports, log(ports, [10.0] * 20)[:9], 28.0)
    found = assess(ports)
    assert found.labelled == 9
    assert found.performance is None
    assert "predictions" in found.figures


def test_the_latest_label_of_a_prediction_counts(ports: Ports, clock: FixedClock) -> None:
    ids = log(ports, [10.0] * 10)
    label(ports, ids, 1000.0)
    clock.advance(hours=1)
    label(ports, ids, 29.0)
    assert assess(ports).performance == pytest.approx(1.0)


def test_performance_looks_at_the_latest_labelled_predictions_although_newer_ones_have_none(
    ports: Ports, clock: FixedClock
) -> None:
    label(ports, log(ports, [10.0] * 50, clock.now()), 1000.0)
    label(ports, log(ports, [10.0] * 100, clock.advance(hours=1)), 30.0)
    log(ports, [10.0] * 200, clock.advance(hours=1))
    found = assess(ports)
    assert (found.rows, found.labelled) == (100, 100)
    assert found.performance == pytest.approx(2.0)


def test_only_the_champions_own_predictions_count(ports: Ports) -> None:
    log(ports, [10.0] * 20)
    register(ports, a_manifest(version=2))
    assert assess(ports).rows == 0


def test_an_assessment_like_the_last_one_is_recorded_again(ports: Ports, clock: FixedClock) -> None:
    log(ports, [10.0] * 20)
    first = assess(ports)
    clock.advance(minutes=1)
    second = assess(ports)
    assert second == first.model_copy(update={"at": first.at + timedelta(minutes=1)})
    assert ports.catalog.assessments(MODEL) == [second, first]


def test_without_a_name_every_champion_is_assessed(ports: Ports) -> None:
    assert list(monitor.run(monitor.Request(), ports).assessed) == [MODEL]


def test_a_model_without_a_champion_is_passed_over_and_an_unknown_one_is_refused(
    ports: Ports, definitions: Definitions
) -> None:
    with pytest.raises(NotFoundError, match="no model 'nobody'"):
        monitor.run(monitor.Request(model="nobody"), ports)
    young = definitions.model(MODEL).model_copy(update={"name": "young"})
    ports = replace(ports, definitions=Definitions({}, {}, {"young": young}))
    assert monitor.run(monitor.Request(model="young"), ports).assessed == {}
    assert monitor.run(monitor.Request(model=MODEL), ports).assessed == {}  # its definition was taken away


def test_the_hourly_look_counts_what_the_log_has_lost_and_the_others_do_not(ports: Ports, clock: FixedClock) -> None:
    log(ports, [5.0] * 10, clock.now())
    log(ports, [5.0] * 10, clock.advance(minutes=1))
    clock.advance(minutes=30)
    assert assess(ports).lost is None
    assert published(ports)["PredictionsLost"] == []
    found = monitor.run(monitor.Request(), ports).assessed[MODEL]
    assert found.lost == 0
    assert published(ports)["PredictionsLost"] == [0]
    assert isinstance(ports.metrics, FakeMetricSink)
    assert ports.metrics.values("PredictionsLost", {"Deployment": "test"}) == [0]  # what one alarm watches


def test_a_masked_feature_is_not_looked_at(ports: Ports) -> None:
    register(ports, a_manifest(version=2, log=Kept(masked_features=("zone_stats__mean_speed",))))
    log(ports, [5.0] * 20)
    assert "zone_stats__mean_speed" not in {one.subject for one in assess(ports).moved}  # it is missing throughout
