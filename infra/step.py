"""A step of a state machine: the same state whether a Lambda function or a Batch job does the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Aws, Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.batch import Job
from perennial import keys

RUN_PATH = "$$.Execution.Name"
RUN_ID = sfn.JsonPath.string_at(RUN_PATH)
"""The run's id: the name of the state machine's execution."""

LAMBDA_TRANSIENT = (
    "TransientError",
    "Lambda.ServiceException",
    "Lambda.SdkClientException",
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
)
# What the service says without a name of its own, such as an internal error, comes as AWSBatchException.
BATCH_TRANSIENT = (
    "Batch.ServerException",
    "Batch.SdkClientException",
    "Batch.AWSBatchException",
)
BATCH_REFUSED = (*BATCH_TRANSIENT, "Batch.BatchException", "Batch.ClientException", "Batch.TooManyRequestsException")
"""How a job ends that was never submitted."""
CATALOG_TRANSIENT = (
    "DynamoDB.InternalServerErrorException",
    "DynamoDB.InternalServerError",
    "DynamoDB.ProvisionedThroughputExceededException",
    "DynamoDB.RequestLimitExceeded",
    "DynamoDB.SdkClientException",
    "DynamoDB.ServiceUnavailableException",
    "DynamoDB.ThrottlingException",
)
BUSY = ("Lambda.TooManyRequestsException", "Batch.TooManyRequestsException")
"""All places are taken: a new account may run ten functions at a time, and each may take minutes."""
TOO_LARGE = (
    # It took too long: by the state's own limit, by the function's.
    "States.Timeout",
    "Sandbox.Timedout",
    # Its process was killed, as a rule for memory; without a name of its own, what ends a function is "unknown".
    "Runtime.ExitError",
    "Runtime.OutOfMemory",
    "Lambda.Unknown",
    # Python's and DuckDB's words for no memory, and for no space left on a device.
    "MemoryError",
    "OSError",
    "IOException",
)
"""How a function ends that was given too much; what is wrong with the data has names of ours (perennial.errors)."""
JOB_SECONDS = 4 * 3600
"""Longest time for a job with all its attempts."""
_GRACE_SECONDS = 30


class Step(Construct):
    """A task with a timeout, a retry on transient errors only, and a catch."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        on: lambda_.Function | Job,
        fail: sfn.IChainable,
        request: Mapping[str, Any] | None = None,
        state: str | None = None,
        error_path: str = "$.failure",
        too_large: sfn.IChainable | None = None,
        array: str | None = None,
        lost: sfn.IChainable | None = None,
    ) -> None:
        """Add the state ``id``.

        Parameters
        ----------
        on : Function or Job
            What runs the step. A function's answer is found at ``$.<id>.output``; a job gives none (see `Result`).
        fail : IChainable
            Where any error leads.
        request : mapping or None
            The step's request; values may be paths of the state's input. None: the state's whole input is the request.
        state : str, optional
            The state's name, ``id`` by default: a machine has no two states of one name.
        error_path : str
            Where the error is found then.
        too_large : IChainable, optional
            Where it leads instead if a function had too little time, memory or disk.
        array : str, optional
            Path of how many times a job is run side by side, as an array job's children; 2 at least.
        lost : IChainable, optional
            Where it leads instead if a job, or a child of it, ran and failed.
        """
        name = state or id
        super().__init__(scope, f"{name} step")
        if isinstance(on, Job):
            job = self._job(name, on, "$" if request is None else "$.request", array)
            if lost is not None:
                # A name of the service's own also counts as States.TaskFailed, so what was not run at all comes first.
                job.add_catch(fail, errors=list(BATCH_REFUSED), result_path=error_path)
                job.add_catch(lost, errors=["States.TaskFailed", "States.Timeout"], result_path="$.lost")
            resilient(job, transient=BATCH_TRANSIENT, fail=fail, error_path=error_path)
            self.chain = sfn.Chain.start(job) if request is None else self._prepared(name, request).next(job)
        else:
            invocation = self._invocation(id, name, on, request)
            if too_large is not None:
                invocation.add_catch(too_large, errors=list(TOO_LARGE), result_path="$.too_large")
            resilient(invocation, transient=LAMBDA_TRANSIENT, fail=fail, error_path=error_path)
            self.chain = sfn.Chain.start(invocation)

    def _invocation(
        self, id: str, name: str, function: lambda_.Function, request: Mapping[str, Any] | None
    ) -> tasks.LambdaInvoke:
        seconds = function.timeout.to_seconds() if function.timeout else 60
        whole = sfn.TaskInput.from_json_path_at("$")
        return tasks.LambdaInvoke(
            self,
            name,
            lambda_function=function,
            payload=whole if request is None else sfn.TaskInput.from_object(dict(request)),
            result_selector={"output": sfn.JsonPath.object_at("$.Payload")},
            result_path=f"$.{id}",
            retry_on_service_exceptions=False,  # written out below, with jitter
            task_timeout=sfn.Timeout.duration(Duration.seconds(seconds + _GRACE_SECONDS)),
        )

    def _prepared(self, name: str, request: Mapping[str, Any]) -> sfn.Pass:
        return sfn.Pass(self, f"{name} request", parameters=dict(request), result_path="$.request")

    def _job(self, name: str, job: Job, path: str, array: str | None) -> sfn.CustomState:
        # Not tasks.BatchSubmitJob: it turns the state's timeout into the timeout of each attempt.
        state = {
            "Type": "Task",
            "Resource": f"arn:{Aws.PARTITION}:states:::batch:submitJob.sync",
            "Parameters": {
                "JobName": job.step,
                "JobDefinition": job.definition_arn,
                "JobQueue": job.queue_arn,
                # A job's parameters are texts, so the state machine writes the request as one.
                "Parameters": {"step": job.step, "input.$": f"States.JsonToString({path})"},
                **({} if array is None else {"ArrayProperties": {"Size.$": array}}),
            },
            # Kept beside the input, which the states after it read; a null for "discard" would be lost on its way.
            "ResultSelector": {"id.$": "$.JobId"},
            "ResultPath": "$.job",
            # All attempts, each with its own limit in the job definition, and the wait for capacity.
            "TimeoutSeconds": JOB_SECONDS,
        }
        return sfn.CustomState(self, name, state_json=state)


