"""The ``deploy`` machine: a registered version is tried, stands beside the champion, then serves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from aws_cdk import Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.functions import Functions
from infra.machine import Failure, Machine
from infra.stage import Stage
from infra.step import RUN_ID, Step
from perennial.definitions import Model

WORK = Duration.minutes(30)
"""What a deployment may take beside the time that its version stands beside the champion."""


class Delivery(Construct):
    """Smoke test → looks at each phase, as many as it takes → champion, or back.

    Input: ``{model, version, trigger}``.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        deployment: str,
        functions: Functions,
        models: Sequence[Model],
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, id)
        model = sfn.JsonPath.string_at("$.model")
        failure = Failure(self, "Failure", function=functions["fail"], kind="deploy", subject=model).chain
        request = {"run_id": RUN_ID, "model": model, "version": sfn.JsonPath.number_at("$.version")}
        trigger = sfn.JsonPath.object_at("$.trigger")
        smoke = Step(self, "smoke", on=functions["smoke"], request={**request, "trigger": trigger}, fail=failure)
        look = {**request, "look_seconds": stage.look_seconds}
        advance = Step(self, "advance", on=functions["advance"], request=look, fail=failure)
        promote = Step(self, "promote", on=functions["promote"], request=request, fail=failure)
        wait = sfn.Wait(self, "bake", time=sfn.WaitTime.seconds_path("$.advance.output.seconds"))
        # The phases are the model's: the machine is the same for all, and only asks what is next.
        following = (
            sfn.Choice(self, "next")
            .when(sfn.Condition.string_equals("$.advance.output.next", "wait"), wait.next(advance.chain))
            .when(sfn.Condition.string_equals("$.advance.output.next", "promote"), promote.chain)
            .otherwise(sfn.Succeed(self, "champion stays"))
        )
        smoke.chain.next(advance.chain)
        advance.chain.next(following)
        self.machine = Machine(
            self,
            "Deploy",
            stage=stage,
            deployment=deployment,
            name="deploy",
            start=smoke.chain,
            timeout=WORK.plus(longest_delivery(models)),
            key=key,
        )


def longest_delivery(models: Sequence[Model]) -> Duration:
    """Return how long a version may stand beside the champion before it serves, or does not."""
    longest = max((model.delivery.longest for model in models), default=timedelta(0))
    return Duration.seconds(int(longest.total_seconds()))
