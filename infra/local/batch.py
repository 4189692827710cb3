"""AWS Batch, which the emulator only pretends to have: resources, jobs and the Step Functions task.

Its API stores names and calls every job successful, and neither CloudFormation nor Step Functions know it.
Here a job is a process made from the job definition's image (see ``images``), under its job role.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from infra.local import arrays, images, machines
from infra.local.jobs import RECORDS, Job, Runner, Start, now, substitute
from perennial.settings import ARRAY_INDEX

DEFAULT_LOG_GROUP = "/aws/batch/job"
_POLL_SECONDS = 0.05
_TASK = "arn:aws:states:::batch:submitJob"
# Maps whose keys are the user's own, not members of the API.
_VERBATIM = ("Parameters", "Tags", "Options", "ShareDistribution")
# What a process needs to run; the emulator's own settings are not the job's.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "LD_LIBRARY_PATH")
_runner: Runner | None = None


def camel(value: Any) -> Any:
    """Return template or state machine properties with the API's key style: ``JobRoleArn`` becomes ``jobRoleArn``."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: inner if key in _VERBATIM else camel(inner) for key, inner in value.items()}
    return [camel(inner) for inner in value] if isinstance(value, list) else value


def patch(state: Path) -> None:
    """Give the emulator Batch; images and the record of running jobs live under ``state``."""
    from ministack.services import batch, stepfunctions
    from ministack.services.cloudformation import provisioners

    global _runner
    store = images.Store(state / "images")
    _runner = Runner(state / RECORDS, lambda job, number: _start(store, job, number), _log, arrays.child_changed)
    provisioners._RESOURCE_HANDLERS.update(
        {
            "AWS::Batch::ComputeEnvironment": {"create": _create_environment, "delete": _delete(batch._compute_envs)},
            "AWS::Batch::JobQueue": {"create": _create_queue, "delete": _delete(batch._job_queues)},
            "AWS::Batch::JobDefinition": {"create": _create_definition, "delete": _deregister},
            "AWS::Batch::SchedulingPolicy": {"create": _create_policy, "delete": lambda *_: None},
        }
    )
    stepfunctions._SERVICE_DISPATCH[_TASK] = _run_task
    batch._DISPATCH.update(
        {
            "/v1/registerjobdefinition": _register,
            "/v1/submitjob": lambda request: _answer(lambda: _submit(request)),
            "/v1/terminatejob": lambda request: _answer(lambda: _terminate(request)),
            "/v1/describejobs": lambda request: batch._json(200, arrays.described(request, batch._jobs)),
            "/v1/listjobs": arrays.listing(batch._list_jobs, batch._json),
            "/v1/canceljob": lambda request: _answer(lambda: _terminate(request)),
        }
    )


def stop() -> None:
    """End every job."""
    if _runner is not None:
        _runner.stop()


def _arn(resource: str) -> str:
    from ministack.core.responses import get_account_id, get_region

    return f"arn:aws:batch:{get_region()}:{get_account_id()}:{resource}"


def _name(properties: Mapping[str, Any], key: str, logical_id: str, stack: str) -> str:
    # As CloudFormation: a name of its own when the template gives none, the same at each deployment.
    return str(
        properties.get(key)
        or f"{stack}-{logical_id}-{hashlib.sha256(f'{stack}/{logical_id}'.encode()).hexdigest()[:12]}"
    )


