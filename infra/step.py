"""A step of a state machine: the same state whether a Lambda function or a Batch job does the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration
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
)
BATCH_TRANSIENT = ("Batch.TooManyRequestsException", "Batch.ServerException", "Batch.SdkClientException")
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
    ) -> None:
        """Add the state ``id``.

        Parameters
        ----------
        on : Function or Batch
            What runs the step. A function's answer is found at ``$.<id>.output``; a job gives none.
        fail : IChainable
            Where any error leads; the error is found at ``$.failure``.
        request : mapping or None
            The step's request; values may be paths of the state's input. None: the state's whole input is the request.
        """
        super().__init__(scope, f"{id} step")
        if isinstance(on, Batch):
            job = self._job(id, on, "$" if request is None else "$.request")
            resilient(job, transient=BATCH_TRANSIENT, fail=fail)
            self.chain = sfn.Chain.start(job) if request is None else self._prepared(id, request).next(job)
        else:
            invocation = self._invocation(id, on, request)
            resilient(invocation, transient=LAMBDA_TRANSIENT, fail=fail)
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

    def _job(self, id: str, batch: Batch, path: str) -> tasks.BatchSubmitJob:
        # A job's parameters are texts, so the state machine writes the request as one.
        text = sfn.JsonPath.json_to_string(sfn.JsonPath.object_at(path))
        return tasks.BatchSubmitJob(
            self,
            id,
            job_name=id,
            job_definition_arn=batch.job.job_definition_arn,
            job_queue_arn=batch.queue.job_queue_arn,
            payload=sfn.TaskInput.from_object({"step": id, "input": text}),
            result_path=sfn.JsonPath.DISCARD,
            # Every attempt has its own limit in the job definition; this one also bounds the wait for capacity.
            task_timeout=sfn.Timeout.duration(Duration.hours(4)),
        )


def resilient(state: sfn.TaskStateBase, *, transient: Sequence[str], fail: sfn.IChainable) -> None:
    """Repeat a task on transient errors, spread over time, and lead every other error to ``fail``."""
    state.add_retry(
        errors=list(transient),
        interval=Duration.seconds(2),
        max_attempts=3,
        backoff_rate=2,
        max_delay=Duration.seconds(60),
        jitter_strategy=sfn.JitterType.FULL,
    )
    state.add_catch(fail, errors=["States.ALL"], result_path="$.failure")
