"""What follows when a dataset has changed: its feature views are brought up to date, and it is announced."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.machine import Foundation
from infra.step import RUN_ID, SizedStep, resilient

EVENT_SOURCE = "perennial"
DATASET_UPDATED = "Dataset Updated"
EVENTS_TRANSIENT = ("EventBridge.FailedEntry", "EventBridge.InternalException", "EventBridge.SdkClientException")


class Update(Construct):
    """Feature views → "Dataset Updated", if there is news; the end of every machine that changes a dataset."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        on: Foundation,
        after: str,
        source: str,
        reason: str,
        fail: sfn.IChainable,
    ) -> None:
        """Add the states ``features``, ``published``, ``announce`` and ``known already``.

        Parameters
        ----------
        after : str
            The step before, whose answer says ``dataset``, ``dataset_bytes`` and whether anything was ``published``.
        source, reason : str
            What changed the dataset, for the runs that are started by the news.
        """
        super().__init__(scope, id)
        answer = f"$.{after}.output"
        dataset = sfn.JsonPath.string_at(f"{answer}.dataset")
        features = SizedStep(
            self,
            "features",
            function=on.functions["features"],
            job=on.batch["features"],
            size=f"{answer}.dataset_bytes",
            limit=on.stage.batch_bytes,
            request={"run_id": RUN_ID, "dataset": dataset},
            fail=fail,
            table_name=None,
        )
        detail = {
            "dataset": dataset,
            "run_id": RUN_ID,
            "deployment": on.deployment,
            "source": source,
            "reason": reason,
        }
        announce = tasks.EventBridgePutEvents(
            self,
            "announce",
            entries=[
                tasks.EventBridgePutEventsEntry(
                    source=EVENT_SOURCE, detail_type=DATASET_UPDATED, detail=sfn.TaskInput.from_object(detail)
                )
            ],
            result_path=sfn.JsonPath.DISCARD,
            task_timeout=sfn.Timeout.duration(Duration.minutes(1)),
        )
        resilient(announce, transient=EVENTS_TRANSIENT, fail=fail)
        # The same content again is no news.
        news = sfn.Choice(self, "published").when(sfn.Condition.boolean_equals(f"{answer}.published", True), announce)
        news.otherwise(sfn.Succeed(self, "known already"))
        self.chain = features.chain.next(news)