def _create_environment(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
    from ministack.services import batch

    name = _name(properties, "ComputeEnvironmentName", logical_id, stack)
    batch._compute_envs.pop(name, None)
    batch._create_compute_environment(camel(properties) | {"computeEnvironmentName": name})
    return _arn(f"compute-environment/{name}"), {"ComputeEnvironmentArn": _arn(f"compute-environment/{name}")}


def _create_queue(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
    from ministack.services import batch

    name = _name(properties, "JobQueueName", logical_id, stack)
    batch._job_queues.pop(name, None)
    batch._create_job_queue(camel(properties) | {"jobQueueName": name})
    return _arn(f"job-queue/{name}"), {"JobQueueArn": _arn(f"job-queue/{name}")}


def _create_definition(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
    _, _, body = _register(
        camel(properties) | {"jobDefinitionName": _name(properties, "JobDefinitionName", logical_id, stack)}
    )
    arn = json.loads(body)["jobDefinitionArn"]
    return arn, {"JobDefinitionArn": arn}


def _create_policy(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
    arn = _arn(f"scheduling-policy/{_name(properties, 'Name', logical_id, stack)}")
    return arn, {"Arn": arn}


def _delete(resources: Any) -> Callable[..., None]:
    return lambda physical_id, *_: resources.pop(physical_id.rsplit("/", 1)[-1], None)


def _deregister(physical_id: str, *_: Any) -> None:
    definition = _definition(physical_id)
    if definition is not None:
        definition["status"] = "INACTIVE"


def _register(request: dict[str, Any]) -> Any:
    """RegisterJobDefinition that keeps all the members a job needs; the emulator keeps three."""
    from ministack.services import batch

    answer = batch._register_job_definition(request)
    if answer[0] == 200:
        definition = batch._job_definitions[request["jobDefinitionName"]][-1]
        for member in ("parameters", "retryStrategy", "timeout", "platformCapabilities", "propagateTags"):
            if member in request:
                definition[member] = request[member]
    return answer


def _definition(reference: str) -> dict[str, Any] | None:
    """Find a job definition by ARN, ``name:revision`` or name (its newest active revision)."""
    from ministack.services import batch

    name, _, revision = reference.rsplit("/", 1)[-1].partition(":")
    for definition in reversed(batch._job_definitions.get(name, [])):
        if str(definition["revision"]) == revision or (not revision and definition["status"] == "ACTIVE"):
            found: dict[str, Any] = definition
            return found
    return None


def _submit(request: Mapping[str, Any]) -> Job:
    """Queue a job; raises ``LookupError`` when its queue or definition, or what it asks for, does not exist here."""
    from ministack.services import batch

    if request.get("dependsOn"):
        raise LookupError("dependsOn is not available in the local cloud")
    size = arrays.size_of(request)
    definition = _definition(request.get("jobDefinition", ""))
    if definition is None or definition["status"] != "ACTIVE":
        raise LookupError(f"JobDefinition not found: {request.get('jobDefinition', '')}")
    queue = batch._job_queues.get(str(request.get("jobQueue", "")).rsplit("/", 1)[-1])
    if queue is None:
        raise LookupError(f"JobQueue {request.get('jobQueue', '')} not found.")
    container, overrides = definition["containerProperties"], request.get("containerOverrides") or {}
    job_id = str(batch.new_uuid())
    parameters = (definition.get("parameters") or {}) | (request.get("parameters") or {})
    needs = {need["type"]: need for need in container.get("resourceRequirements") or []}
    needs |= {need["type"]: need for need in overrides.get("resourceRequirements") or []}
    variables = {pair["name"]: pair["value"] for pair in container.get("environment") or []}
    variables |= {pair["name"]: pair["value"] for pair in overrides.get("environment") or []}
    options = (container.get("logConfiguration") or {}).get("options") or {}
    prefix = options.get("awslogs-stream-prefix") or definition["jobDefinitionName"]
    command = overrides.get("command") or container.get("command") or []
    job: Job = {
        "jobId": job_id,
        "jobArn": _arn(f"job/{job_id}"),
        "jobName": request.get("jobName", ""),
        "jobQueue": queue["jobQueueArn"],
        "jobDefinition": definition["jobDefinitionArn"],
        "status": "SUBMITTED",
        "attempts": [],
        "createdAt": now(),
        "dependsOn": [],
        "isCancelled": False,
        "isTerminated": False,
        "parameters": parameters,
        "platformCapabilities": definition.get("platformCapabilities") or ["FARGATE"],
        "retryStrategy": request.get("retryStrategy") or definition.get("retryStrategy") or {"attempts": 1},
        "tags": request.get("tags") or {},
        "timeout": request.get("timeout") or definition.get("timeout") or {},
        "container": {
            **container,
            "command": substitute(command, parameters),
            "environment": [{"name": name, "value": value} for name, value in variables.items()],
            "resourceRequirements": list(needs.values()),
            "logStreamName": f"{prefix}/default/{secrets.token_hex(16)}",
        },
    }
    batch._jobs[job_id] = job
    assert _runner is not None
    if size is None:
        _runner.submit(job)
    else:
        arrays.submit(_runner, job, size)
    return job


def _terminate(request: Mapping[str, Any]) -> None:
    from ministack.services import batch

    found = arrays.find(request.get("jobId", ""), batch._jobs)
    if found is not None and _runner is not None:
        for job in arrays.children(found) or [found]:
            _runner.terminate(job, request.get("reason") or "Terminated by user")


def _answer(call: Callable[[], Job | None]) -> Any:
    from ministack.core.responses import error_response_json
    from ministack.services import batch

    try:
        job = call()
    except LookupError as error:
        return error_response_json("ClientException", str(error.args[0]), 400)
    return batch._json(200, {name: job[name] for name in ("jobArn", "jobId", "jobName")} if job else {})


def _run_task(resource: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """``batch:submitJob`` and, with ``.sync``, the wait for the job; ends the job when the task ends first."""
    from ministack.services import stepfunctions

    try:
        job = _submit(camel(dict(request)))
    except LookupError as error:
        raise stepfunctions._ExecutionError("Batch.ClientException", str(error.args[0])) from None
    if not resource.endswith(".sync"):
        return {"JobArn": job["jobArn"], "JobId": job["jobId"], "JobName": job["jobName"]}
    while job["status"] not in ("SUCCEEDED", "FAILED"):
        if machines.task_is_over():
            _terminate({"jobId": job["jobId"], "reason": "The task that waited for the job has ended"})
        time.sleep(_POLL_SECONDS)
    description: dict[str, Any] = machines.pascal(job)
    if job["status"] == "FAILED":
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(description))
    return description


def _start(store: images.Store, job: Job, number: int) -> Start:
    container = job["container"]
    variables = {pair["name"]: pair["value"] for pair in container["environment"]}
    image = store.image(container["image"])
    environment = {
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        **image.environment(variables),
        "AWS_BATCH_JOB_ATTEMPT": str(number),
        "AWS_BATCH_JOB_ID": job["jobId"],
        "AWS_BATCH_JQ_NAME": job["jobQueue"].rsplit("/", 1)[-1],
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_DEFAULT_REGION": job["jobArn"].split(":")[3],
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}",
        **({ARRAY_INDEX: str(job["arrayProperties"]["index"])} if "arrayProperties" in job else {}),
        "AWS_REGION": job["jobArn"].split(":")[3],
        **_credentials(container.get("jobRoleArn", ""), job["jobId"]),
    }
    return Start(image.command(container["command"]), image.directory(), environment)


def _credentials(role: str, session: str) -> dict[str, str]:
    """Return a session of the job's role, as the emulator itself makes one for a function; nothing without a role."""
    if not role:
        return {}
    from ministack.services import sts

    name, account = role.rsplit("/", 1)[-1], role.split(":")[4]
    key, secret, token = f"ASIA{secrets.token_hex(8).upper()}", secrets.token_hex(20), secrets.token_hex(64)
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
            "UserId": f"{name}:{session}",
            "SecretAccessKey": secret,
            "SessionToken": token,
        },
    )
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}


def _log(job: Job, lines: list[str]) -> None:
    from ministack.services import cloudwatch_logs

    container = job["container"]
    options = (container.get("logConfiguration") or {}).get("options") or {}
    where = {
        "logGroupName": options.get("awslogs-group") or DEFAULT_LOG_GROUP,
        "logStreamName": container["logStreamName"],
    }
    # Both answer "already exists" from the second line on.
    cloudwatch_logs._create_log_group({"logGroupName": where["logGroupName"]})
    cloudwatch_logs._create_log_stream(where)
    events = [{"timestamp": now(), "message": line} for line in lines]
    cloudwatch_logs._put_log_events({**where, "logEvents": events})
