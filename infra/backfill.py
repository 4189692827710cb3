"""The ``backfill`` machine: everything that was uploaded to a dataset is ingested, many files at a time."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.machine import Failure, Foundation, Machine
from infra.step import RUN_ID, SizedStep, Step
from infra.storage import RESULTS
from infra.update import Update


class Backfill(Construct):
    """Each upload of a dataset → snapshot, then once: feature views → "Dataset Updated". Input: ``{dataset, trigger}``.

    A Distributed Map lists the bucket, so there may be any number of uploads. A file that is refused is recorded on a
    run of its own and stops no other.
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
        failure = Failure(self, "Failure", function=on.functions["fail"], kind="backfill", subject=dataset).chain
        request = {"run_id": RUN_ID, "dataset": dataset}
        trigger = sfn.JsonPath.object_at("$.trigger")
        begin = Step(
            self, "backfill", on=on.functions["backfill"], request={**request, "trigger": trigger}, fail=failure
        )
        gather = Step(self, "gather", on=on.functions["gather"], request=request, fail=failure)
        update = Update(
            self,
            "Update",
            on=on,
            after="gather",
            source=sfn.JsonPath.format("{}/{}", dataset, RUN_ID),
            reason=sfn.JsonPath.format("uploads of {} were ingested by a backfill", dataset),
            fail=failure,
        )
        uploads = self._uploads(on)
        uploads.item_processor(
            self._one(on),
            mode=sfn.ProcessorMode.DISTRIBUTED,
            execution_type=sfn.ProcessorType.STANDARD,
        )
        uploads.add_catch(failure, errors=["States.ALL"], result_path="$.failure")
        self.machine = Machine(
            self,
            "Backfill",
            stage=on.stage,
            deployment=on.deployment,
            name="backfill",
            start=begin.chain.next(uploads).next(gather.chain).next(update.chain),
            timeout=Duration.hours(24),
            key=on.storage.key,
        )

    def _uploads(self, on: Foundation) -> sfn.DistributedMap:
        key, backfill = (sfn.JsonPath.string_at(path) for path in ("$$.Map.Item.Value.Key", "$.backfill.output.run_id"))
        return sfn.DistributedMap(
            self,
            "uploads",
            label="uploads",
            item_reader=sfn.S3ObjectsItemReader(
                bucket=on.storage.raw, prefix=sfn.JsonPath.format("{}/", sfn.JsonPath.string_at("$.dataset"))
            ),
            item_selector={
                # The same for the same file of the same backfill, however often it is tried (perennial.steps.backfill).
                "run_id": sfn.JsonPath.format("{}-{}", sfn.JsonPath.hash(key, "SHA-1"), backfill),
                "part_of": backfill,
                "bucket": on.storage.raw.bucket_name,
                "key": key,
                "size": sfn.JsonPath.number_at("$$.Map.Item.Value.Size"),
            },
            max_concurrency=on.stage.parallel_ingests,
            tolerated_failure_percentage=100,
            # Without it, what comes of the items must fit into 256 KB.
            result_writer_v2=sfn.ResultWriterV2(bucket=on.storage.artifacts, prefix=RESULTS),
            result_path=sfn.JsonPath.DISCARD,
        )

    def _one(self, on: Foundation) -> sfn.IChainable:
        """Return what is done with one file; its executions are of their own and see nothing but their input."""
        run_id = sfn.JsonPath.string_at("$.run_id")
        failure = Failure(
            self, "UploadFailure", function=on.functions["fail"], kind="ingest", run_id=run_id, of=" upload"
        ).chain
        upload = {field: sfn.JsonPath.string_at(f"$.{field}") for field in ("bucket", "key", "size", "part_of")}
        ingest = SizedStep(
            self,
            "ingest",
            function=on.functions["ingest"],
            job=on.batch["ingest"],
            size="$.size",
            limit=on.stage.batch_bytes,
            request={"run_id": run_id, **upload},
            fail=failure,
            table_name=None,
        )
        # Consoles make a "folder" by an empty object whose key ends so; it is no upload.
        folder = sfn.Condition.string_matches("$.key", "*/")
        return sfn.Choice(self, "folder").when(folder, sfn.Succeed(self, "no upload")).otherwise(ingest.chain)
