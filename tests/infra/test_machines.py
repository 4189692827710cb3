"""What holds for the state machines, the jobs and what starts them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from infra.functions import SHAPES
from infra.local.batch import camel
from infra.local.jobs import Attempt, retries
from perennial.errors import DefinitionError
from tests.infra.synthesised import Synthesise, Synthesised, as_list, states


def tasks(machine: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: state for name, state in states(machine) if state["Type"] == "Task"}


def test_every_task_ends_in_time(stack: Synthesised) -> None:
    for verb, machine in stack.machines().items():
        # A backfill may have any number of files to look at, and to wait is all that `ask_again` does.
        hours = {"backfill": 24, "forget": 24, "ask_again": 28 * 24 + 1}.get(verb, 6)
        assert machine["TimeoutSeconds"] <= hours * 3600, verb
        for name, task in tasks(machine).items():
            if name != "ask_approval":  # which waits for a person: see below
                assert 0 < task["TimeoutSeconds"] < machine["TimeoutSeconds"], f"{verb}: {name}"


def test_a_task_waits_longer_than_its_function_runs(stack: Synthesised) -> None:
    for machine in stack.machines().values():
        for name, task in tasks(machine).items():
            if name in SHAPES and name != "ask_approval":
                assert task["TimeoutSeconds"] > SHAPES[name].seconds


def test_every_task_is_retried_on_transient_errors_only_and_spread_over_time(stack: Synthesised) -> None:
    lasting = {"States.ALL", "States.TaskFailed", "States.Timeout", "DataError", "DefinitionError", "ConflictError"}
    for verb, machine in stack.machines().items():
        for name, task in tasks(machine).items():
            retry, busy = task["Retry"]
            for each in (retry, busy):
                assert not lasting & set(each["ErrorEquals"]), f"{verb}: {name}"
                assert each["JitterStrategy"] == "FULL", f"{verb}: {name}"
            assert retry["MaxAttempts"] == 3, f"{verb}: {name}"
            if task["Resource"].endswith("lambda:invoke"):
                # What AWS advises to retry ("Handle transient Lambda service exceptions").
                assert set(retry["ErrorEquals"]) == {
                    "TransientError",
                    "Lambda.ServiceException",
                    "Lambda.SdkClientException",
                    "Lambda.AWSLambdaException",
                    "Lambda.ClientExecutionTimeoutException",
                }
            if "dynamodb" in task["Resource"]:
                assert {"DynamoDB.ThrottlingException", "DynamoDB.SdkClientException"} <= set(retry["ErrorEquals"])
            if "batch" in task["Resource"]:
                # As seen in AWS: a status 429, and a status 500 without a name (ASFHyP3/hyp3, issues 1676 and 911).
                assert "Batch.AWSBatchException" in retry["ErrorEquals"]
                assert "Batch.TooManyRequestsException" in busy["ErrorEquals"]


def test_a_task_waits_for_minutes_until_a_place_is_free(stack: Synthesised) -> None:
    # An account may run ten functions at a time while it is new ("Lambda quotas"); a backfill alone may ask for more.
    for verb, machine in stack.machines().items():
        for name, task in tasks(machine).items():
            _, busy = task["Retry"]
            assert "Lambda.TooManyRequestsException" in busy["ErrorEquals"], f"{verb}: {name}"
            # Full jitter waits half of each delay on average.
            delays = [min(busy["MaxDelaySeconds"], 2 * 2**number) for number in range(busy["MaxAttempts"])]
            assert sum(delays) / 2 > 10 * 60, f"{verb}: {name}"


NO_RUN = {"ask_again"}
"""The machines whose executions are no runs: the refused run says that it asks again."""


def test_every_error_is_recorded_before_the_machine_fails(stack: Synthesised) -> None:
    for verb, machine in stack.machines().items():
        if verb in NO_RUN:
            assert machine["States"]["ask again"]["Catch"][0]["Next"] == "failed", "its alarm tells of it"
            continue
        for name, state in machine["States"].items():
            if name != "fail" and state["Type"] in ("Task", "Map"):
                catch = state["Catch"][-1]
                assert (catch["ErrorEquals"], catch["Next"]) == (["States.ALL"], "fail"), f"{verb}: {name}"
                # Of a search's trials see test_search_machine.py.
                for other in [] if name in ("trial", "trials", "ask_approval") else state["Catch"][:-1]:
                    assert other["Next"] == f"{name} job request", "what is too large for a function is a job's"
        record = machine["States"]["fail"]
        assert record["Next"] == record["Catch"][0]["Next"] == "failed"
        assert record["Parameters"]["Payload"].get("trigger.$") == (None if verb == "ingest" else "$.trigger")
        assert record["Catch"][0]["ResultPath"] is None, "the first error is the one that is shown"
        assert record["Parameters"]["Payload"]["kind"] == verb
        assert machine["States"]["failed"]["Type"] == "Fail"


def test_an_execution_that_is_ended_from_outside_is_recorded_too(stack: Synthesised) -> None:
    rules = stack.properties("AWS::Events::Rule").values()
    patterns = [rule["EventPattern"] for rule in rules if rule["EventPattern"]["source"] == ["aws.states"]]

    assert all(pattern["detail"]["status"] == ["ABORTED", "TIMED_OUT"] for pattern in patterns)
    watched = [json.dumps(pattern["detail"]["stateMachineArn"]) for pattern in patterns]
    assert len(set(watched)) == len(stack.properties("AWS::StepFunctions::StateMachine")) - len(NO_RUN) == 7


def test_every_step_is_told_the_run(stack: Synthesised) -> None:
    for machine in stack.machines().values():
        for task in tasks(machine).values():
            if task["Resource"].endswith("lambda:invoke"):
                # A file of a backfill has a run of its own.
                assert task["Parameters"]["Payload"]["run_id.$"] in ("$$.Execution.Name", "$.run_id")


def test_training_fans_out_over_the_admitted_candidates_in_batch(stack: Synthesised) -> None:
    fan = stack.machines()["train"]["States"]["candidates"]
    assert fan["ItemsPath"] == "$.admit.output.candidates"
    assert fan["ItemSelector"]["run_id.$"] == "$$.Execution.Name"
    train = fan["ItemProcessor"]["States"]["train"]
    assert train["Resource"].endswith("batch:submitJob.sync")
    assert train["Parameters"]["Parameters"] == {"step": "train", "input.$": "States.JsonToString($)"}


def test_a_submission_stands_in_the_candidates_place(stack: Synthesised) -> None:
    machine = stack.machines()["train"]["States"]
    absent = machine[machine["submission given"]["Default"]]
    assert (absent["Type"], absent["Result"], absent["ResultPath"]) == ("Pass", "", "$.submission")
    (given,) = machine["submission given"]["Choices"]
    assert (given["Variable"], given["IsPresent"], given["Next"]) == ("$.submission", True, absent["Next"])
    assert machine["admit"]["Parameters"]["Payload"]["submission.$"] == "$.submission"
    submitted = machine["submitted"]
    (trained,) = submitted["Choices"]
    assert (trained["Variable"], trained["StringEquals"], trained["Next"]) == ("$.submission", "", "candidates")
    request = machine[submitted["Default"]]
    assert request["Parameters"]["submission.$"] == "$.submission"
    take = machine[request["Next"]]
    assert take["Parameters"]["Parameters"]["step"] == "take_submission"
    assert take["Next"] == machine["candidates"]["Next"] == "evaluate"


def test_a_model_that_passes_is_deployed_and_one_that_does_not_is_not(stack: Synthesised) -> None:
    states = stack.machines()["train"]["States"]
    passed = states["passed"]
    assert passed["Choices"] == [{"Variable": "$.register.output.passed", "BooleanEquals": True, "Next": "approval"}]
    assert states[passed["Default"]]["Type"] == "Succeed"
    assert states["approval"]["Default"] == "deploy"
    assert states["deploy"]["Resource"].endswith("startExecution.sync:2")


def test_a_version_that_a_person_must_approve_waits_for_as_long_as_its_model_says(stack: Synthesised) -> None:
    states = stack.machines()["train"]["States"]
    (wanted,) = states["approval"]["Choices"]
    assert (wanted["Variable"], wanted["NumericGreaterThan"]) == ("$.register.output.approval_seconds", 0)
    announce = states[wanted["Next"]]
    (entry,) = announce["Parameters"]["Entries"]
    assert (entry["DetailType"], announce["Next"]) == ("Approval Wanted", "ask_approval")
    ask = states["ask_approval"]
    assert ask["Resource"].endswith("lambda:invoke.waitForTaskToken")
    assert ask["Parameters"]["Payload"]["token.$"] == "$$.Task.Token"
    assert ask["TimeoutSecondsPath"] == "$.register.output.approval_seconds"
    assert not {"TimeoutSeconds", "HeartbeatSeconds", "HeartbeatSecondsPath"} & set(ask), "people send no heartbeat"


def test_however_the_waiting_ends_the_record_says_whether_the_version_is_deployed(stack: Synthesised) -> None:
    states = stack.machines()["train"]["States"]
    ask = states["ask_approval"]
    assert ask["ResultPath"] is None, "what comes with the token decides nothing"
    ended, failed = ask["Catch"]
    assert set(ended["ErrorEquals"]) == {"Rejected", "States.Timeout", "ConflictError"}
    assert ask["Next"] == ended["Next"] == "settle_approval"
    assert failed == {"ErrorEquals": ["States.ALL"], "Next": "fail", "ResultPath": "$.failure"}
    approved = states[states["settle_approval"]["Next"]]
    assert approved["Choices"] == [
        {"Variable": "$.settle_approval.output.approved", "BooleanEquals": True, "Next": "deploy"}
    ]
    assert states[approved["Default"]]["Type"] == "Succeed"


def test_the_machine_outlasts_the_longest_wait_for_a_person(synthesise: Synthesise, definitions_folder: Path) -> None:
    model = definitions_folder / "models" / "house_price.toml"
    six_hours = 6 * 3600
    for name, wait in (("slow", "40 days"), ("quick", "2 hours")):
        text = f'approval = "manual"\napproval_timeout = "{wait}"\n' + model.read_text()
        model.with_name(f"{name}.toml").write_text(text)
        stack = synthesise(stage="dev", definitions=str(definitions_folder), name="approvals")
        assert stack.machines()["train"]["TimeoutSeconds"] == six_hours + 40 * 86400
    endless = 'approval = "manual"\napproval_timeout = "400 days"\n' + model.read_text()
    model.write_text(endless)
    with pytest.raises(DefinitionError, match="approval_timeout: an execution waits 360 days at most, not 400"):
        synthesise(stage="dev", definitions=str(definitions_folder), name="endless")


def test_machines_log_errors_without_what_they_pass_on(stack: Synthesised) -> None:
    for machine in stack.properties("AWS::StepFunctions::StateMachine").values():
        assert machine["StateMachineType"] == "STANDARD"
        assert machine["LoggingConfiguration"]["Level"] == "ERROR"
        assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False


EXITED = "Essential container in task exited"


@pytest.mark.parametrize(
    ("attempt", "repeated"),
    [
        (Attempt(10, EXITED), False),
        (Attempt(1, EXITED), False),
        (Attempt(20, EXITED), True),
        (Attempt(137, EXITED), True),
        (Attempt(143, EXITED), True),
        (Attempt(137, EXITED, reason="OutOfMemoryError: Container killed due to memory usage"), False),
        (Attempt(None, "Task failed to start", reason="CannotPullContainerError: context deadline exceeded"), True),
        (Attempt(None, "Host EC2 (instance i-1) terminated."), True),
        (Attempt(None, "Timeout waiting for network interface provisioning to complete."), True),
    ],
)
def test_a_job_is_repeated_after_what_may_end_otherwise_and_never_after_wrong_data(
    attempt: Attempt, repeated: bool, stack: Synthesised
) -> None:
    for job in stack.properties("AWS::Batch::JobDefinition").values():
        strategy = camel(job["RetryStrategy"])
        assert retries(strategy, attempt, 1) is repeated
        assert retries(strategy, attempt, 2) is repeated
        assert retries(strategy, attempt, 3) is False
        assert len(strategy["evaluateOnExit"]) <= 5, "Batch takes no more"


def test_all_attempts_of_a_job_fit_into_its_state_s_time(stack: Synthesised) -> None:
    for job in stack.properties("AWS::Batch::JobDefinition").values():
        assert job["Timeout"]["AttemptDurationSeconds"] * 3 < 4 * 3600


def test_a_job_runs_a_step_by_name_on_arm_fargate(stack: Synthesised) -> None:
    for job in stack.properties("AWS::Batch::JobDefinition").values():
        container = job["ContainerProperties"]
        assert container["Command"] == ["Ref::step", "Ref::input"]
        assert container["RuntimePlatform"]["CpuArchitecture"] == "ARM64"
        assert job["PlatformCapabilities"] == ["FARGATE"]


def test_a_run_that_is_under_way_while_the_stack_is_updated_may_submit_the_job_that_it_began_with(
    stack: Synthesised,
) -> None:
    jobs = stack.properties("AWS::Batch::JobDefinition")
    assert all(job["ResourceRetentionPolicy"] == {"SkipDeregisterOnUpdate": True} for job in jobs.values())
    submits = [given for _, given in stack.statements() if "batch:SubmitJob" in as_list(given["Action"])]
    assert len(submits) == 6
    for given in submits:
        definitions = [arn["Fn::Join"][1] for arn in given["Resource"] if "Fn::Join" in arn]
        assert definitions
        for *_, name, revisions in definitions:
            # A definition's ARN is arn:partition:batch:region:account:job-definition/name:revision.
            assert name in [{"Fn::Select": [5, {"Fn::Split": [":", {"Ref": id}]}]} for id in jobs]
            assert revisions == ":*"


def test_no_event_is_lost_silently(stack: Synthesised) -> None:
    rules = stack.properties("AWS::Events::Rule")
    assert rules
    for id, rule in rules.items():
        for target in rule["Targets"]:
            assert "DeadLetterConfig" in target, id
    schedules = stack.properties("AWS::Scheduler::Schedule")
    assert schedules
    for id, schedule in schedules.items():
        assert "DeadLetterConfig" in schedule["Target"], id


def test_the_queue_of_lost_events_takes_them_from_the_rules_of_any_number_of_models(
    synthesise: Synthesise, definitions_folder: Path
) -> None:
    model = definitions_folder / "models" / "house_price.toml"
    others = '["features", "predictions", "multivariate", "quality", "estimated"]'
    model.write_text(f"{model.read_text()}[alarms]\noff = {others}\n")  # a stack has 500 resources at most
    for number in range(20):
        shutil.copy(model, model.with_name(f"copy_{number}.toml"))
    stack = synthesise(stage="dev", definitions=str(definitions_folder), name="many")
    targets = [target for rule in stack.properties("AWS::Events::Rule").values() for target in rule["Targets"]]
    assert len(targets) > 40
    (queue,) = {target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0] for target in targets}
    policies = stack.properties("AWS::SQS::QueuePolicy").values()
    (policy,) = [found["PolicyDocument"] for found in policies if found["Queues"] == [{"Ref": queue}]]
    assert len(policy["Statement"]) <= 20, "more than a queue's policy may have (SQS quotas)"
    (allowed,) = [statement for statement in policy["Statement"] if statement["Effect"] == "Allow"]
    assert (allowed["Principal"], allowed["Action"]) == ({"Service": "events.amazonaws.com"}, "sqs:SendMessage")
    sources = json.dumps(allowed["Condition"]["ArnLike"]["aws:SourceArn"])
    assert '{"Ref": "AWS::AccountId"}, ":rule/*"' in sources, "rules of this account alone"


def test_the_monitor_looks_at_predictions_and_labels_after_a_while_and_two_at_a_time(dev: Synthesised) -> None:
    (mapping,) = dev.properties("AWS::Lambda::EventSourceMapping").values()
    assert mapping["MaximumBatchingWindowInSeconds"] == 60
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}
    (queue,) = [queue for queue in dev.properties("AWS::SQS::Queue").values() if "RedrivePolicy" in queue]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 3
    assert queue["VisibilityTimeout"] >= 6 * SHAPES["monitor"].seconds
    patterns = [rule["EventPattern"] for rule in dev.properties("AWS::Events::Rule").values()]
    watched = [pattern["detail"]["object"]["key"] for pattern in patterns if "object" in pattern.get("detail", {})]
    assert [{"prefix": "predictions/"}, {"prefix": "labels/"}] in watched


def test_nothing_behind_the_api_outlasts_it(stack: Synthesised) -> None:
    for verb in ("predict", "feedback"):
        assert stack.functions()[verb]["Timeout"] <= 29


def test_a_refused_run_leaves_an_execution_behind_that_asks_again(stack: Synthesised) -> None:
    states = stack.machines()["train"]["States"]
    choice = states["asks again"]
    assert (choice["Default"], states["refused"]["Type"]) == ("refused", "Succeed")
    (passes,) = choice["Choices"]
    leave = states[passes["Next"]]["Parameters"]
    assert leave["Name.$"] == "States.Hash($$.Execution.Name, 'SHA-256')"
    assert (leave["Input"]["machine.$"], leave["Input"]["at.$"]) == (
        "$$.StateMachine.Id",
        "$.admit.output.ask_again_at",
    )
    assert leave["Input"]["input"]["trigger"]["retry_of.$"] == "$$.Execution.Name"
    asking = stack.machines()["ask_again"]
    assert asking["States"]["wait"]["TimestampPath"] == "$.at"
    again = asking["States"]["ask again"]["Parameters"]
    assert (again["StateMachineArn.$"], again["Input.$"]) == ("$.machine", "$.input")
    assert asking["TimeoutSeconds"] > 28 * 86400, "it outlasts the longest wait"
