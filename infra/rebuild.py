"""The ``rebuild`` machine: a version is made again from what was recorded of it, and compared."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.machine import Failure, Foundation, Machine
from infra.step import RUN_ID, Step


class Rebuild(Construct):
    """One Batch job. Input: ``{model, version, trigger}``; what came of it is in the run's record."""

    def __init__(self, scope: Construct, id: str, *, on: Foundation) -> None:
        super().__init__(scope, id)
        model = sfn.JsonPath.string_at("$.model")
        failure = Failure(self, "Failure", function=on.functions["fail"], kind="rebuild", subject=model).chain
        request = {
            "run_id": RUN_ID,
            "model": model,
            "version": sfn.JsonPath.number_at("$.version"),
            "trigger": sfn.JsonPath.object_at("$.trigger"),
        }
        rebuild = Step(self, "rebuild", on=on.batch["rebuild"], request=request, fail=failure)
        self.machine = Machine(
            self,
            "Rebuild",
            stage=on.stage,
            deployment=on.deployment,
            name="rebuild",
            start=rebuild.chain,
            timeout=Duration.hours(6),
            key=on.storage.key,
        )
