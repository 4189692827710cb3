"""The ``deploy`` machine: a registered version is tried, then becomes champion."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.functions import Functions
from infra.machine import Failure, Machine
from infra.stage import Stage
from infra.step import RUN_ID, Step


class Delivery(Construct):
    """Smoke test → champion. Input: ``{model, version, trigger}``."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        deployment: str,
        functions: Functions,
        key: kms.IKey | None,
    ) -> None:
        super().__init__(scope, id)
        model = sfn.JsonPath.string_at("$.model")
        failure = Failure(self, "Failure", function=functions["fail"], kind="deploy", subject=model).chain
        request = {"run_id": RUN_ID, "model": model, "version": sfn.JsonPath.number_at("$.version")}
        trigger = sfn.JsonPath.object_at("$.trigger")
        smoke = Step(self, "smoke", on=functions["smoke"], request={**request, "trigger": trigger}, fail=failure)
        promote = Step(self, "promote", on=functions["promote"], request=request, fail=failure)
        self.machine = Machine(
            self,
            "Deploy",
            stage=stage,
            deployment=deployment,
            name="deploy",
            start=smoke.chain.next(promote.chain),
            timeout=Duration.minutes(30),
            key=key,
        )
