"""A step of a state machine: the same state whether a Lambda function or a Batch job does the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Aws, Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.batch import Batch

RUN_ID = sfn.JsonPath.string_at("$$.Execution.Name")
"""The run's id: the name of the state machine's execution."""

LAMBDA_TRANSIENT = (
    "TransientError",
    "Lambda.TooManyRequestsException",
    "Lambda.ServiceException",
    "Lambda.SdkClientException",
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
)
# What the service says without a name of its own, such as an internal error, comes as AWSBatchException.
BATCH_TRANSIENT = (
    "Batch.TooManyRequestsException",
    "Batch.ServerException",
    "Batch.SdkClientException",
    "Batch.AWSBatchException",
)
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
        on: lambda_.Function | Batch,
        fail: sfn.IChainable,
        request: Mapping[str, Any] | None = None,
        error_path: str = "$.failure",
    ) -> None:
        """Add the state ``id``.

        Parameters
        ----------
        on : Function or Batch
            What runs the step. A function's answer is found at ``$.<id>.output``; a job gives none.
        fail : IChainable
            Where any error leads.
        request : mapping or None
            The step's request; values may be paths of the state's input. None: the state's whole input is the request.
        error_path : str
            Where the error is found then.
        """
        super().__init__(scope, f"{id} step")
        if isinstance(on, Batch):
            job = self._job(id, on, "$" if request is None else "$.request")
            resilient(job, transient=BATCH_TRANSIENT, fail=fail, error_path=error_path)
            self.chain = sfn.Chain.start(job) if request is None else self._prepared(id, request).next(job)
        else:
            invocation = self._invocation(id, on, request)
            resilient(invocation, transient=LAMBDA_TRANSIENT, fail=fail, error_path=error_path)
            self.chain = sfn.Chain.start(invocation)

    def _invocation(self, id: str, function: lambda_.Function, request: Mapping[str, Any] | None) -> tasks.LambdaInvoke:
        seconds = function.timeout.to_seconds() if function.timeout else 60
        whole = sfn.TaskInput.from_json_path_at("$")
        return tasks.LambdaInvoke(
            self,
            id,
            lambda_function=function,
            payload=whole if request is None else sfn.TaskInput.from_object(dict(request)),
            result_selector={"output": sfn.JsonPath.object_at("$.Payload")},
            result_path=f"$.{id}",
            retry_on_service_exceptions=False,  # written out below, with jitter
            task_timeout=sfn.Timeout.duration(Duration.seconds(seconds + _GRACE_SECONDS)),
        )

    def _prepared(self, id: str, request: Mapping[str, Any]) -> sfn.Pass:
        return sfn.Pass(self, f"{id} request", parameters=dict(request), result_path="$.request")

    def _job(self, id: str, batch: Batch, path: str) -> sfn.CustomState:
        # Not tasks.BatchSubmitJob: it turns the state's timeout into the timeout of each attempt.
        state = {
            "Type": "Task",
            "Resource": f"arn:{Aws.PARTITION}:states:::batch:submitJob.sync",
            "Parameters": {
                "JobName": id,
                "JobDefinition": batch.job.job_definition_arn,
                "JobQueue": batch.queue.job_queue_arn,
                # A job's parameters are texts, so the state machine writes the request as one.
                "Parameters": {"step": id, "input.$": f"States.JsonToString({path})"},
            },
            "ResultPath": None,
            # All attempts, each with its own limit in the job definition, and the wait for capacity.
            "TimeoutSeconds": JOB_SECONDS,
        }
        return sfn.CustomState(self, id, state_json=state)


def resilient(
    state: sfn.TaskStateBase | sfn.CustomState,
    *,
    transient: Sequence[str],
    fail: sfn.IChainable,
    error_path: str = "$.failure",
) -> None:
    """Repeat a task on transient errors, spread over time, and lead every other error to ``fail``."""
    state.add_retry(
        errors=list(transient),
        interval=Duration.seconds(2),
        max_attempts=3,
        backoff_rate=2,
        max_delay=Duration.seconds(60),
        jitter_strategy=sfn.JitterType.FULL,
    )
    state.add_catch(fail, errors=["States.ALL"], result_path=error_path)
