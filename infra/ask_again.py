"""What becomes of a refused run whose reason passes with time: an execution waits, and asks again in a new run."""

from __future__ import annotations

from typing import Any

from aws_cdk import Aws, Duration
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.machine import Foundation, Machine
from infra.step import RUN_PATH, resilient
from perennial.definitions.model import LONGEST_BACKOFF

EXECUTION_TRANSIENT = (
    "StepFunctions.ExecutionLimitExceededException",
    "StepFunctions.AWSStepFunctionsException",
    "StepFunctions.SdkClientException",
)
_AT = "$.admit.output.ask_again_at"


class AskAgain(Construct):
    """Wait → ``train`` again. Input: ``{machine, at, input}``.

    A machine of its own, as a training run is bounded by the claim on its model, and the wait is not. An execution that
    waits costs nothing; ``admit`` lets one of a model wait at a time.
    """

    def __init__(self, scope: Construct, id: str, *, on: Foundation) -> None:
        super().__init__(scope, id)
        failed = sfn.Fail(
            self,
            "failed",
            error_path=sfn.JsonPath.string_at("$.failure.Error"),
            cause_path=sfn.JsonPath.string_at("$.failure.Cause"),
        )
        wait = sfn.Wait(self, "wait", time=sfn.WaitTime.timestamp_path("$.at"))
        again = _start(self, "ask again", machine="$.machine", input={"Input.$": "$.input"})
        resilient(again, transient=EXECUTION_TRANSIENT, fail=failed)
        self.machine = Machine(
            self,
            "AskAgain",
            stage=on.stage,
            deployment=on.deployment,
            name="ask_again",
            start=wait.next(again).next(sfn.Succeed(self, "asked")),
            timeout=Duration.days(LONGEST_BACKOFF.days).plus(Duration.hours(1)),
            key=on.storage.key,
        )


class Refused(Construct):
    """The end of a run that ``admit`` refused: it is over, and may leave an execution behind that asks again."""

    def __init__(self, scope: Construct, id: str, *, asking: Machine, fail: sfn.IChainable) -> None:
        super().__init__(scope, id)
        over = sfn.Succeed(self, "refused")
        trigger = {f"{name}.$": f"$.trigger.{name}" for name in ("kind", "source", "reason")}
        later = {
            "machine.$": "$$.StateMachine.Id",
            "at.$": _AT,
            "input": {"model.$": "$.model", "trigger": {**trigger, "retry_of.$": RUN_PATH}},
        }
        leave = _start(self, "ask later", machine=asking.machine.state_machine_arn, input={"Input": later})
        resilient(leave, transient=EXECUTION_TRANSIENT, fail=fail)
        passes = sfn.Condition.and_(sfn.Condition.is_present(_AT), sfn.Condition.is_string(_AT))
        self.chain = sfn.Choice(self, "asks again").when(passes, leave.next(over))
        self.chain.otherwise(over)


def _start(scope: Construct, id: str, *, machine: str, input: dict[str, Any]) -> sfn.CustomState:
    """Return the state that starts an execution, named after this one: a repeated call starts no second."""
    # A path begins so; what stands for another resource's ARN while this is synthesised begins with "${".
    which = {"StateMachineArn.$" if machine.startswith("$.") else "StateMachineArn": machine}
    state = {
        "Type": "Task",
        "Resource": f"arn:{Aws.PARTITION}:states:::states:startExecution",
        "Parameters": {**which, "Name.$": f"States.Hash({RUN_PATH}, 'SHA-256')", **input},
        "ResultPath": None,
        "TimeoutSeconds": 60,
    }
    return sfn.CustomState(scope, id, state_json=state)
