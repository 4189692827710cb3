"""What holds for the machines that change data: a function or a job by size; uploads one by one, or all."""

from __future__ import annotations

import re
from typing import Any

from infra.stage import STAGES
from perennial.steps.backfill import part_run
from tests.infra.synthesised import Synthesised, states


def leads_to(machine: dict[str, Any], state: str) -> list[str]:
    """Return the states that follow from one, without choices and errors."""
    found = []
    while state:
        found.append(state)
        state = machine["States"][state].get("Next", "")
    return found


def test_much_data_is_a_job_s_and_little_a_function_s(stack: Synthesised) -> None:
    limit = STAGES[stack.name.removeprefix("perennial-")].batch_bytes  # type: ignore[index]
    sizes = {
        ("ingest", "ingest"): "$.size",
        ("ingest", "features"): "$.ingest.output.dataset_bytes",
        ("backfill", "features"): "$.gather.output.dataset_bytes",
        ("forget", "features"): "$.forget.output.dataset_bytes",
        ("train", "training_set"): "$.admit.output.dataset_bytes",
        ("batch_predict", "score"): "$.batch_predict.output.size",
    }
    for (verb, step), size in sizes.items():
        machine = stack.machines()[verb]
        choice = machine["States"][f"{step} size"]
        (rule,) = choice["Choices"]
        # Whoever starts a machine by hand may leave the size out.
        assert rule["And"] == [
            {"Variable": size, "IsPresent": True},
            {"Variable": size, "IsNumeric": True},
            {"Variable": size, "NumericGreaterThan": limit},
        ]
        assert (rule["Next"], choice["Default"]) == (f"{step} job request", step)
        function, job = machine["States"][step], machine["States"][f"{step} job"]
        assert job["Parameters"]["Parameters"]["step"] == step
        request = machine["States"][f"{step} job request"]["Parameters"]
        assert request == function["Parameters"]["Payload"], "the same request"
        assert job["ResultPath"] == "$.job", "what the states before it found is still there after it"
        assert leads_to(machine, f"{step} job")[-1] == leads_to(machine, step)[-1]


def test_what_is_too_large_for_a_function_after_all_is_done_by_the_job_with_the_same_request(
    stack: Synthesised,
) -> None:
    # Developer Guide, "Handle Lambda service exceptions": "unhandled errors in Lambda are reported as Lambda.Unknown.
    # These include out-of-memory errors and function timeouts"; where Lambda names an error, that is the error's name.
    ends = {"States.Timeout", "Sandbox.Timedout", "Runtime.ExitError", "Runtime.OutOfMemory", "Lambda.Unknown"}
    sized = []
    for verb, machine in stack.machines().items():
        for name, state in states(machine):
            if f"{name} job" in dict(states(machine)):
                sized.append((verb, name))
                first, last = state["Catch"]
                assert ends <= set(first["ErrorEquals"]), f"{verb}: {name}"
                assert {"MemoryError", "OSError"} <= set(first["ErrorEquals"]), f"{verb}: {name}"
                assert not {"DataError", "DefinitionError", "States.ALL", "States.TaskFailed"} & {*first["ErrorEquals"]}
                assert first["Next"] == f"{name} job request"
                assert first["ResultPath"] == "$.too_large", "the input is still there"
                assert last["ErrorEquals"] == ["States.ALL"]
    assert set(sized) == {
        ("ingest", "ingest"),
        ("ingest", "features"),
        ("backfill", "ingest"),
        ("backfill", "features"),
        ("forget", "features"),
        ("train", "training_set"),
        ("batch_predict", "score"),
    }


def test_what_a_job_returned_is_read_from_the_catalog_and_stands_where_a_function_s_answer_does(
    stack: Synthesised,
) -> None:
    for verb, step in (("ingest", "ingest"), ("forget", "forget")):
        found = stack.machines()[verb]["States"]
        record = found[f"{step} record"]
        assert record["Parameters"]["Key"] == {
            "pk": {"S.$": "States.Format('RUN#{}', $$.Execution.Name)"},
            "sk": {"S": f"STEP#{step}"},
        }
        assert record["Parameters"]["ConsistentRead"] is True
        assert (record["ResultSelector"], record["ResultPath"]) == (
            {"record.$": "States.StringToJson($.Item.body.S)"},
            f"$.{step}",
        )
        result = found[f"{step} result"]
        assert (result["Parameters"], result["ResultPath"]) == ({"output.$": f"$.{step}.record.output"}, f"$.{step}")


def test_a_folder_made_in_a_console_is_no_upload(stack: Synthesised) -> None:
    rules = stack.properties("AWS::Events::Rule").values()
    (uploads,) = [rule for rule in rules if rule.get("Description") == "An upload starts ingest"]
    assert uploads["EventPattern"]["detail"]["object"] == {"key": [{"anything-but": {"wildcard": ["*/", "predict/*"]}}]}


def test_what_is_uploaded_below_predict_is_predicted_and_a_folder_there_is_no_upload(stack: Synthesised) -> None:
    rules = stack.properties("AWS::Events::Rule").values()
    (uploads,) = [rule for rule in rules if rule.get("Description") == "An upload below predict/ is predicted"]
    assert uploads["EventPattern"]["detail"]["object"] == {"key": [{"prefix": "predict/"}]}
    begin = stack.machines()["batch_predict"]["States"]["folder"]
    assert begin["Choices"][0]["And"] == [
        {"Variable": "$.upload.key", "IsPresent": True},
        {"Variable": "$.upload.key", "StringMatches": "*/"},
    ]
    assert (begin["Choices"][0]["Next"], begin["Default"]) == ("no upload", "batch_predict")


