"""The ``batch_predict`` machine, and the rule that starts it at each upload below ``predict/``."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.machine import Failure, Foundation, Machine
from infra.step import RUN_ID, SizedStep, Step
from infra.storage import Storage
from perennial import keys


class Bulk(Construct):
    """Plan → score → collect. Input: ``{model, request_key, upload, trigger}``; a person's request, or an upload.

    Little is scored by a function, much by jobs side by side: an array, whose children share the files' chunks.
    """

    def __init__(self, scope: Construct, id: str, *, on: Foundation, undelivered: sqs.IQueue) -> None:
        super().__init__(scope, id)
        # The step `fail` finds the model in the input: of an upload it stands in the key.
        failure = Failure(self, "Failure", function=on.functions["fail"], kind="batch_predict").chain
        asked = {
            "run_id": RUN_ID,
            "model": sfn.JsonPath.string_at("$.model"),
            "request_key": sfn.JsonPath.string_at("$.request_key"),
            "upload": sfn.JsonPath.object_at("$.upload"),
            "trigger": sfn.JsonPath.object_at("$.trigger"),
            "bytes_per_job": on.stage.bulk_job_bytes,
            "most_jobs": on.stage.parallel_bulk_jobs,
        }
        plan = Step(self, "batch_predict", on=on.functions["batch_predict"], request=asked, fail=failure)
        planned = {name: sfn.JsonPath.string_at(f"$.batch_predict.output.{name}") for name in ("model", "bulk_id")}
        collect = Step(self, "collect", on=on.functions["collect"], request={"run_id": RUN_ID, **planned}, fail=failure)
        jobs = "$.batch_predict.output.jobs"
        request = {"run_id": RUN_ID, **planned, "jobs": sfn.JsonPath.number_at(jobs)}
        one = SizedStep(
            self,
            "score",
            function=on.functions["score"],
            job=on.batch["score"],
            size="$.batch_predict.output.size",
            limit=on.stage.batch_bytes,
            request=request,
            fail=failure,
            table_name=None,
        )
        several = Step(
            self, "score", state="score jobs", on=on.batch["score"], request=request, fail=failure, array=jobs
        )
        # AWS Batch has no array of one job.
        share = sfn.Choice(self, "several jobs")
        share.when(sfn.Condition.number_greater_than(jobs, 1), several.chain).otherwise(one.chain)
        # Consoles make a "folder" by an empty object whose key ends so; it is no upload.
        key = "$.upload.key"
        folder = sfn.Condition.and_(sfn.Condition.is_present(key), sfn.Condition.string_matches(key, "*/"))
        self.machine = Machine(
            self,
            "BatchPredict",
            stage=on.stage,
            deployment=on.deployment,
            name="batch_predict",
            start=sfn.Choice(self, "folder")
            .when(folder, sfn.Succeed(self, "no upload"))
            .otherwise(plan.chain.next(share.afterwards()).next(collect.chain)),
            timeout=Duration.hours(6),
            key=on.storage.key,
        )
        self._start_at_uploads(on.storage, undelivered)

    def _start_at_uploads(self, storage: Storage, undelivered: sqs.IQueue) -> None:
        key = events.EventField.from_path("$.detail.object.key")
        upload = {
            "model": "",  # it stands in the key
            "request_key": "",
            "upload": {"key": key, "version_id": events.EventField.from_path("$.detail.object.version-id")},
            "trigger": {"kind": "upload", "source": key},
        }
        events.Rule(
            self,
            "Uploads",
            description=f"An upload below {keys.PREDICT}/ is predicted",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [storage.raw.bucket_name]},
                    "object": {"key": [{"prefix": f"{keys.PREDICT}/"}]},
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
