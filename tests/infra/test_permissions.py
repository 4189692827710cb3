"""Who may do what."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from functions.batch import STEPS
from infra.functions import SHAPES
from infra.stack import ACCESS, INVOKES, JOBS
from perennial import keys
from tests.infra.synthesised import Synthesised, as_list, states

OF_AN_UPLOAD = {"/snapshots/*", "/quarantine/*", "/reports/ingest/*"}
# Actions for which AWS knows no resource: they are allowed on "*" or not at all.
WITHOUT_RESOURCES = {
    "batch:DescribeJobs",
    "cloudwatch:PutMetricData",  # bounded by its namespace, see below
    "ecr:GetAuthorizationToken",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
NOW = datetime(2019, 3, 1, tzinfo=UTC)
KEYS = (
    keys.snapshot_part("d", "s", "h"),
    keys.quarantine("d", "s"),
    keys.ingest_report("d", "s"),
    keys.view_part("v", "1", "h"),
    keys.training_set("m", "s", "train"),
    keys.candidate("m", "r", "c", "model.onnx"),
    keys.search_round("m", "r", 1),
    keys.trial("m", "r", "c", 0, 0),
    keys.evaluation_report("m", "r"),
    keys.training_inputs("m", "h"),
    keys.definitions("f"),
    keys.rebuild_report("m", "r"),
    keys.monitoring_report("m", 1, NOW),
    keys.delivery_report("m", "r"),
    keys.artifact("m", 1, "model.onnx"),
    keys.prediction_part("m", 1, "r", NOW, 1, "h"),
    keys.labels("m", 1, "r", "c", NOW),
    keys.bulk_part("m", "b", "h", "parquet"),
)
ASKED = (keys.forget_request("r"), keys.bulk_request("r"), keys.submission("m", "h", "model.onnx"))
"""What the command line or the client writes and a step reads."""


def test_every_function_has_a_role_of_its_own(stack: Synthesised) -> None:
    roles = [json.dumps(function["Role"]) for function in stack.properties("AWS::Lambda::Function").values()]
    assert len(set(roles)) == len(roles)


def test_no_role_may_do_everything_of_a_service(stack: Synthesised) -> None:
    wild = {(id, action) for id, given in stack.statements() for action in as_list(given["Action"]) if "*" in action}
    assert wild == set()


def test_every_permission_names_its_resource_where_aws_has_one(stack: Synthesised) -> None:
    for id, given in stack.statements():
        if "*" in as_list(given["Resource"]):
            assert set(as_list(given["Action"])) <= WITHOUT_RESOURCES, id


def test_metrics_are_published_in_one_namespace_only(stack: Synthesised) -> None:
    given = [given for _, given in stack.statements() if "cloudwatch:PutMetricData" in as_list(given["Action"])]
    publishing = [step for step, access in ACCESS.items() if access.metrics]
    assert len(given) == len(publishing) + len(set(publishing) & set(JOBS))
    for statement in given:
        assert statement["Condition"] == {"StringEquals": {"cloudwatch:namespace": "Perennial"}}


def test_only_the_function_that_tells_people_may_publish_to_their_topic(stack: Synthesised) -> None:
    (given,) = [(id, one) for id, one in stack.statements() if "sns:Publish" in as_list(one["Action"])]
    (topic,) = stack.resources("AWS::SNS::Topic")
    assert given[0].startswith("Tell")
    assert given[1]["Resource"] == {"Ref": topic}
    (role,) = stack.properties("AWS::IAM::Policy")[given[0]]["Roles"]
    assert role["Ref"].startswith("Functionstellrole")


def test_a_machine_that_is_traced_may_ask_which_runs_to_trace(dev: Synthesised) -> None:
    # The policy that Step Functions asks for (Developer Guide, "IAM policies for AWS X-Ray").
    wanted = {f"xray:{action}" for action in ("PutTraceSegments", "PutTelemetryRecords")}
    wanted |= {f"xray:{action}" for action in ("GetSamplingRules", "GetSamplingTargets")}
    for machine in dev.properties("AWS::StepFunctions::StateMachine").values():
        role = {"Ref": machine["RoleArn"]["Fn::GetAtt"][0]}
        policies = [found for found in dev.properties("AWS::IAM::Policy").values() if role in found["Roles"]]
        statements = [given for policy in policies for given in policy["PolicyDocument"]["Statement"]]
        assert wanted <= {action for given in statements for action in as_list(given["Action"])}


def test_no_role_of_ours_has_a_policy_that_aws_manages(stack: Synthesised) -> None:
    ours = {
        id: found["ManagedPolicyArns"]
        for id, found in stack.properties("AWS::IAM::Role").items()
        if "ManagedPolicyArns" in found
    }
    # The CDK's own bucket cleaner, and API Gateway's role for the account's access logs.
    assert {id for id in ours if not id.startswith(("CustomS3AutoDelete", "ServingApiCloudWatchRole"))} == set()


def objects_of(stack: Synthesised, role: str) -> dict[str, str]:
    """Return what a role may do with objects, each action with its resources."""
    given = [given for id, given in stack.statements() if id.startswith(role)]
    return {
        action: json.dumps(as_list(statement["Resource"]))
        for statement in given
        for action in as_list(statement["Action"])
        if action in ("s3:GetObject", "s3:PutObject")
    }


def test_predict_reads_models_and_writes_nothing(stack: Synthesised) -> None:
    objects = objects_of(stack, "Functionspredictrole")
    assert set(objects) == {"s3:GetObject"}
    assert objects["s3:GetObject"].count("/models/*") == 1
    assert objects["s3:GetObject"].count("Artifacts") == 1


def test_only_what_puts_predictions_into_the_log_writes_there(stack: Synthesised) -> None:
    objects = objects_of(stack, "Functionslogpredictionsrole")
    assert objects["s3:PutObject"].count("/predictions/*") == 1
    assert all(text.count("Artifacts") == 1 for text in objects.values())
    assert [step for step, access in ACCESS.items() if "predictions/*" in access.writes] == ["log_predictions"]


def test_every_step_is_kept_to_keys_that_the_library_writes() -> None:
    for step, access in ACCESS.items():
        for pattern in (*access.reads, *access.writes, *access.deletes):
            prefix = pattern.removesuffix("*")
            assert prefix.endswith("/"), step
            assert any(key.startswith(prefix) for key in (*KEYS, *ASKED)), f"{step}: {pattern}"


def test_every_key_that_the_library_writes_is_written_by_a_step() -> None:
    writable = [pattern.removesuffix("*") for access in ACCESS.values() for pattern in access.writes]
    assert [key for key in KEYS if not any(key.startswith(prefix) for prefix in writable)] == []


def test_every_step_has_its_access_written_down() -> None:
    assert set(ACCESS) == set(SHAPES) | set(JOBS)
    assert set(JOBS) <= set(STEPS)


def test_a_job_may_do_what_its_step_may_and_nothing_of_another_s(stack: Synthesised) -> None:
    jobs = stack.properties("AWS::Batch::JobDefinition").values()
    roles = [job["ContainerProperties"]["JobRoleArn"]["Fn::GetAtt"][0] for job in jobs]
    assert len(set(roles)) == len(roles) == len(JOBS)
    given = stack.properties("AWS::IAM::Role")
    for step in JOBS:
        (role,) = [id for id in roles if id.startswith(f"Batch{step.replace('_', '')}role")]
        (policy,) = given[role]["Policies"]
        allowed = json.dumps(policy["PolicyDocument"]["Statement"])
        for pattern in {pattern for access in ACCESS.values() for pattern in access.writes} - {"requests/*"}:
            expected = pattern in (*ACCESS[step].reads, *ACCESS[step].writes, *ACCESS[step].deletes)
            assert (f"/{pattern}" in allowed) is expected, f"{step}: {pattern}"


def test_a_bulk_prediction_reads_no_upload_of_a_dataset(stack: Synthesised) -> None:
    for role in ("Functionsbatchpredictrole", "Functionsscorerole", "Batchscorerole"):
        found = [
            json.dumps(given["Resource"])
            for id, given in stack.statements()
            if id.startswith(role) and "s3:GetObjectVersion" in as_list(given["Action"])
        ]
        assert len(found) == 1, role
        assert "/predict/*" in found[0], role


def test_nothing_but_the_step_that_forgets_may_delete_what_was_uploaded(stack: Synthesised) -> None:
    deleting = {"s3:DeleteObject", "s3:DeleteObjectVersion"}
    may = [
        (id, json.dumps(given["Resource"]))
        for id, given in stack.statements()
        if deleting & set(as_list(given["Action"]))
    ]
    uploads = {id for id, resource in may if "StorageRaw" in resource}
    assert len(uploads) == 1
    assert all(id.startswith("Batchforgetrole") for id in uploads)
    # What was written of an upload while its rows were being forgotten.
    others = [resource for id, resource in may if not id.startswith(("Batchforgetrole", "CustomS3AutoDelete"))]
    assert others
    assert all(set(re.findall(r"/[a-z/]+\*", resource)) <= OF_AN_UPLOAD for resource in others)


def test_a_machine_may_invoke_and_submit_what_it_does_and_no_more(stack: Synthesised) -> None:
    for verb, machine in stack.machines().items():
        tasks = [state for _, state in states(machine) if state["Type"] == "Task"]
        if verb == "ask_again":
            assert [task["Resource"].rpartition(":")[2] for task in tasks] == ["startExecution"]
            continue
        invoked = {task["Parameters"].get("FunctionName") for task in tasks} - {None}
        submitted = {task["Parameters"].get("JobDefinition") for task in tasks} - {None}
        assert len(invoked) == len(INVOKES[verb].functions), verb
        assert len(submitted) == len(INVOKES[verb].jobs), verb
        for step in INVOKES[verb].functions:
            assert any(f"'Functions{step.replace('_', '')}" in function for function in invoked), f"{verb}: {step}"
        for step in INVOKES[verb].jobs:
            assert any(f"'Batch{step.replace('_', '')}" in job for job in submitted), f"{verb}: {step}"
        assert INVOKES[verb].announces is any("events:putEvents" in task["Resource"] for task in tasks), verb


def test_a_machine_reads_the_records_of_runs_and_nothing_else_of_the_catalog(stack: Synthesised) -> None:
    machines = [id for id in stack.properties("AWS::IAM::Policy") if "RoleDefaultPolicy" in id]
    given = [
        statement
        for id, statement in stack.statements()
        if id in machines and any(action.startswith("dynamodb:") for action in as_list(statement["Action"]))
    ]
    assert len(given) == len([verb for verb, invoked in INVOKES.items() if invoked.jobs])
    for statement in given:
        assert statement["Action"] == "dynamodb:GetItem"
        assert statement["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["RUN#*"]}}


def test_no_step_reads_the_secrets_of_approvals_and_one_writes_them(stack: Synthesised) -> None:
    table = {"Fn::GetAtt": [next(iter(catalogs(stack))), "Arn"]}
    for step, access in ACCESS.items():
        roles = [f"Functions{step.replace('_', '')}role", f"Batch{step.replace('_', '')}role"]
        given = [one for id, one in stack.statements() if any(id.startswith(role) for role in roles)]
        denied = [one for one in given if one["Effect"] == "Deny"]
        assert bool(denied) is (access.catalog is not None), step
        for one in denied:
            assert (one["Resource"], one["Condition"]) == (
                table, {"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["TOKEN#*"]}}
            )  # fmt: skip
            assert {"dynamodb:GetItem", "dynamodb:Query"} <= set(one["Action"])
            assert ("dynamodb:PutItem" in one["Action"]) is (step != "ask_approval")
    actions = {action for _, given in stack.statements() for action in as_list(given["Action"])}
    assert not any(action.startswith("states:SendTask") for action in actions), "people tell executions, by themselves"


def catalogs(stack: Synthesised) -> dict[str, object]:
    return {id: found for id, found in stack.resources("AWS::DynamoDB::Table").items() if "Catalog" in id}


def test_the_backfill_may_run_executions_of_its_own_and_list_uploads(stack: Synthesised) -> None:
    # The Developer Guide, "IAM policies for using Distributed Map states".
    (policy,) = [
        found for id, found in stack.properties("AWS::IAM::Policy").items() if id.startswith("BackfillUploads")
    ]
    given = {
        tuple(as_list(one["Action"])): json.dumps(one["Resource"]) for one in policy["PolicyDocument"]["Statement"]
    }
    assert "StorageRaw" in given["s3:ListBucket",]
    assert "BackfillMachine" in given["states:StartExecution",]
    machine = '{"Fn::GetAtt": ["BackfillMachine'
    for actions, places in (
        (("states:DescribeExecution", "states:StopExecution"), ('":*"', '"/*:*"')),
        (("states:RedriveExecution",), ('"/*:*"',)),
    ):
        assert ":execution:" in given[actions]
        assert machine in given[actions], "of this machine alone"
        for place in places:
            assert place in given[actions], actions
    writes = given["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
    assert "/backfills/*" in writes


def test_a_submission_is_opened_by_a_role_that_changes_nothing_that_serves(stack: Synthesised) -> None:
    readers = [step for step, access in ACCESS.items() if any(one.startswith("submissions/") for one in access.reads)]
    assert readers == ["take_submission"]
    assert ACCESS["take_submission"].writes == ("candidates/*",)
    writers = [json.dumps(given["Resource"]) for _, given in stack.statements() if "s3:PutObject" in given["Action"]]
    assert writers
    # Those are a person's to write (docs/notebook.md).
    assert not any(f"/{prefix}/" in resource for resource in writers for prefix in ("submissions", "experiments"))


def test_the_api_throttles_and_logs_no_bodies(dev: Synthesised) -> None:
    (stage,) = dev.properties("AWS::ApiGateway::Stage").values()
    (setting,) = stage["MethodSettings"]
    assert stage["StageName"] == "dev"
    assert setting["DataTraceEnabled"] is False
    assert setting["LoggingLevel"] == "OFF"
    assert setting["MetricsEnabled"] is False, "metrics by method are billed as custom ones"
    assert setting["ThrottlingRateLimit"] > 0
    fields = json.loads(stage["AccessLogSetting"]["Format"])
    assert "$context.status" in fields.values()
    assert not any("body" in value.lower() for value in fields.values())


def test_no_job_can_be_reached_from_outside(stack: Synthesised) -> None:
    groups = stack.properties("AWS::EC2::SecurityGroup")
    (jobs,) = [group for group in groups.values() if "jobs: nothing in" in group["GroupDescription"]]
    assert "SecurityGroupIngress" not in jobs
    assert [rule["FromPort"] for rule in jobs["SecurityGroupEgress"]] == [443]


def test_prod_runs_jobs_without_a_public_address(prod: Synthesised) -> None:
    for job in prod.properties("AWS::Batch::JobDefinition").values():
        assert job["ContainerProperties"]["NetworkConfiguration"] == {"AssignPublicIp": "DISABLED"}
    assert not prod.resources("AWS::EC2::InternetGateway")
    assert not prod.resources("AWS::EC2::NatGateway")
    services = json.dumps([endpoint["ServiceName"] for endpoint in prod.properties("AWS::EC2::VPCEndpoint").values()])
    for service in ("s3", "dynamodb", "ecr.api", "ecr.dkr", "logs"):
        assert f".{service}" in services