def test_many_rows_are_predicted_by_jobs_side_by_side_as_many_as_were_planned(stack: Synthesised) -> None:
    stage = STAGES[stack.name.removeprefix("perennial-")]  # type: ignore[index]
    found = stack.machines()["batch_predict"]["States"]
    planned = found["batch_predict"]["Parameters"]["Payload"]
    assert (planned["bytes_per_job"], planned["most_jobs"]) == (stage.bulk_job_bytes, stage.parallel_bulk_jobs)
    (rule,) = found["several jobs"]["Choices"]
    assert (rule["Variable"], rule["NumericGreaterThan"]) == ("$.batch_predict.output.jobs", 1)
    assert (rule["Next"], found["several jobs"]["Default"]) == ("score jobs request", "score size")
    assert found["score jobs"]["Parameters"]["ArrayProperties"] == {"Size.$": "$.batch_predict.output.jobs"}
    assert found["score jobs request"]["Parameters"] == found["score"]["Parameters"]["Payload"]
    assert found["score jobs"]["Next"] == found["score"]["Next"] == found["score job"]["Next"] == "collect"
    one = stack.machines()["backfill"]["States"]["uploads"]["ItemProcessor"]
    assert one["States"][one["StartAt"]]["Choices"] == [
        {"Variable": "$.key", "StringMatches": "*/", "Next": "no upload"}
    ]


def test_no_function_of_a_machine_takes_a_key_to_pieces(stack: Synthesised) -> None:
    # States.StringSplit drops empty pieces and States.ArrayGetItem of nothing ends an execution without a word.
    for verb, machine in stack.machines().items():
        assert "States.StringSplit" not in str(machine), verb
    request = stack.machines()["ingest"]["States"]["fail"]["Parameters"]["Payload"]
    assert request["input.$"] == "States.JsonToString($)"
    assert "subject.$" not in request


def test_a_backfill_ingests_each_upload_of_the_dataset_some_at_a_time(stack: Synthesised) -> None:
    uploads = stack.machines()["backfill"]["States"]["uploads"]
    stage = STAGES[stack.name.removeprefix("perennial-")]  # type: ignore[index]
    reader = uploads["ItemReader"]
    assert reader["Resource"].endswith(":states:::s3:listObjectsV2")
    assert reader["Parameters"]["Prefix.$"] == "States.Format('{}/', $.dataset)"
    assert "StorageRaw" in reader["Parameters"]["Bucket"]
    assert uploads["MaxConcurrency"] == stage.parallel_ingests
    assert uploads["ToleratedFailurePercentage"] == 100, "a file that is refused stops no other"
    config = uploads["ItemProcessor"]["ProcessorConfig"]
    assert config == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "an express execution ends after 5 minutes"
    assert uploads["ResultWriter"]["Parameters"]["Prefix"] == "backfills", "else results must fit into 256 KB"
    assert uploads["ResultPath"] is None


def test_a_file_of_a_backfill_has_the_run_that_the_library_expects(stack: Synthesised) -> None:
    selector = stack.machines()["backfill"]["States"]["uploads"]["ItemSelector"]
    made = re.fullmatch(r"States\.Format\('\{\}-\{\}', States\.Hash\((\S+), 'SHA-1'\), (\S+)\)", selector["run_id.$"])
    assert made
    assert made.groups() == ("$$.Map.Item.Value.Key", "$.backfill.output.run_id")
    assert selector["part_of.$"] == made[2]
    # From FIPS 180-2's example: SHA-1 of "abc".
    assert part_run("b", "abc") == "a9993e364706816aba3e25717850c26c9cd0d89d-b"


def test_a_file_of_a_backfill_that_fails_is_recorded_on_its_own_run(stack: Synthesised) -> None:
    one = stack.machines()["backfill"]["States"]["uploads"]["ItemProcessor"]
    for name in ("ingest", "ingest job"):
        assert one["States"][name]["Catch"][-1]["Next"] == "fail upload"
    payload = one["States"]["fail upload"]["Parameters"]["Payload"]
    assert (payload["run_id.$"], payload["kind"], payload["input.$"]) == (
        "$.run_id",
        "ingest",
        "States.JsonToString($)",
    )


def test_the_views_are_brought_up_to_date_once_and_the_news_told_once(stack: Synthesised) -> None:
    for verb, before in (("ingest", "ingest"), ("backfill", "gather"), ("forget", "forget")):
        machine = stack.machines()[verb]
        names = [name for name, _ in states(machine)]
        assert names.count("features") == names.count("announce") == 1
        published = machine["States"]["published"]
        assert published["Choices"] == [
            {"Variable": f"$.{before}.output.published", "BooleanEquals": True, "Next": "announce"}
        ]
        (entry,) = machine["States"]["announce"]["Parameters"]["Entries"]
        assert set(entry["Detail"]) == {"dataset.$", "run_id.$", "deployment", "source.$", "reason.$"}


def test_what_is_to_be_forgotten_is_in_no_input_and_is_deleted_after_a_while(stack: Synthesised) -> None:
    request = stack.machines()["forget"]["States"]["forget request"]["Parameters"]
    assert set(request) == {"run_id.$", "dataset.$", "request_key.$", "trigger.$"}
    (artifacts,) = [found for id, found in stack.properties("AWS::S3::Bucket").items() if "Artifacts" in id]
    rules = {rule.get("Prefix"): rule for rule in artifacts["LifecycleConfiguration"]["Rules"]}
    assert rules["requests/"]["ExpirationInDays"] <= 14
    assert rules["backfills/"]["ExpirationInDays"] <= 14
