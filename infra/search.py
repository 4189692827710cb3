"""The search within the ``train`` machine: plan a round, run its trials side by side, plan the next one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.machine import Foundation
from infra.step import Step


class Search(Construct):
    """``search`` ▸ a round's ``trials`` ▸ ``search`` …, until it is done; left out where nothing is searched."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        on: Foundation,
        request: Mapping[str, Any],
        then: sfn.IChainable,
        fail: sfn.IChainable,
    ) -> None:
        """Add the states.

        Parameters
        ----------
        request : mapping
            The run and the model.
        then : IChainable
            What comes behind the search.
        fail : IChainable
            Where any error leads, but those of the trials' own jobs: they lead back to ``search``, which finds no
            result of theirs and counts them as failed trials.
        """
        super().__init__(scope, id)
        planned = {
            "round": sfn.JsonPath.number_at("$.search.output.round"),
            "sha256": sfn.JsonPath.string_at("$.search.output.sha256"),
        }
        search = Step(self, "search", on=on.functions["search"], request={**request, **planned}, fail=fail).chain

        def trials(name: str, array: str | None) -> sfn.Chain:
            job, again = on.batch["trial"], search.start_state
            step = Step(self, name, on=job, request={**request, **planned}, fail=fail, array=array, lost=again)
            return step.chain.next(again)

        # AWS Batch has no array of one job.
        one, many = trials("trial", None), trials("trials", "$.search.output.trials")
        several = sfn.Choice(self, "several trials")
        several.when(sfn.Condition.number_greater_than("$.search.output.trials", 1), many).otherwise(one)
        searched = sfn.Choice(self, "searched")
        searched.when(sfn.Condition.boolean_equals("$.search.output.done", True), then).otherwise(several)
        search.next(searched)
        begin = sfn.Pass(
            self,
            "begin search",
            result=sfn.Result.from_object({"output": {"round": 0, "sha256": ""}}),
            result_path="$.search",
        )
        begin.next(search.start_state)
        wanted = "$.admit.output.searches"
        is_wanted = sfn.Condition.and_(sfn.Condition.is_present(wanted), sfn.Condition.boolean_equals(wanted, True))
        self.chain = sfn.Chain.start(sfn.Choice(self, "searches").when(is_wanted, begin).otherwise(then))
