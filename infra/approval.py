"""Between the gate and the deployment: a person, where the model's definition asks for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.machine import Foundation
from infra.step import LAMBDA_TRANSIENT, RUN_ID, Step, resilient
from infra.update import EVENT_SOURCE, EVENTS_TRANSIENT
from perennial.definitions import Model
from perennial.errors import DefinitionError

APPROVAL_WANTED = "Approval Wanted"
ENDS_OF_WAITING = ("Rejected", "States.Timeout", "ConflictError")
"""A person said no; nobody said anything in time; somebody decided before this try could ask."""
_LONGEST = timedelta(days=360)
"""An execution lasts a year at most."""


class ApprovalGate(Construct):
    """Announce → ask and wait → settle. Input: what ``evaluate`` and ``register`` answered."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        on: Foundation,
        fail: sfn.IChainable,
        approved: sfn.IChainable,
        refused: sfn.IChainable,
    ) -> None:
        """Add the states ``approval``, ``announce approval``, ``ask_approval``, ``settle_approval`` and ``approved``.

        Parameters
        ----------
        approved, refused : IChainable
            Where it leads when nobody needs to approve or somebody has; and when it was rejected or the time was up.
        """
        super().__init__(scope, id)
        version = sfn.JsonPath.number_at("$.register.output.version")
        request = {"run_id": RUN_ID, "model": sfn.JsonPath.string_at("$.model"), "version": version}
        settle = Step(self, "settle_approval", on=on.functions["settle_approval"], request=request, fail=fail).chain
        said_yes = sfn.Condition.boolean_equals("$.settle_approval.output.approved", True)
        settle.next(sfn.Choice(self, "approved").when(said_yes, approved).otherwise(refused))
        ask = self._ask(on.functions["ask_approval"], request, settle, fail)
        wanted = sfn.Condition.number_greater_than("$.register.output.approval_seconds", 0)
        announced = sfn.Chain.start(self._announce(on.deployment, fail)).next(ask)
        self.chain = sfn.Choice(self, "approval").when(wanted, announced).otherwise(approved)

    def _ask(
        self, function: lambda_.Function, request: Mapping[str, Any], settle: sfn.Chain, fail: sfn.IChainable
    ) -> sfn.Chain:
        seconds = "$.register.output.approval_seconds"
        ask = tasks.LambdaInvoke(
            self,
            "ask_approval",
            lambda_function=function,
            integration_pattern=sfn.IntegrationPattern.WAIT_FOR_TASK_TOKEN,
            payload=sfn.TaskInput.from_object(
                {**request, "approval_seconds": sfn.JsonPath.number_at(seconds), "token": sfn.JsonPath.task_token}
            ),
            # The record says what was decided, not whoever holds the token.
            result_path=sfn.JsonPath.DISCARD,
            retry_on_service_exceptions=False,
            # No heartbeat: people send none.
            task_timeout=sfn.Timeout.at(seconds),
        )
        ask.add_catch(settle, errors=list(ENDS_OF_WAITING), result_path="$.waiting_ended")
        resilient(ask, transient=LAMBDA_TRANSIENT, fail=fail)
        return sfn.Chain.start(ask).next(settle)

    def _announce(self, deployment: str, fail: sfn.IChainable) -> tasks.EventBridgePutEvents:
        detail = {
            "deployment": deployment,
            "run_id": RUN_ID,
            "model": sfn.JsonPath.string_at("$.model"),
            "version": sfn.JsonPath.number_at("$.register.output.version"),
            "metrics": sfn.JsonPath.object_at("$.evaluate.output.metrics"),
            "report_key": sfn.JsonPath.string_at("$.evaluate.output.report_key"),
            "approval_seconds": sfn.JsonPath.number_at("$.register.output.approval_seconds"),
        }
        announce = tasks.EventBridgePutEvents(
            self,
            "announce approval",
            entries=[
                tasks.EventBridgePutEventsEntry(
                    source=EVENT_SOURCE, detail_type=APPROVAL_WANTED, detail=sfn.TaskInput.from_object(detail)
                )
            ],
            result_path=sfn.JsonPath.DISCARD,
            task_timeout=sfn.Timeout.duration(Duration.minutes(1)),
        )
        resilient(announce, transient=EVENTS_TRANSIENT, fail=fail)
        return announce


def longest_wait(models: Sequence[Model]) -> Duration:
    """Return how long an execution may have to wait for a person.

    Raises
    ------
    DefinitionError
        A model lets people take longer than an execution lasts.
    """
    longest = timedelta(0)
    for model in models:
        if model.approval_timeout > _LONGEST:
            raise DefinitionError(
                f"models/{model.name}.toml: approval_timeout: an execution waits {_LONGEST.days} days at most, "
                f"not {model.approval_timeout.days}"
            )
        if model.approval == "manual":
            longest = max(longest, model.approval_timeout)
    return Duration.seconds(int(longest.total_seconds()))
