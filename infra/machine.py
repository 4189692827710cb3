"""A state machine: logged without data, bounded in time, with a role that is given what it needs in ``stack.py``."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.batch import Batch
from infra.functions import Functions
from infra.logs import delivered_name, log_group
from infra.stage import Stage
from infra.step import RUN_ID, Step
from infra.storage import Storage


@dataclass(frozen=True)
class Foundation:
    """What the machines of a deployment are made of."""

    stage: Stage
    deployment: str
    functions: Functions
    batch: Batch
    storage: Storage


class Failure(Construct):
    """The way out of a machine on any error: record it on the run, then fail."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        function: lambda_.Function,
        kind: str,
        subject: str | None = None,
        run_id: str = RUN_ID,
        of: str = "",
    ) -> None:
        """Add the states ``fail`` and ``failed``.

        Parameters
        ----------
        kind : str
            Kind of the run.
        subject : str, optional
            Path of the dataset's or model's name in the state's input. None: the step finds it in the whole input.
        run_id : str
            Path of the run's id.
        of : str
            What the states' names end with, where a machine has another pair of them.
        """
        super().__init__(scope, id)
        failed = sfn.Fail(
            self,
            f"failed{of}",
            error_path=sfn.JsonPath.string_at("$.failure.Error"),
            cause_path=sfn.JsonPath.string_at("$.failure.Cause"),
        )
        whole = sfn.JsonPath.json_to_string(sfn.JsonPath.object_at("$"))
        request = {
            "run_id": run_id,
            "kind": kind,
            **({"input": whole} if subject is None else {"subject": subject}),
            "error": sfn.JsonPath.string_at("$.failure.Error"),
            "cause": sfn.JsonPath.string_at("$.failure.Cause"),
            # An upload is its run's own trigger; every other machine is told what started it.
            **({} if kind == "ingest" else {"trigger": sfn.JsonPath.object_at("$.trigger")}),
        }
        # What is shown in the end is the first error, also when recording it fails.
        step = Step(
            self, "fail", state=f"fail{of}", on=function, request=request, fail=failed, error_path=sfn.JsonPath.DISCARD
        )
        self.chain = step.chain.next(failed)


class Machine(Construct):
    """One state machine."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        deployment: str,
        name: str,
        start: sfn.IChainable,
        timeout: Duration,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, id)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        self.machine = sfn.StateMachine(
            self,
            "Machine",
            comment=f"{deployment}: {name}",
            definition_body=sfn.DefinitionBody.from_chainable(start),
            # Grants are written in stack.py alone; those that the tasks would add are broader.
            role=self.role.without_policy_updates(),
            state_machine_type=sfn.StateMachineType.STANDARD,
            timeout=timeout,
            tracing_enabled=stage.tracing,
            logs=sfn.LogOptions(
                destination=log_group(self, "Log", name=delivered_name(deployment, name), stage=stage, key=key),
                level=sfn.LogLevel.ERROR,
                include_execution_data=False,
            ),
        )

    def record_ends_from_outside(self, *, kind: str, fail: lambda_.IFunction, undelivered: sqs.IQueue) -> None:
        """Let ``fail`` close the run of an execution that was stopped or ran out of time: no state of it catches that.

        Parameters
        ----------
        kind : str
            Kind of the run.
        """
        ended = {
            "run_id": events.EventField.from_path("$.detail.name"),
            "kind": kind,
            "input": events.EventField.from_path("$.detail.input"),
            "error": events.EventField.from_path("$.detail.status"),
        }
        events.Rule(
            self,
            "Ended",
            description=f"An execution of {kind} that was stopped or ran out of time is recorded",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={"stateMachineArn": [self.machine.state_machine_arn], "status": ["ABORTED", "TIMED_OUT"]},
            ),
            targets=[
                targets.LambdaFunction(
                    fail, event=events.RuleTargetInput.from_object(ended), dead_letter_queue=undelivered
                )
            ],
        )
