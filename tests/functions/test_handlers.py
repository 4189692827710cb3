"""Each handler, driven by its sample event over fakes; together they are the whole loop."""

from __future__ import annotations

import ast
import base64
import csv
import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import functions.admit
import functions.advance
import functions.ask_approval
import functions.backfill
import functions.batch
import functions.batch_predict
import functions.collect
import functions.describe
import functions.evaluate
import functions.fail
import functions.features
import functions.feedback
import functions.gather
import functions.ingest
import functions.log_predictions
import functions.monitor
import functions.predict
import functions.promote
import functions.register
import functions.score
import functions.search
import functions.settle_approval
import functions.smoke
import functions.tell
import functions.training_set
from perennial import keys
from perennial.aws.handler import logger
from perennial.errors import DefinitionError, TransientError
from perennial.fakes import FakeObjectStore, FakePeople, FixedClock
from perennial.ports import Ports
from perennial.steps.backfill import part_run
from perennial.training.submission import Submission
from tests.functions.conftest import EVENTS, event, trips_csv
from tests.support.artifacts import linear_graph
from tests.support.bulk import read_parquet
from tests.support.prediction_logs import deliver

FUNCTIONS = Path(functions.ingest.__file__).parent
STEPS = ("ingest", "features", "admit", "training_set", "train", "evaluate", "register", "smoke", "advance", "promote")
OF_OTHERS = ("describe", "predict", "feedback", "monitor", "log_predictions", "tell")
"""The verbs whose events are made by services, in forms of their own."""
HANDLERS: dict[str, Callable[..., dict[str, Any]]] = {
    "ingest": functions.ingest.handler,
    "backfill": functions.backfill.handler,
    "gather": functions.gather.handler,
    "features": functions.features.handler,
    "batch_predict": functions.batch_predict.handler,
    "score": functions.score.handler,
    "collect": functions.collect.handler,
    "admit": functions.admit.handler,
    "training_set": functions.training_set.handler,
    "search": functions.search.handler,
    "evaluate": functions.evaluate.handler,
    "register": functions.register.handler,
    "ask_approval": functions.ask_approval.handler,
    "settle_approval": functions.settle_approval.handler,
    "smoke": functions.smoke.handler,
    "advance": functions.advance.handler,
    "promote": functions.promote.handler,
    "fail": functions.fail.handler,
    "predict": functions.predict.handler,
    "feedback": functions.feedback.handler,
    "describe": functions.describe.handler,
    "log_predictions": functions.log_predictions.handler,
    "monitor": functions.monitor.handler,
    "tell": functions.tell.handler,
}


def call(verb: str, ports: Ports, **changes: Any) -> dict[str, Any]:
    """Call a handler with its sample event, as Lambda would; what it returns is plain JSON."""
    result = HANDLERS[verb](event(verb, **changes), None, ports)
    json.dumps(result, allow_nan=False)
    return result


def up_to(last: str, ports: Ports) -> dict[str, Any]:
    """Run the steps in their order up to one of them and return what that one said."""
    result: dict[str, Any] = {}
    for verb in STEPS[: STEPS.index(last) + 1]:
        if verb == "train":
            assert functions.batch.main([verb, (EVENTS / "train.json").read_text(encoding="utf-8")], ports) == 0
        else:
            result = call(verb, ports)
    return result


def answer_of(response: dict[str, Any]) -> tuple[int, Any]:
    return response["statusCode"], json.loads(response["body"])


def test_ingest_publishes_the_upload(uploaded: Ports) -> None:
    found = up_to("ingest", uploaded)
    assert (found["dataset"], found["rows"], found["rejected"], found["published"]) == ("taxi_trips", 400, 0, True)


def test_features_fills_the_views(uploaded: Ports) -> None:
    found = up_to("features", uploaded)
    # One row for each zone and month: the 400 trips began in all 265 zones, within one month.
    assert found["views"] == {"zone_stats": 265}
    assert uploaded.catalog.run("ingest-2019-03").status == "succeeded"


def test_a_backfill_ingests_the_upload_that_is_there_and_adds_it_up(uploaded: Ports) -> None:
    assert call("backfill", uploaded) == {"run_id": "backfill-1", "dataset": "taxi_trips"}
    key = event("ingest")["key"]
    ingested = call("ingest", uploaded, run_id=part_run("backfill-1", key), part_of="backfill-1")
    found = call("gather", uploaded)
    assert (ingested["rows"], found["rows"], found["uploads"], found["refused"]) == (400, 400, 1, 0)
    assert found["published"]
    assert found["dataset_bytes"] == uploaded.catalog.snapshots("taxi_trips")[0][0].size
    assert uploaded.catalog.run(part_run("backfill-1", key)).status == "succeeded"
    call("features", uploaded, run_id="backfill-1")
    run = uploaded.catalog.run("backfill-1")
    assert (run.status, run.outputs["uploads"], run.outputs["refused"]) == ("succeeded", 1, 0)