class Result(Construct):
    """What a job returned: a function's answer comes by itself, a job's is in the step's record in the catalog."""

    def __init__(self, scope: Construct, id: str, *, table_name: str, fail: sfn.IChainable) -> None:
        """Add the states ``<id> record`` and ``<id> result``; the answer is found at ``$.<id>.output``.

        Parameters
        ----------
        table_name : str
            The catalog.
        fail : IChainable
            Where any error leads.
        """
        super().__init__(scope, f"{id} result of the job")
        partition, sort = keys.step("{}", id)
        item = sfn.CustomState(
            self,
            f"{id} record",
            state_json={
                "Type": "Task",
                "Resource": f"arn:{Aws.PARTITION}:states:::dynamodb:getItem",
                "Parameters": {
                    "TableName": table_name,
                    "ConsistentRead": True,
                    "Key": {"pk": {"S.$": f"States.Format('{partition}', {RUN_PATH})"}, "sk": {"S": sort}},
                },
                "ResultSelector": {"record.$": "States.StringToJson($.Item.body.S)"},
                "ResultPath": f"$.{id}",
                "TimeoutSeconds": 60,
            },
        )
        resilient(item, transient=CATALOG_TRANSIENT, fail=fail)
        result = sfn.Pass(
            self,
            f"{id} result",
            parameters={"output": sfn.JsonPath.object_at(f"$.{id}.record.output")},
            result_path=f"$.{id}",
        )
        self.chain = sfn.Chain.start(item).next(result)


class SizedStep(Construct):
    """A step that is a function for little data and a Batch job for much: the same code, request, record and answer.

    What turns out to be too much for the function, such as a small file that unpacks to a large one, is the job's too.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        function: lambda_.Function,
        job: Job,
        size: str,
        limit: int,
        fail: sfn.IChainable,
        request: Mapping[str, Any],
        table_name: str | None,
    ) -> None:
        """Add the states ``<id> size``, ``<id>`` and ``<id> job``; either way the answer is at ``$.<id>.output``.

        Parameters
        ----------
        size : str
            Path of how many bytes there are; what has no size counts as little.
        limit : int
            Most bytes that the function is given.
        table_name : str or None
            The catalog, in which the job's answer is; None if nobody asks for the answer.
        """
        super().__init__(scope, f"{id} by size")
        large = Step(self, id, state=f"{id} job", on=job, request=request, fail=fail).chain
        if table_name is not None:
            large = large.next(Result(self, id, table_name=table_name, fail=fail).chain)
        small = Step(self, id, on=function, request=request, fail=fail, too_large=large).chain
        much = sfn.Condition.and_(
            sfn.Condition.is_present(size),
            sfn.Condition.is_numeric(size),
            sfn.Condition.number_greater_than(size, limit),
        )
        self.chain = sfn.Choice(self, f"{id} size").when(much, large).otherwise(small).afterwards()


def resilient(
    state: sfn.TaskStateBase | sfn.CustomState,
    *,
    transient: Sequence[str],
    fail: sfn.IChainable,
    error_path: str = "$.failure",
) -> None:
    """Repeat a task on transient errors, spread over time, and lead every other error to ``fail``.

    Three times in some seconds, but for a quarter of an hour where it is only a place that lacks (see `BUSY`).
    """
    for errors, attempts in ((list(transient), 3), (list(BUSY), 30)):
        state.add_retry(
            errors=errors,
            interval=Duration.seconds(2),
            max_attempts=attempts,
            backoff_rate=2,
            max_delay=Duration.seconds(60),
            jitter_strategy=sfn.JitterType.FULL,
        )
    state.add_catch(fail, errors=["States.ALL"], result_path=error_path)
