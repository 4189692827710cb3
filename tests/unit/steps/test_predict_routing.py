"""Canary and shadow: who answers, what is logged, and that nobody hears of a challenger's failures."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from perennial import keys
from perennial.errors import IncompleteError, RequestError, TransientError
from perennial.fakes import FakeCatalog, FakeObjectStore, FakePredictionLog, FixedClock
from perennial.ports import Ports
from perennial.records import Challenger, Champion
from perennial.serving.ids import make_request_id
from perennial.serving.predictors import GRACE, Predictors
from perennial.steps import predict
from tests.support.artifacts import MODEL, a_manifest, a_trip, linear_graph, register
from tests.support.records import AT


class Catalog(FakeCatalog):
    """A catalog whose champion has a challenger, and that can be out of reach."""

    challenger: Challenger | None = None
    unreachable = False
    reads = 0

    def champion(self, model: str) -> Champion | None:
        self.reads += 1
        if self.unreachable:
            raise TransientError("the catalog is busy")
        found = super().champion(model)
        return found and found.model_copy(update={"challenger": self.challenger})


@pytest.fixture
def world(ports: Ports) -> Ports:
    """Return a world in which version 1 serves and version 2, which says 1000 more, is registered."""
    world = replace(ports, catalog=Catalog())
    register(world)
    graph = linear_graph(bias=1003.0)
    register(world, a_manifest(graph, version=2), graph, champion=False)
    return world


def challenge(ports: Ports, weight: float = 0.0, *, shadow: bool = False, version: int = 2) -> None:
    registered = ports.catalog.version(MODEL, version)
    catalog: Any = ports.catalog
    catalog.challenger = Challenger(
        version=version,
        manifest_key=registered.manifest_key,
        manifest_sha256=registered.manifest_sha256,
        weight=weight,
        shadow=shadow,
        run_id="deploy-1",
        since=AT,
    )


def ask(ports: Ports, kept: Predictors | None = None, **changes: Any) -> predict.Answer:
    at = ports.clock.now()
    rows = changes.pop("rows", [a_trip()])
    request = predict.Request(MODEL, rows, make_request_id(at, bytes(10)), at, **changes)
    return predict.run(request, ports, kept)


def logged(ports: Ports) -> list[tuple[str, int, list[float], str]]:
    log = ports.log
    assert isinstance(log, FakePredictionLog)
    return [(each.route, each.version, list(each.values), each.error) for each in log.requests]


def test_the_challenger_answers_all_of_a_weight_of_one_under_its_own_name(world: Ports) -> None:
    challenge(world, 1.0)
    answer = ask(world)
    assert (answer.version, answer.route, answer.predictions[0]["value"]) == (2, "canary", 1028.0)
    assert answer.predictions[0]["prediction_id"].startswith("2-")
    assert logged(world) == [("canary", 2, [1028.0], "")]


def test_callers_stay_with_who_answered_them_first(world: Ports) -> None:
    challenge(world, 0.5)
    kept = Predictors()
    versions = {caller: ask(world, kept, route_key=str(caller)).version for caller in range(40)}
    assert set(versions.values()) == {1, 2}
    assert {caller: ask(world, kept, route_key=str(caller)).version for caller in range(40)} == versions


def test_without_a_key_the_entity_of_the_first_row_is_the_caller(world: Ports) -> None:
    challenge(world, 0.5)
    kept, versions = Predictors(), set()
    for zone in range(1, 30):
        of_zone = {
            ask(world, kept, rows=[a_trip(pickup_location_id=zone, trip_distance=miles)]).version for miles in (1, 2, 3)
        }
        assert len(of_zone) == 1
        versions |= of_zone
    assert versions == {1, 2}


def test_a_shadow_scores_the_same_rows_for_the_log_alone(world: Ports) -> None:
    challenge(world, shadow=True)
    answer = ask(world)
    assert (answer.version, answer.route, answer.predictions[0]["value"]) == (1, "champion", 28.0)
    assert logged(world) == [("champion", 1, [28.0], ""), ("shadow", 2, [1028.0], "")]
    first, second = world.log.requests  # type: ignore[attr-defined]
    assert first.request_id == second.request_id


class SlowStore(FakeObjectStore):
    """A store that takes a tenth of a second."""

    def get(self, key: str) -> bytes:
        time.sleep(0.1)
        return super().get(key)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_what_a_process_takes_to_load_a_version_is_not_time_of_the_request(world: Ports, weight: float) -> None:
    """A new version is loaded once in each process: that would count as slowness beside a champion that is loaded."""
    slow = SlowStore("slow")
    for key in world.artifacts.keys("models/"):
        slow.put(key, world.artifacts.get(key))
    challenge(world, weight, shadow=weight == 0)
    ask(replace(world, artifacts=slow))
    assert [each.milliseconds < 100 for each in world.log.requests] == [True] * (1 if weight else 2)  # type: ignore[attr-defined]


def break_second(world: Ports) -> None:
    world.artifacts.put(keys.artifact(MODEL, 2, "model.onnx"), b"something else")


def test_a_canary_that_fails_is_stood_in_for_by_the_champion_and_its_failure_is_logged(world: Ports) -> None:
    challenge(world, 1.0)
    break_second(world)
    answer = ask(world)
    assert (answer.version, answer.route, answer.predictions[0]["value"]) == (1, "champion", 28.0)
    assert logged(world) == [("champion", 1, [28.0], ""), ("canary", 2, [], "DataError")]


def test_a_shadow_that_fails_is_heard_of_by_the_log_alone(world: Ports) -> None:
    challenge(world, shadow=True)
    break_second(world)
    assert ask(world).version == 1
    assert logged(world) == [("champion", 1, [28.0], ""), ("shadow", 2, [], "DataError")]


def test_a_request_that_both_refuse_is_the_callers_fault_and_is_not_logged(world: Ports) -> None:
    challenge(world, 1.0)
    with pytest.raises(RequestError, match="trip_distance"):
        ask(world, rows=[a_trip(trip_distance=-1)])
    assert logged(world) == []


def test_a_canary_that_refuses_what_the_champion_takes_is_at_fault_itself(world: Ports) -> None:
    graph = linear_graph()
    strict = a_manifest(graph, version=3, required=("zone_stats__mean_speed",))
    register(world, strict, graph, champion=False)
    challenge(world, 1.0, version=3)
    assert ask(world).version == 1
    assert logged(world) == [("champion", 1, [28.0], ""), ("canary", 3, [], "IncompleteError")]


def test_a_version_that_is_named_has_no_challenger(world: Ports) -> None:
    challenge(world, 1.0, shadow=True)
    answer = ask(world, version=1)
    assert (answer.version, answer.route) == (1, "named")
    assert logged(world) == [("named", 1, [28.0], "")]


def test_the_champions_own_failure_is_logged_and_told(world: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(lookups: object) -> None:
        raise TransientError("the table is busy")

    monkeypatch.setattr(world.online, "read_many", busy)
    with pytest.raises(TransientError):
        ask(world)
    assert logged(world) == [("champion", 1, [], "TransientError")]


def test_a_missing_feature_is_said_so_row_by_row_unless_the_model_requires_it(world: Ports) -> None:
    speed = "zone_stats__mean_speed"
    first, second = ask(world, rows=[a_trip(), a_trip(**{speed: 20})]).predictions
    assert first["missing"] == [speed]
    assert "missing" not in second
    graph = linear_graph()
    register(world, a_manifest(graph, version=3, required=(speed,)), graph, champion=False)
    with pytest.raises(IncompleteError, match=speed) as caught:
        ask(world, rows=[a_trip(**{speed: 20}), a_trip()], version=3)
    assert caught.value.field == "instances[1]"
    assert ask(world, rows=[a_trip(**{speed: 20})], version=3).version == 3


def test_while_the_catalog_is_out_of_reach_the_known_pointer_counts_for_some_minutes(
    world: Ports, clock: FixedClock, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog: Any = world.catalog
    kept = Predictors(timedelta(seconds=5))
    assert ask(world, kept).version == 1
    catalog.unreachable = True
    clock.advance(seconds=6)
    reads = catalog.reads
    assert ask(world, kept).version == 1
    assert ask(world, kept).version == 1
    assert catalog.reads == reads + 1  # not by every request
    assert [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()] == ["pointer_kept"]
    clock.advance(seconds=GRACE.total_seconds() - 6.1)
    assert ask(world, kept).version == 1
    clock.advance(seconds=5)
    with pytest.raises(TransientError):
        ask(world, kept)
    catalog.unreachable = False
    assert ask(world, kept).version == 1


def test_an_unreachable_catalog_and_no_known_pointer_are_told(world: Ports) -> None:
    catalog: Any = world.catalog
    catalog.unreachable = True
    with pytest.raises(TransientError):
        ask(world)