def test_the_container_forgets_what_the_request_names(uploaded: Ports) -> None:
    up_to("features", uploaded)
    asked = {"values": {"pickup_location_id": "1"}}
    uploaded.artifacts.put(event("forget")["request_key"], json.dumps(asked).encode())
    assert functions.batch.main(["forget", json.dumps(event("forget"))], uploaded) == 0
    found = uploaded.catalog.step("forget-1", "forget").output
    assert found["published"]
    (left,) = uploaded.catalog.snapshots("taxi_trips")[0]
    # 1 + 13 * n % 265 is 1 for every 265th of the 400 rows.
    assert left.rows == 400 - 2
    assert not uploaded.artifacts.exists(event("forget")["request_key"])


def test_the_container_makes_a_version_again(uploaded: Ports) -> None:
    up_to("register", uploaded)
    assert functions.batch.main(["rebuild", json.dumps(event("rebuild"))], uploaded) == 0
    found = uploaded.catalog.step("rebuild-1", "rebuild").output
    assert (found["identical"], found["findings"]) == (True, [])
    assert functions.batch.main(["rebuild", json.dumps(event("rebuild", version=7))], uploaded) == 10


def test_admit_lets_the_first_model_be_trained(uploaded: Ports) -> None:
    found = up_to("admit", uploaded)
    assert (found["admitted"], found["candidates"]) == (True, ["ridge"])


def test_training_set_splits_by_time(uploaded: Ports) -> None:
    found = up_to("training_set", uploaded)
    assert (found["rows_train"] + found["rows_holdout"], found["rows_holdout"]) == (400, 7 * 24 + 1)


def test_a_search_is_planned_and_its_trials_find_the_parameters(searchable: Ports) -> None:
    assert up_to("admit", searchable)["searches"]
    planned = up_to("training_set", searchable) and call("search", searchable)
    while not planned["done"]:
        behind = {name: planned[name] for name in ("round", "sha256")}
        for index in range(planned["trials"]):
            asked = event("trial", **behind, index=index)
            assert functions.batch.main(["trial", json.dumps(asked)], searchable) == 0
        planned = call("search", searchable, **behind)
    assert planned["reason"] == "all 3 parameter sets were tried (search.trials)"
    assert set(searchable.catalog.step("train-1", "search").output["candidates"]) == {"ridge"}


