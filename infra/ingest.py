"""The ``ingest`` machine, and the rule that starts it at each upload."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.machine import Failure, Foundation, Machine
from infra.step import RUN_ID, SizedStep
from infra.storage import Storage
from infra.update import Update
from perennial import keys


class Ingest(Construct):
    """Upload → snapshot → feature views → "Dataset Updated". Input: ``{bucket, key, version_id, size}``."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        on: Foundation,
        undelivered: sqs.IQueue,
    ) -> None:
        super().__init__(scope, id)
        # The step `fail` finds the dataset in the key: no function of the state machine does so for every key.
        failure = Failure(self, "Failure", function=on.functions["fail"], kind="ingest").chain
        upload = {field: sfn.JsonPath.string_at(f"$.{field}") for field in ("bucket", "key", "version_id", "size")}
        ingest = SizedStep(
            self,
            "ingest",
            function=on.functions["ingest"],
            job=on.batch["ingest"],
            size="$.size",
            limit=on.stage.batch_bytes,
            request={"run_id": RUN_ID, **upload},
            fail=failure,
            table_name=on.storage.catalog.table_name,
        )
        dataset, snapshot = (sfn.JsonPath.string_at(f"$.ingest.output.{name}") for name in ("dataset", "snapshot_id"))
        update = Update(
            self,
            "Update",
            on=on,
            after="ingest",
            source=sfn.JsonPath.format("{}/{}", dataset, snapshot),
            reason=sfn.JsonPath.format("snapshot {} was published", snapshot),
            fail=failure,
        )
        self.machine = Machine(
            self,
            "Ingest",
            stage=on.stage,
            deployment=on.deployment,
            name="ingest",
            start=ingest.chain.next(update.chain),
            timeout=Duration.hours(6),
            key=on.storage.key,
        )
        self._start_at_uploads(on.storage, undelivered)

    def _start_at_uploads(self, storage: Storage, undelivered: sqs.IQueue) -> None:
        # S3 encodes keys in what it sends to queues and functions, but not in what it sends to EventBridge.
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
                detail={
                    "bucket": {"name": [storage.raw.bucket_name]},
                    # Consoles make a "folder" by an empty object whose key ends so; it is no upload. What lies below
                    # predict/ is no dataset's: another machine answers it (see `infra.bulk`).
                    "object": {"key": [{"anything-but": {"wildcard": ["*/", f"{keys.PREDICT}/*"]}}]},
                },
            ),
            targets=[
                targets.SfnStateMachine(
                    self.machine.machine,
                    input=events.RuleTargetInput.from_object(upload),
                    dead_letter_queue=undelivered,
                )
            ],
        )
