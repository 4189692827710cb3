"""Where something came from, and what was made of it."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from infra.lineage import tree
from perennial import keys
from perennial.client import Client
from perennial.client.lineage import Edge, Lineage, Node, draw_page, draw_svg, lineage_of
from perennial.errors import DataError, NotFoundError
from perennial.fakes import fake_ports
from perennial.manifest import Manifest
from perennial.ports import Ports
from perennial.records import Snapshot
from perennial.serving.ids import make_request_id
from perennial.steps import log_predictions
from tests.support.interruptions import copied
from tests.support.prediction_logs import a_request, lines_of
from tests.support.records import AT, a_snapshot, a_version
from tests.support.training_runs import world
from tests.support.whole_runs import ADA, ingested, small_world, trained

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def _world() -> Ports:
    """Two uploads, a version of the first and a version of both, of which the first serves and has answered."""
    ports = small_world()
    ingested(ports, "b.csv", 10)
    assert trained(ports, "train-2") == 2
    ports.catalog.promote("fare", 1, None, ports.clock.now(), "ada", "good")
    ports.clock.advance(days=2)  # type: ignore[attr-defined]
    for day in (0, 2):
        at = ports.clock.now() - timedelta(days=day)
        put_in_log(ports, make_request_id(at, bytes(9) + bytes([day])))
    return ports


@pytest.fixture
def ports(_world: Ports) -> Ports:
    """Return fakes that no other test sees."""
    return copied(_world)


def put_in_log(ports: Ports, request_id: str) -> None:
    manifest = Manifest.model_validate_json(ports.artifacts.get(keys.artifact("fare", 1, "manifest.json")))
    features = [[1.0] * len(manifest.features)]
    request = a_request(model="fare", request_id=request_id, features=features, values=[2.0], inputs={})
    assert log_predictions.run(log_predictions.Request(lines=lines_of([request])), ports).rows == 1


def snapshot(ports: Ports, name: str = "a.csv") -> Snapshot:
    (found,) = (one for one in ports.catalog.ever_published("rides") if one.source == f"s3://raw/rides/{name}")
    return found


def reached(lineage: Lineage, kind: str) -> set[str]:
    return {node.id.partition(":")[2] for node in lineage.nodes.values() if node.kind == kind}


def ancestors(lineage: Lineage, name: str) -> set[str]:
    before = set(lineage.before.get(name, ()))
    return before.union(*(ancestors(lineage, one) for one in before))


def test_a_prediction_leads_back_to_the_bytes_of_the_uploaded_file(ports: Ports) -> None:
    request = make_request_id(ports.clock.now(), bytes(10))
    put_in_log(ports, request)
    found = lineage_of(ports, f"1-{request}-0")
    assert found.thing == f"prediction:1-{request}-0"
    uploaded = ports.raw.get("rides/a.csv")
    (file,) = (node for node in found.nodes.values() if node.kind == "file")
    assert file.facts["sha256"] == hashlib.sha256(uploaded).hexdigest()
    assert ports.raw.versions("rides/a.csv") == [file.facts["version_id"]]
    assert Counter(found.nodes[name].kind for name in ancestors(found, found.thing)) == {
        "version": 1, "run": 1, "training_set": 1, "table": 1, "snapshot": 1, "file": 1,
    }  # fmt: skip
    table = next(node for node in found.nodes.values() if node.kind == "table")
    assert found.before[table.id] == [f"snapshot:{snapshot(ports).snapshot_id}"]


def test_a_file_leads_forward_to_the_versions_that_learnt_from_it_and_what_they_answered(ports: Ports) -> None:
    ports.catalog.note("fare", 2, "a note is no service", ports.clock.now(), "ada")
    found = lineage_of(ports, "rides/a.csv")
    assert reached(found, "version") == {"fare@1", "fare@2"}
    assert found.nodes["version:fare@1"].facts["service"] == "serves"
    assert found.nodes["version:fare@2"].facts["service"] == "never served"
    assert found.nodes["predictions:fare@1"].facts["predictions_by_day"] == {"2019-03-01": 1, "2019-03-03": 1}
    assert reached(lineage_of(ports, "s3://raw/rides/b.csv"), "version") == {"fare@2"}


def test_each_name_of_a_thing_finds_it(ports: Ports) -> None:
    one, made = snapshot(ports).snapshot_id, ports.catalog.version("fare", 1).training_set.training_set_id
    expected = {
        "fare@2": "version:fare@2",
        " fare 2": "version:fare@2",
        one: f"snapshot:{one}",
        one[:9]: f"snapshot:{one}",
        made: f"training_set:{made}",
        "train-1": "run:train-1",
        "ingest-a": "run:ingest-a.csv",
        "rides/b.csv": "file:s3://raw/rides/b.csv",
    }
    assert {name: lineage_of(ports, name).thing for name in expected} == expected


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("fare@9", NotFoundError, "no version 9"),
        ("nothing", NotFoundError, "there is no 'nothing'; name a prediction id, MODEL@VERSION"),
        ("rides/c.csv", NotFoundError, "nothing was made of s3://raw/rides/c.csv"),
        (f"1-{make_request_id(AT, bytes([7] * 10))}-0", NotFoundError, "no model logged a prediction"),
        ("train", DataError, "2 runs begin with 'train'"),
        ("", NotFoundError, "a blank names nothing"),
    ],
)
def test_what_is_not_there_or_is_several_is_said(
    ports: Ports, name: str, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        lineage_of(ports, name)


def test_a_version_is_made_from_one_run_and_one_training_set_and_its_run_is_what_led_to_it(ports: Ports) -> None:
    found = lineage_of(ports, "fare@2")
    assert reached(found, "snapshot") == {snapshot(ports).snapshot_id, snapshot(ports, "b.csv").snapshot_id}
    assert reached(found, "run") == {"train-2"}
    of_run = lineage_of(ports, "train-2")
    assert list(of_run.after["run:train-2"]) == ["version:fare@2"]
    of_upload = lineage_of(ports, "ingest-b.csv")
    assert list(of_upload.after[of_upload.thing]) == [f"snapshot:{snapshot(ports, 'b.csv').snapshot_id}"]
    assert reached(of_upload, "version") == {"fare@2"}


def test_what_was_read_is_shown_also_when_something_else_is_live(ports: Ports) -> None:
    before = lineage_of(ports, "fare@1").to_json()
    old = ports.catalog.version("fare", 1).training_set.snapshots
    ports.raw.put("rides/a.csv", b"began,zone,miles\n2019-01-01,1,5\n")
    from perennial.steps import ingest

    ingest.run(ingest.Request(run_id="later", bucket="raw", key="rides/a.csv"), ports)
    assert {one.snapshot_id for one in ports.catalog.snapshots("rides")[0]}.isdisjoint(old)
    assert lineage_of(ports, "fare@1").to_json() == before


def test_the_same_lineage_without_the_record_of_inputs(ports: Ports) -> None:
    """As of a version that was trained before they were kept."""
    exact = lineage_of(ports, "fare@2").to_json()
    for key in ports.artifacts.keys("training-inputs/"):
        ports.artifacts.delete(key)
    assert lineage_of(ports, "fare@2").to_json() == exact


def test_it_is_json_with_every_edge_between_nodes_that_are_there(ports: Ports) -> None:
    content = json.loads(json.dumps(lineage_of(ports, "rides/a.csv").to_json()))
    names = {node["id"] for node in content["nodes"]}
    assert content["thing"] in names
    assert {end for edge in content["edges"] for end in edge.values()} <= names


def many(count: int = 200) -> Ports:
    """Return fakes with many snapshots, a month each, and one version that learnt from all."""
    ports = fake_ports(world())
    for number in range(count):
        month = datetime(2003 + number // 12, number % 12 + 1, 1, tzinfo=UTC)
        one = a_snapshot(f"{number:03d}-snapshot", min_event_time=month, max_event_time=month)
        ports.catalog.publish_snapshot(one)
    names = tuple(one.snapshot_id for one in ports.catalog.snapshots("trips")[0])
    version = a_version()
    learnt = version.training_set.model_copy(update={"snapshots": names})
    ports.catalog.publish_version(version.model_copy(update={"training_set": learnt}))
    return ports


def test_many_siblings_are_one_node_that_says_how_many_and_from_when_to_when() -> None:
    whole = lineage_of(many(), "fare@1")
    assert Counter(node.kind for node in whole.nodes.values())["snapshot"] == 200
    short = whole.collapsed()
    titles = {node.kind: node.title for node in short.nodes.values()}
    assert titles["snapshot"] == "200 snapshots, 2003-01 … 2019-08"
    assert titles["file"] == "200 files, 000-snapshot.csv … 199-snapshot.csv"
    assert len(short.nodes) == 4
    assert len(short.edges) == 3
    assert whole.collapsed(200).nodes.keys() == whole.nodes.keys()


def test_siblings_that_lead_elsewhere_are_not_taken_together() -> None:
    kinds = {"v": "version", "t": "training_set", "w0": "table", "w1": "table"}
    kinds |= {f"s{n}": "snapshot" for n in range(8)}
    nodes = {name: Node(name, kind, name) for name, kind in kinds.items()}
    edges = {Edge("t", "v"), Edge("w0", "t"), Edge("w1", "t")} | {Edge(f"s{n}", f"w{n // 4}") for n in range(8)}
    short = Lineage("v", nodes, frozenset(edges)).collapsed(3)
    assert {node.title for node in short.nodes.values() if node.kind == "snapshot"} == {
        "4 snapshots, s0 … s3",
        "4 snapshots, s4 … s7",
    }
    assert len(short.edges) == 5


def test_a_picture_of_many_snapshots_is_small_and_its_boxes_do_not_overlap() -> None:
    found = lineage_of(many(), "fare@1")
    picture = ET.fromstring(draw_svg(found))
    boxes = [
        {side: float(rect.attrib[side]) for side in ("x", "y", "width", "height")}
        for rect in picture.iter(f"{SVG}rect")
        if "x" in rect.attrib
    ]
    assert len(boxes) == 4
    assert float(picture.attrib["width"]) < 1400
    whole = ET.fromstring(draw_svg(found, most=1000))
    places = [(rect.attrib["x"], float(rect.attrib["y"])) for rect in whole.iter(f"{SVG}rect") if "x" in rect.attrib]
    assert len(places) == 402
    for column in {x for x, _ in places}:
        heights = sorted(y for x, y in places if x == column)
        assert all(below - above >= 60 for above, below in pairwise(heights))


def test_each_thing_is_drawn_right_of_what_it_was_made_from(ports: Ports) -> None:
    found = lineage_of(ports, "fare@2")
    picture = ET.fromstring(draw_svg(found))
    x = {
        group.find(f"{SVG}title").text: float(group.find(f"{SVG}rect").attrib["x"])  # type: ignore[union-attr]
        for group in picture.iter(f"{SVG}g")
    }
    assert len(x) == len(found.nodes)
    for edge in found.edges:
        assert x[found.nodes[edge.source].title] < x[found.nodes[edge.target].title]


def test_names_are_escaped_in_picture_and_page() -> None:
    node = Node("file:x", "file", "<script>alert('&')</script>")
    lineage = Lineage("file:x", {"file:x": node}, frozenset())
    for drawn in (draw_svg(lineage), draw_page(lineage)):
        assert "<script" not in drawn
        assert "&lt;script&gt;" in drawn


def test_the_terminal_shows_both_directions_and_brackets_as_they_are(ports: Ports) -> None:
    console = Console(file=io.StringIO(), width=200)
    for part in tree(lineage_of(ports, snapshot(ports).snapshot_id).collapsed()):
        console.print(part)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.index("made from") < text.index("s3://raw/rides/a.csv, version") < text.index("made from it")
    assert "fare@1, ridge, serves" in text
    assert "2 predictions logged on 2 of the last 30 days" in text


def test_forward_lookups_ask_for_versions_and_scan_nothing(ports: Ports) -> None:
    asked: Counter[str] = Counter()

    class Counting:
        def __getattr__(self, name: str) -> object:
            asked[name] += 1
            return getattr(ports.catalog, name)

    lineage_of(replace(ports, catalog=Counting()), "rides/a.csv")
    assert asked == {"ever_published": 1, "models": 1, "versions": 1, "champion": 1, "audit": 1, "runs": 1}


def test_an_erasure_s_stand_in_leads_back_to_the_original(ports: Ports) -> None:
    from perennial.steps import forget

    key = keys.forget_request("forget-1")
    ports.artifacts.put(key, b'{"values": {"miles": "1.5"}}')
    before = snapshot(ports).snapshot_id
    forget.run(forget.Request(run_id="forget-1", dataset="rides", request_key=key, trigger=ADA), ports)
    (left,) = (one for one in ports.catalog.ever_published("rides") if one.rewritten_from == before)
    assert f"snapshot:{before}" in lineage_of(ports, left.snapshot_id).before[f"snapshot:{left.snapshot_id}"]
    assert f"snapshot:{left.snapshot_id}" in lineage_of(ports, before).after[f"snapshot:{before}"]


def test_the_lineage_of_a_run_can_be_taken_together_although_much_of_it_is_reached_over_what_it_made(
    ports: Ports,
) -> None:
    whole = lineage_of(ports, "train-2")

    assert whole.collapsed(200).nodes.keys() == whole.nodes.keys()
    assert len(whole.collapsed(1).nodes) < len(whole.nodes)


def test_the_notebook_example_of_the_page_runs(ports: Ports) -> None:
    page = (Path(__file__).parents[3] / "docs" / "lineage.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {"client": Client(ports)}
    exec(example.replace("taxi_fare@3", "fare@2"), names)
    found = names["found"]
    assert isinstance(found, Lineage)
    assert found.thing == "version:fare@2"
