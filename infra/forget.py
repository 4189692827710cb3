"""The ``forget`` machine: rows are taken out of a dataset and of all that was made from them."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.machine import Failure, Foundation, Machine
from infra.step import RUN_ID, Result, Step
from infra.update import Update


class Forget(Construct):
    """Rows forgotten → feature views → "Dataset Updated". Input: ``{dataset, request_key, trigger}``.

    What is to be forgotten stands in an object of the artifacts bucket, so that no log of executions holds it. The step
    is always a Batch job: it may have to look through all that a dataset ever was, and nobody waits for it.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        on: Foundation,
    ) -> None:
        super().__init__(scope, id)
        dataset = sfn.JsonPath.string_at("$.dataset")
        failure = Failure(self, "Failure", function=on.functions["fail"], kind="forget", subject=dataset).chain
        request = {
            "run_id": RUN_ID,
            "dataset": dataset,
            "request_key": sfn.JsonPath.string_at("$.request_key"),
            "trigger": sfn.JsonPath.object_at("$.trigger"),
        }
        forget = Step(self, "forget", on=on.batch["forget"], request=request, fail=failure)
        answer = Result(self, "forget", table_name=on.storage.catalog.table_name, fail=failure)
        update = Update(
            self,
            "Update",
            on=on,
            after="forget",
            source=sfn.JsonPath.format("{}/{}", dataset, RUN_ID),
            reason=sfn.JsonPath.format("rows of {} were forgotten", dataset),
            fail=failure,
        )
        self.machine = Machine(
            self,
            "Forget",
            stage=on.stage,
            deployment=on.deployment,
            name="forget",
            start=forget.chain.next(answer.chain).next(update.chain),
            timeout=Duration.hours(12),
            key=on.storage.key,
        )
