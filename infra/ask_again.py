"""What becomes of a refused run whose reason passes with time: its execution waits, and asks again in a new one."""

from __future__ import annotations

from aws_cdk import Aws
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.step import RUN_PATH, resilient

_AT = "$.admit.output.ask_again_at"
_TRANSIENT = (
    "StepFunctions.ExecutionLimitExceededException",
    "StepFunctions.AWSStepFunctionsException",
    "StepFunctions.SdkClientException",
)


class AskAgain(Construct):
    """Wait → the same machine again, as a run of its own. A waiting execution costs nothing."""

    def __init__(self, scope: Construct, id: str, *, fail: sfn.IChainable) -> None:
        """Add the states; ``admit`` lets one execution of a model wait at a time."""
        super().__init__(scope, id)
        wait = sfn.Wait(self, "wait", time=sfn.WaitTime.timestamp_path(_AT))
        trigger = {f"{name}.$": f"$.trigger.{name}" for name in ("kind", "source", "reason")}
        again = sfn.CustomState(
            self,
            "ask again",
            state_json={
                "Type": "Task",
                "Resource": f"arn:{Aws.PARTITION}:states:::states:startExecution",
                "Parameters": {
                    # By the context: a machine that names itself in its definition could not be created.
                    "StateMachineArn.$": "$$.StateMachine.Id",
                    # Follows from this execution's name, so that a repeated call starts no second one.
                    "Name.$": f"States.Hash({RUN_PATH}, 'SHA-256')",
                    "Input": {"model.$": "$.model", "trigger": {**trigger, "retry_of.$": RUN_PATH}},
                },
                "ResultPath": None,
                "TimeoutSeconds": 60,
            },
        )
        resilient(again, transient=_TRANSIENT, fail=fail)
        refused = sfn.Succeed(self, "refused")
        waits = sfn.Condition.and_(sfn.Condition.is_present(_AT), sfn.Condition.is_string(_AT))
        self.chain = sfn.Choice(self, "asks again").when(waits, wait.next(again).next(sfn.Succeed(self, "asked again")))
        self.chain.otherwise(refused)