def test_a_child_of_an_array_job_does_the_task_of_its_index(searchable: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    up_to("training_set", searchable)
    planned = call("search", searchable)
    asked = {name: planned[name] for name in ("run_id", "model", "round", "sha256")}
    monkeypatch.setenv("AWS_BATCH_JOB_ARRAY_INDEX", "1")
    assert functions.batch.main(["trial", json.dumps(asked)], searchable) == 0
    trials = [key.rpartition("/")[2] for key in searchable.artifacts.keys("trials/taxi_fare/train-1/ridge/")]
    assert "00001-0.json" in trials
    assert "00000-0.json" not in trials


def test_evaluate_judges_the_candidates(uploaded: Ports) -> None:
    found = up_to("evaluate", uploaded)
    assert found["candidate"] == "ridge"
    assert found["passed"]


def test_register_gives_the_first_version_its_number(uploaded: Ports) -> None:
    found = up_to("register", uploaded)
    assert (found["version"], found["passed"]) == (1, True)
    assert uploaded.catalog.run("train-1").status == "succeeded"


def test_an_alarm_is_told_to_people(ports: Ports) -> None:
    assert isinstance(ports.people, FakePeople)
    found = call("tell", ports)
    assert found == {"alarm": "test-taxi_fare-needs-attention", "subject": "taxi_fare needs attention"}
    ((_, text),) = ports.people.messages
    assert "- PerformanceRatio: the predictions are worse than was promised" in text


def test_a_version_waits_for_a_person_who_is_heard(uploaded: Ports, caplog: pytest.LogCaptureFixture) -> None:
    up_to("register", uploaded)
    caplog.clear()
    asked = call("ask_approval", uploaded)
    assert uploaded.catalog.version("taxi_fare", 1).stage == "staging"
    secret = event("ask_approval")["token"]
    assert uploaded.catalog.approval_token("taxi_fare", 1) == secret
    assert caplog.records
    assert secret not in json.dumps(asked) + repr([vars(record) for record in caplog.records])
    uploaded.catalog.decide("taxi_fare", 1, "approved", uploaded.clock.now(), "ada", "looks well")
    settled = call("settle_approval", uploaded)
    assert settled["approved"]
    assert "approved by ada" in settled["sentence"]


def test_an_alias_in_the_path_answers_for_its_version(uploaded: Ports) -> None:
    up_to("register", uploaded)
    uploaded.catalog.set_alias("taxi_fare", "shadow", 1, uploaded.clock.now(), "ada")
    path = {"model": "taxi_fare", "version": "shadow"}
    status, body = answer_of(call("predict", uploaded, pathParameters=path))
    assert (status, body["version"]) == (200, 1)
    assert answer_of(call("predict", uploaded, pathParameters={**path, "version": "sunny"}))[0] == 404


def test_smoke_and_promote_let_the_version_serve(uploaded: Ports) -> None:
    assert up_to("smoke", uploaded)["rows"] > 0
    assert call("advance", uploaded)["next"] == "promote"
    assert call("promote", uploaded)["previous"] is None
    champion = uploaded.catalog.champion("taxi_fare")
    assert champion is not None
    assert champion.version == 1


def test_the_container_takes_a_submission_in_the_candidates_place(uploaded: Ports) -> None:
    up_to("features", uploaded)
    views = uploaded.definitions.model("taxi_fare").features
    features = tuple(f"{view}__{column}" for view, columns in views.items() for column in columns)
    graph = linear_graph([2.0 * (name == "trip_context__distance") for name in features], 3.0)
    submission = Submission(
        model="taxi_fare",
        experiment="try-1",
        parameters={},
        features=features,
        onnx_sha256=hashlib.sha256(graph).hexdigest(),
        libraries={},
    )
    content = submission.model_dump_json().encode()
    named = hashlib.sha256(content).hexdigest()
    uploaded.artifacts.put(keys.submission("taxi_fare", named, "candidate.json"), content)
    uploaded.artifacts.put(keys.submission("taxi_fare", named, "model.onnx"), graph)
    assert call("admit", uploaded, submission=named)["candidates"] == ["submitted"]
    call("training_set", uploaded)
    request = event("take_submission", submission=named)
    assert functions.batch.main(["take_submission", json.dumps(request)], uploaded) == 0
    found = call("evaluate", uploaded)
    assert (found["candidate"], found["passed"]) == ("submitted", True)
    assert found["metrics"]["mae"] < 0.01, "the trips were made with this price"
    assert call("register", uploaded)["version"] == 1


@pytest.mark.parametrize("submission", ["../models", "0" * 63, None])
def test_a_submission_that_is_no_hash_is_refused(submission: object, ports: Ports) -> None:
    with pytest.raises(DefinitionError, match="admit: submission"):
        call("admit", ports, submission=submission)


def test_fail_closes_the_run_with_the_errors_sentence(ports: Ports) -> None:
    assert call("fail", ports) == {"run_id": "train-2"}
    run = ports.catalog.run("train-2")
    assert run.status == "failed"
    assert "its SHA-256 is not the recorded one" in (run.error or "")


def test_predict_feedback_and_monitor_close_the_loop(uploaded: Ports) -> None:
    up_to("promote", uploaded)
    status, answer = answer_of(call("predict", uploaded))
    assert (status, answer["model"], answer["version"]) == (200, "taxi_fare", 1)
    values = [prediction["value"] for prediction in answer["predictions"]]
    assert values == pytest.approx([3 + 2 * 2.5, 3 + 2 * 11.2], abs=0.3)  # the price that the trips were made with

    labels = [{"prediction_id": made["prediction_id"], "label": made["value"] + 1} for made in answer["predictions"]]
    body = json.dumps({"labels": labels})
    assert answer_of(call("feedback", uploaded, body=body)) == (202, {"accepted": 2, "duplicates": 0, "unlogged": 2})
    assert deliver(uploaded).rows == 2
    assert answer_of(call("feedback", uploaded, body=body)) == (202, {"accepted": 0, "duplicates": 2, "unlogged": 0})

    found = call("monitor", uploaded)
    assert found["batchItemFailures"] == []
    assessment = found["assessed"]["taxi_fare"]
    assert (assessment["rows"], assessment["labelled"]) == (2, 2)
    assert assessment["performance"] == pytest.approx(1.0)
    assert len(uploaded.catalog.assessments("taxi_fare")) == 1  # two messages about one model are one look at it


def test_describe_tells_of_the_version_that_the_event_names(uploaded: Ports) -> None:
    up_to("register", uploaded)
    status, told = answer_of(call("describe", uploaded))
    assert (status, told["version"], told["stage"], told["run_id"]) == (200, 1, "candidate", "train-1")
    assert told["inputs"]["trip_distance"]["min"] == 0.1


def test_what_predict_printed_comes_to_the_log(uploaded: Ports) -> None:
    up_to("promote", uploaded)
    found = call("log_predictions", uploaded)
    assert (found["rows"], found["unreadable"]) == (2, 0)
    assert [key.rpartition("/")[0] for key in found["parts"]] == [
        "predictions/model=taxi_fare/version=1/date=2019-03-01"
    ]
    assert call("log_predictions", uploaded) == found
    assert uploaded.artifacts.keys("predictions/") == found["parts"]


def test_an_upload_below_predict_is_answered_row_by_row_as_the_api_answers_it(uploaded: Ports) -> None:
    up_to("promote", uploaded)
    uploaded.raw.put(event("batch_predict")["upload"]["key"], gzip.compress(trips_csv(3), mtime=0))
    planned = call("batch_predict", uploaded)
    which = {"bulk_id": planned["bulk_id"]}
    assert call("score", uploaded, **which)["chunks"] == 1
    collected = call("collect", uploaded, **which)
    assert (collected["rows"], collected["rejected"], collected["version"]) == (3, 0, 1)
    run = uploaded.catalog.run("batch-predict-1")
    assert (run.kind, run.subject, run.status) == ("batch_predict", "taxi_fare", "succeeded")
    (part,) = uploaded.artifacts.keys(f"bulk/taxi_fare/{planned['bulk_id']}/parts/")
    rows = read_parquet(uploaded.artifacts.get(part))
    names = uploaded.definitions.dataset("taxi_trips").columns
    lines = list(csv.DictReader(trips_csv(3).decode().splitlines()))
    instances = [
        {name: (text if "datetime" in name or name == "store_and_fwd_flag" else json.loads(text)) if text else None
         for name, text in line.items() if name in names}
        for line in lines
    ]  # fmt: skip
    status, answer = answer_of(call("predict", uploaded, body=json.dumps({"instances": instances})))
    assert status == 200
    assert [row["value"] for row in rows] == [one["value"] for one in answer["predictions"]]
    assert [(row["file"], row["row"]) for row in rows] == [("trips_2019-03.csv.gz", line) for line in (2, 3, 4)]


def test_a_version_in_the_path_is_the_one_that_answers(uploaded: Ports) -> None:
    up_to("register", uploaded)  # registered, but not serving
    path = {"model": "taxi_fare", "version": "1"}
    assert answer_of(call("predict", uploaded, pathParameters=path))[0] == 200
    assert answer_of(call("predict", uploaded))[0] == 404
    for version in ("2", "0", "-1", "one", "²", "9" * 5000):
        status, body = answer_of(call("predict", uploaded, pathParameters={**path, "version": version}))
        assert (status, body["title"]) == (404, "Not Found")


def test_a_body_in_base64_is_decoded(uploaded: Ports) -> None:
    up_to("promote", uploaded)
    encoded = base64.b64encode(event("predict")["body"].encode()).decode()
    assert answer_of(call("predict", uploaded, body=encoded, isBase64Encoded=True))[0] == 200
    status, body = answer_of(call("predict", uploaded, body="*", isBase64Encoded=True))
    assert (status, body["field"]) == (400, "body")


def test_a_fault_in_a_request_is_a_problem_that_names_the_field(uploaded: Ports) -> None:
    up_to("promote", uploaded)
    rows = json.loads(event("predict")["body"])["instances"]
    rows[1]["trip_distance"] = -1
    response = call("predict", uploaded, body=json.dumps({"instances": rows}))
    assert response["headers"]["Content-Type"] == "application/problem+json"
    assert answer_of(response) == (
        400,
        {
            "type": "about:blank",
            "title": "Bad Request",
            "status": 400,
            "detail": "instances[1].trip_distance is -1, which is below 0.1",
            "field": "instances[1].trip_distance",
        },
    )


def test_too_many_rows_are_a_413_and_an_unknown_prediction_is_a_404(uploaded: Ports, clock: FixedClock) -> None:
    up_to("promote", uploaded)
    clock.advance(days=1)  # by then it would be in the log
    row = json.loads(event("predict")["body"])["instances"][0]
    assert answer_of(call("predict", uploaded, body=json.dumps({"instances": [row] * 1001})))[0] == 413
    status, body = answer_of(call("feedback", uploaded))
    assert (status, body["field"]) == (404, "labels[0].prediction_id")


def test_an_artifact_that_was_changed_is_a_500_that_leaks_nothing(uploaded: Ports) -> None:
    up_to("promote", uploaded)
    uploaded.artifacts.put("models/taxi_fare/1/model.flat", b"something else")
    status, body = answer_of(call("predict", uploaded))
    assert status == 500
    assert "SHA-256" not in body["detail"]
    assert "flat" not in str(body)


def test_a_busy_service_is_a_503(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(model: str) -> None:
        raise TransientError("dynamodb: ThrottlingException")

    monkeypatch.setattr(ports.catalog, "champion", busy)
    status, body = answer_of(call("predict", ports))
    assert status == 503
    assert "dynamodb" not in str(body)


def test_monitor_looks_at_all_models_when_the_schedule_calls(uploaded: Ports) -> None:
    up_to("promote", uploaded)
    found = functions.monitor.handler({"model": None}, None, uploaded)
    assert list(found["assessed"]) == ["taxi_fare"]


def test_the_messages_of_a_model_whose_assessment_fails_stay_in_the_queue(uploaded: Ports) -> None:
    up_to("promote", uploaded)
    uploaded.artifacts.put("models/taxi_fare/1/manifest.json", b"{}")
    found = call("monitor", uploaded)
    messages = [record["messageId"] for record in event("monitor")["Records"]]
    assert found == {"assessed": {}, "batchItemFailures": [{"itemIdentifier": message} for message in messages]}


@pytest.mark.parametrize("body", ["{}", "not json", json.dumps({"detail": {"object": {"key": "models/taxi_fare/1"}}})])
def test_a_message_about_something_else_shows_that_the_rule_is_wrong(ports: Ports, body: str) -> None:
    with pytest.raises(DefinitionError, match="mend"):
        functions.monitor.handler({"Records": [{"messageId": "1", "body": body}]}, None, ports)


@pytest.mark.parametrize("verb", [verb for verb in HANDLERS if verb not in OF_OTHERS])
def test_an_event_of_another_shape_is_refused_by_name(verb: str, ports: Ports) -> None:
    with pytest.raises(DefinitionError, match=rf"{verb}: run_id: field required"):
        HANDLERS[verb]({}, None, ports)


def test_an_error_reaches_the_state_machine_by_the_name_of_its_class(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise TransientError("dynamodb: ThrottlingException")

    monkeypatch.setattr(ports.catalog, "snapshots", busy)
    with pytest.raises(TransientError):
        call("admit", ports)


def test_each_call_of_a_step_is_one_line_of_json_in_the_log(ports: Ports, caplog: pytest.LogCaptureFixture) -> None:
    call("fail", ports)
    (record,) = caplog.records
    line = json.loads(logger().registered_handler.format(record))
    assert (line["message"], line["step"], line["run_id"]) == ("done", "fail", "train-2")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["fail", json.dumps({"run_id": "r", "kind": "train", "subject": "taxi_fare"})], 0),
        (["train", json.dumps({"run_id": "nowhere", "model": "taxi_fare", "candidate": "ridge"})], 10),
        (["train", "{}"], 10),
        (["train", "not json"], 10),
        (["train"], 10),
        (["os.path", "{}"], 10),
    ],
)
def test_the_container_says_by_its_exit_code_what_went_wrong(arguments: list[str], code: int, ports: Ports) -> None:
    assert functions.batch.main(arguments, ports) == code


def test_the_container_asks_for_another_try_when_a_service_was_busy(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise TransientError("dynamodb: ThrottlingException")

    monkeypatch.setattr(ports.catalog, "start_run", busy)
    assert functions.batch.main(["fail", json.dumps({"run_id": "r", "kind": "train", "subject": "x"})], ports) == 20


def test_the_container_runs_whatever_a_function_runs(ports: Ports) -> None:
    ports.raw.put(event("ingest")["key"], gzip.compress(b"no such columns\n", mtime=0))
    assert functions.batch.main(["ingest", json.dumps(event("ingest"))], ports) == 10
    assert isinstance(ports.raw, FakeObjectStore)


@pytest.mark.parametrize("path", sorted(FUNCTIONS.glob("*.py")), ids=lambda path: path.stem)
def test_an_entrypoint_is_short_and_has_a_sample_event(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 40
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if path.stem != "batch":
        assert (EVENTS / f"{path.stem}.json").is_file()
