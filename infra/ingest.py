"""The ``ingest`` machine, and the rule that starts it at each upload."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.functions import Functions
from infra.machine import Failure, Machine
from infra.stage import Stage
from infra.step import RUN_ID, Step, resilient
from infra.storage import Storage

EVENT_SOURCE = "perennial"
DATASET_UPDATED = "Dataset Updated"
EVENTS_TRANSIENT = ("EventBridge.FailedEntry", "EventBridge.InternalException", "EventBridge.SdkClientException")


class Ingest(Construct):
    """Upload → snapshot → feature views → "Dataset Updated". Input: ``{bucket, key, version_id, size}``."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        deployment: str,
        functions: Functions,
        storage: Storage,
        undelivered: sqs.IQueue,
    ) -> None:
        super().__init__(scope, id)
        # A file's first folder is its dataset.
        subject = sfn.JsonPath.array_get_item(sfn.JsonPath.string_split(sfn.JsonPath.string_at("$.key"), "/"), 0)
        failure = Failure(self, "Failure", function=functions["fail"], kind="ingest", subject=subject).chain
        upload = {field: sfn.JsonPath.string_at(f"$.{field}") for field in ("bucket", "key", "version_id", "size")}
        dataset = sfn.JsonPath.string_at("$.ingest.output.dataset")
        ingest = Step(self, "ingest", on=functions["ingest"], request={"run_id": RUN_ID, **upload}, fail=failure)
        features = Step(
            self, "features", on=functions["features"], request={"run_id": RUN_ID, "dataset": dataset}, fail=failure
        )
        announce = self._announcement(deployment, dataset)
        resilient(announce, transient=EVENTS_TRANSIENT, fail=failure)
        # The same content again is no news.
        news = sfn.Choice(self, "published").when(
            sfn.Condition.boolean_equals("$.ingest.output.published", True), announce
        )
        news.otherwise(sfn.Succeed(self, "known already"))
        self.machine = Machine(
            self,
            "Ingest",
            stage=stage,
            deployment=deployment,
            name="ingest",
            start=ingest.chain.next(features.chain).next(news),
            timeout=Duration.hours(1),
            key=storage.key,
        )
        self._start_at_uploads(storage, undelivered)

    def _announcement(self, deployment: str, dataset: str) -> tasks.EventBridgePutEvents:
        detail = {
            "dataset": dataset,
            "snapshot_id": sfn.JsonPath.string_at("$.ingest.output.snapshot_id"),
            "run_id": RUN_ID,
            "deployment": deployment,
        }
        return tasks.EventBridgePutEvents(
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

    def _start_at_uploads(self, storage: Storage, undelivered: sqs.IQueue) -> None:
        upload = {
            "bucket": events.EventField.from_path("$.detail.bucket.name"),
            "key": events.EventField.from_path("$.detail.object.key"),
            "version_id": events.EventField.from_path("$.detail.object.version-id"),
            "size": events.EventField.from_path("$.detail.object.size"),
        }
        events.Rule(
            self,
            "Uploads",
            description="An upload starts ingest",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={"bucket": {"name": [storage.raw.bucket_name]}},
            ),
            targets=[
                targets.SfnStateMachine(
                    self.machine.machine,
                    input=events.RuleTargetInput.from_object(upload),
                    dead_letter_queue=undelivered,
                )
            ],
        )
