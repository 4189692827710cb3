"""One deployment: composes its parts and says who may do what. Every grant of ours is written in this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_cdk import Aws, CfnOutput, Fn, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from aws_cdk.aws_cloudwatch import IAlarm
from constructs import Construct

from infra.access import Access
from infra.alarms import Alarms, Watched, training_alarms
from infra.ask_again import AskAgain
from infra.backfill import Backfill
from infra.batch import Batch, Job
from infra.bulk import Bulk
from infra.code import Code
from infra.dashboard import Dashboard
from infra.delivery import Delivery
from infra.forget import Forget
from infra.functions import Functions, logs_prefix
from infra.ingest import Ingest
from infra.machine import Foundation, Machine
from infra.monitoring import Monitoring, queue
from infra.network import Network
from infra.people import People
from infra.prediction_log import PredictionLog
from infra.rebuild import Rebuild
from infra.serving import Serving
from infra.stage import Stage
from infra.storage import RESULTS, Storage
from infra.train import Train
from perennial import keys
from perennial.client.deployment import machine_output
from perennial.definitions.files import Definitions
from perennial.settings import Settings
from perennial.steps import tell

_MODELS = ("MODELS", "MODEL#*")
"""Patterns of the catalog's partitions about models (see ``perennial.keys``)."""

_MADE_OF_ROWS = ("snapshots/*", "quarantine/*", "reports/ingest/*", "features/*", "training-sets/*")
"""What a dataset's rows, or figures of them, are in."""

ACCESS: dict[str, Access] = {
    "ingest": Access(
        uploads="read",
        reads=("snapshots/*", "reports/ingest/*"),
        writes=("snapshots/*", "quarantine/*", "reports/ingest/*"),
        deletes=("snapshots/*", "quarantine/*", "reports/ingest/*"),  # what was forgotten while it was ingested
        catalog="write",
        metrics=True,
    ),
    "backfill": Access(catalog="write"),
    "gather": Access(catalog="write"),
    "forget": Access(
        uploads="delete",
        reads=(*_MADE_OF_ROWS, "requests/*"),
        writes=("snapshots/*", "quarantine/*", "reports/ingest/*", "features/*"),
        deletes=(*_MADE_OF_ROWS, "requests/*"),
        catalog="write",
        online="write",
    ),
    "features": Access(reads=("snapshots/*", "features/*"), writes=("features/*",), catalog="write", online="write"),
    "admit": Access(reads=("definitions/*",), writes=("definitions/*",), catalog="lock", lists_runs=True),
    # A view that is behind the dataset is refreshed first.
    "training_set": Access(
        reads=("snapshots/*", "features/*", "training-sets/*", "training-inputs/*"),
        writes=("training-sets/*", "training-inputs/*", "features/*"),
        catalog="write",
        online="write",
    ),
    "search": Access(reads=("trials/*",), writes=("trials/*",), catalog="write"),
    "trial": Access(reads=("training-sets/*", "trials/*"), writes=("trials/*",), catalog="read"),
    "train": Access(reads=("training-sets/*", "candidates/*"), writes=("candidates/*",), catalog="write"),
    # What others made is opened here first, by a role that reaches nothing else.
    "take_submission": Access(reads=("training-sets/*", "submissions/*"), writes=("candidates/*",), catalog="write"),
    "evaluate": Access(
        reads=("training-sets/*", "candidates/*", "models/*"), writes=("reports/evaluation/*",), catalog="write"
    ),
    "register": Access(
        reads=("candidates/*", "models/*", "reports/evaluation/*"), writes=("models/*",), catalog="lock"
    ),
    "ask_approval": Access(catalog="write", writes_tokens=True),
    "settle_approval": Access(catalog="write"),
    "rebuild": Access(
        reads=("snapshots/*", "features/*", "training-inputs/*", "definitions/*", "models/*"),
        writes=("reports/rebuild/*",),
        catalog="write",
    ),
    "smoke": Access(reads=("models/*",), catalog="write"),
    "advance": Access(
        reads=("models/*", "predictions/*", "labels/*"), writes=("reports/delivery/*",), catalog="write", metrics=True
    ),
    "promote": Access(reads=("models/*",), catalog="write"),
    "fail": Access(catalog="lock", metrics=True),
    "predict": Access(reads=("models/*",), catalog="read", partitions=_MODELS, online="read"),
    "log_predictions": Access(reads=("models/*",), writes=("predictions/*",)),
    "feedback": Access(
        reads=("models/*", "predictions/*", "labels/*"), writes=("labels/*",), catalog="read", partitions=_MODELS
    ),
    "batch_predict": Access(
        uploads="read",
        uploads_below=f"{keys.PREDICT}/",
        reads=("models/*", "definitions/*", "requests/batch_predict/*", "bulk/*"),
        writes=("bulk/*",),
        catalog="write",
    ),
    "score": Access(
        uploads="read",
        uploads_below=f"{keys.PREDICT}/",
        reads=("models/*", "features/*", "bulk/*"),
        writes=("bulk/*",),
        catalog="write",
    ),
    "collect": Access(reads=("bulk/*",), writes=("bulk/*",), catalog="write"),
    "describe": Access(
        reads=("models/*", "predictions/*", "labels/*", "features/*", "training-inputs/*", "training-sets/*"),
        catalog="read",
    ),
    "authorize": Access(),  # and the values of the clients' keys, below
    "monitor": Access(
        reads=("models/*", "predictions/*", "labels/*"),
        writes=("reports/monitoring/*",),
        catalog="write",
        partitions=_MODELS,
        metrics=True,
    ),
    "tell": Access(catalog="write", partitions=(*_MODELS, keys.claim(f"{tell.TOLD}*")[0])),
}
"""What each step may touch, whether it is a function, a job or either."""
JOBS = ("ingest", "features", "training_set", "score", "forget", "trial", "train", "take_submission", "rebuild")
"""The steps that are Batch jobs: the first four when there is much data, the others always."""


@dataclass(frozen=True)
class Invokes:
    """What a machine calls."""

    functions: tuple[str, ...]
    jobs: tuple[str, ...] = ()
    announces: bool = False
    """Whether it tells the event bus: that a dataset was updated, that a version waits for approval."""


INVOKES: dict[str, Invokes] = {
    "ingest": Invokes(("ingest", "features", "fail"), ("ingest", "features"), announces=True),
    "backfill": Invokes(("backfill", "ingest", "gather", "features", "fail"), ("ingest", "features"), announces=True),
    "forget": Invokes(("features", "fail"), ("forget", "features"), announces=True),
    "train": Invokes(
        ("admit", "training_set", "search", "evaluate", "register", "ask_approval", "settle_approval", "fail"),
        ("training_set", "trial", "train", "take_submission"),
        announces=True,
    ),
    "deploy": Invokes(("smoke", "advance", "promote", "fail")),
    "rebuild": Invokes(("fail",), ("rebuild",)),
    "batch_predict": Invokes(("batch_predict", "score", "collect", "fail"), ("score",)),
}
"""What each machine calls, by its verb."""


class Perennial(Stack):
    """A deployment of perennial."""

    def __init__(
        self, scope: Construct, id: str, *, stage: Stage, folder: Path, definitions: Definitions, **options: Any
    ) -> None:
        """Compose the deployment.

        Parameters
        ----------
        folder : Path
            The folder of the definitions, deployed as it is.
        definitions : Definitions
            What it holds: each model gets its alarms, rules and schedule.
        options
            The stack's own, such as its synthesizer.
        """
        super().__init__(scope, id, description=f"perennial, stage {stage.name}", **options)
        name = self.stack_name
        storage = self.storage = Storage(self, "Storage", stage=stage)
        code = Code(self, "Code", definitions=folder, third_party=stage.third_party_layers)
        people = People(self, "People", stage=stage, deployment=name, key=storage.key)
        settings = self._settings(stage, code, people)
        statements = {step: access.statements(storage) for step, access in ACCESS.items()}
        undelivered = self._dead_letters()
        functions = Functions(
            self,
            "Functions",
            stage=stage,
            code=code,
            storage=storage,
            settings=settings,
            statements=statements,
            undelivered=undelivered,
        )
        network = Network(self, "Network", stage=stage, deployment=name, key=storage.key)
        batch = Batch(
            self,
            "Batch",
            stage=stage,
            network=network,
            image=code.image(),
            settings=settings,
            statements={step: statements[step] for step in JOBS},
            key=storage.key,
        )
        on = Foundation(stage, name, functions, batch, storage)
        ingest = Ingest(self, "Ingest", on=on, undelivered=undelivered).machine
        backfill = Backfill(self, "Backfill", on=on).machine
        forget = Forget(self, "Forget", on=on).machine
        models = [model for _, model in sorted(definitions.models.items())]
        deploy = Delivery(
            self, "Delivery", stage=stage, deployment=name, functions=functions, models=models, key=storage.key
        ).machine
        asking = AskAgain(self, "AskAgain", on=on).machine
        train = Train(self, "Train", on=on, deploy=deploy, asking=asking, models=models, undelivered=undelivered)
        serving = Serving(self, "Serving", stage=stage, deployment=name, functions=functions, key=storage.key)
        PredictionLog(self, "PredictionLog", functions=functions)
        monitoring = Monitoring(
            self,
            "Monitoring",
            stage=stage,
            deployment=name,
            function=functions["monitor"],
            storage=storage,
            undelivered=undelivered,
        )
        alarms = Alarms(self, "Alarms", deployment=name)
        watched = {model.name: alarms.of_model(model) for model in models}
        for model in models:
            train.start_by_itself(model, training_alarms(model, watched[model.name]))
        machines = {
            "ingest": ingest,
            "backfill": backfill,
            "forget": forget,
            "train": train.machine,
            "deploy": deploy,
            "rebuild": Rebuild(self, "Rebuild", on=on).machine,
            "batch_predict": Bulk(self, "Bulk", on=on, undelivered=undelivered).machine,
        }
        of_machines = {verb: machine.machine for verb, machine in {**machines, "ask_again": asking}.items()}
        figures = monitoring.figures(of_machines, serving.api, functions.log_group("predict"))
        of_datasets = {name: alarms.of_dataset(dataset) for name, dataset in sorted(definitions.datasets.items())}
        system = alarms.of_system(figures)
        self._tell(
            people, watched, [alarm for of in of_datasets.values() for alarm in of] + system, functions, undelivered
        )
        Dashboard(
            self,
            "Dashboard",
            deployment=name,
            models=watched,
            datasets=of_datasets,
            system=system,
            machines=of_machines,
            predict_log=functions.log_group("predict").log_group_name,
        )
        # It makes no run of its own: the refused run says that it asks again.
        self._grant_asking(stage, asking, train.machine)
        for kind, machine in machines.items():
            machine.record_ends_from_outside(kind=kind, fail=functions["fail"], undelivered=undelivered)
        self._grant_machines(stage, functions, batch, machines)
        self._grant_keys(functions, serving)
        self._output(settings, code, serving, {verb: machine.machine for verb, machine in machines.items()})

    def _tell(
        self,
        people: People,
        watched: Mapping[str, Watched],
        others: Sequence[IAlarm],
        functions: Functions,
        undelivered: sqs.IQueue,
    ) -> None:
        """Have people told of models that need attention, and of other alarms."""
        attention = [each.attention for each in watched.values() if each.attention]
        people.hear_of([*attention, *others], tell=functions["tell"], undelivered=undelivered)
        # Beside its role's own policy: what it may publish to is nobody else's.
        publish = iam.PolicyStatement(actions=["sns:Publish"], resources=[people.topic.topic_arn])
        iam.Policy(self, "Tell", roles=[functions.role("tell")], statements=[publish])

    def _dead_letters(self) -> sqs.IQueue:
        """Return the queue of what could not be delivered, which every rule of this account may send to."""
        undelivered = queue(self, "Undelivered")
        undelivered.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[undelivered.queue_arn],
                conditions={"ArnLike": {"aws:SourceArn": self._arn("events", "rule/*")}},
            )
        )
        # A reference, or each rule would add a statement of its own, and a queue's policy holds 20 at most.
        return sqs.Queue.from_queue_attributes(
            self, "DeadLetters", queue_arn=undelivered.queue_arn, queue_name=undelivered.queue_name
        )

    def _settings(self, stage: Stage, code: Code, people: People) -> Settings:
        return Settings(
            deployment=self.stack_name,
            raw_bucket=self.storage.raw.bucket_name,
            artifacts_bucket=self.storage.artifacts.bucket_name,
            catalog_table=self.storage.catalog.table_name,
            online_table=self.storage.online.table_name,
            topic_arn=people.topic.topic_arn,
            code_version=code.version,
            auth=stage.auth,
            pointer_ttl_seconds=stage.pointer_ttl_seconds,
            job_vcpus=stage.job_vcpus,
            job_gibibytes=stage.job_gibibytes,
        )

    def _grant_keys(self, functions: Functions, serving: Serving) -> None:
        """Let ``authorize`` read the values of the clients' keys, by which API Gateway counts their calls."""
        authorize = functions.find("authorize")
        if authorize is not None:
            ids = [key.key_id for key in serving.callers.keys.values()]
            arns = [f"arn:{Aws.PARTITION}:apigateway:{Aws.REGION}::/apikeys/{id}" for id in ids]
            authorize.add_to_role_policy(iam.PolicyStatement(actions=["apigateway:GET"], resources=arns))

    def _grant_machines(
        self, stage: Stage, functions: Functions, batch: Batch, machines: Mapping[str, Machine]
    ) -> None:
        for verb, machine in machines.items():
            invoked = INVOKES[verb]
            _allow(machine, ["lambda:InvokeFunction"], *(functions[step].function_arn for step in invoked.functions))
            if invoked.jobs:
                self._grant_jobs(machine, [batch[step] for step in invoked.jobs])
            if invoked.announces:
                _allow(machine, ["events:PutEvents"], self._arn("events", "event-bus/default"))
            # Actions that know no resources.
            _allow(machine, _LOG_DELIVERY, "*")
            if stage.tracing:
                _allow(machine, _TRACES, "*")
        self._grant_uploads(machines["backfill"])
        train, deploy = machines["train"], machines["deploy"].machine
        _allow(train, ["states:StartExecution"], deploy.state_machine_arn)
        executions = self._arn("states", f"execution:{deploy.state_machine_name}:*")
        _allow(train, ["states:DescribeExecution", "states:StopExecution"], executions)
        _allow(train, _WAITING, self._arn("events", "rule/StepFunctionsGetEventsForStepFunctionsExecutionRule"))

    def _grant_asking(self, stage: Stage, asking: Machine, train: Machine) -> None:
        """Let a refused training leave an execution behind, and that one start a training."""
        _allow(train, ["states:StartExecution"], asking.machine.state_machine_arn)
        # A policy of its own: the role's first one is there before the machine, which `train` names.
        start = iam.PolicyStatement(actions=["states:StartExecution"], resources=[train.machine.state_machine_arn])
        iam.Policy(self, "Asking", roles=[asking.role], statements=[start])
        _allow(asking, _LOG_DELIVERY, "*")
        if stage.tracing:
            _allow(asking, _TRACES, "*")

    def _grant_jobs(self, machine: Machine, jobs: Sequence[Job]) -> None:
        """Let a machine run jobs, and read what they returned in the catalog."""
        # Of any revision: a run that is under way while the stack is updated submits the one that it began with.
        names = [Fn.select(5, Fn.split(":", job.definition_arn)) for job in jobs]
        definitions = [self._arn("batch", f"{name}:*") for name in names]
        _allow(machine, ["batch:SubmitJob"], *definitions, jobs[0].queue_arn)
        _allow(machine, ["batch:TerminateJob"], self._arn("batch", "job/*"))
        _allow(machine, ["batch:DescribeJobs"], "*")  # knows no resources
        # Step Functions waits for jobs by a rule of its own, one for all in an account.
        _allow(machine, _WAITING, self._arn("events", "rule/StepFunctionsGetEventsForBatchJobsRule"))
        machine.role.add_to_policy(
            iam.PolicyStatement(
                actions=["dynamodb:GetItem"],
                resources=[self.storage.catalog.table_arn],
                conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [keys.run("*")[0]]}},
            )
        )
        if self.storage.key is not None:
            _allow(machine, ["kms:Decrypt", "kms:GenerateDataKey"], self.storage.key.key_arn)

    def _grant_uploads(self, backfill: Machine) -> None:
        """Let the backfill list uploads, run an execution for each, and have what came of them written down."""
        machine, name = backfill.machine.state_machine_arn, backfill.machine.state_machine_name
        results = self.storage.artifacts.arn_for_objects(f"{RESULTS}/*")
        write = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
        # The items' executions are named machine/label:id. AWS's example lets them be described and stopped by the
        # machine's own name (Developer Guide, "IAM policies for using Distributed Map states").
        items = self._arn("states", f"execution:{name}/*:*")
        own = self._arn("states", f"execution:{name}:*")
        # A policy of its own: the role's first one is there before the machine, whose name this one bears.
        iam.Policy(
            self,
            "BackfillUploads",
            roles=[backfill.role],
            statements=[
                iam.PolicyStatement(actions=["s3:ListBucket"], resources=[self.storage.raw.bucket_arn]),
                iam.PolicyStatement(actions=write, resources=[results]),
                iam.PolicyStatement(actions=["states:StartExecution"], resources=[machine]),
                iam.PolicyStatement(
                    actions=["states:DescribeExecution", "states:StopExecution"], resources=[own, items]
                ),
                iam.PolicyStatement(actions=["states:RedriveExecution"], resources=[items]),
            ],
        )

    def _arn(self, service: str, resource: str) -> str:
        return f"arn:{Aws.PARTITION}:{service}:{Aws.REGION}:{Aws.ACCOUNT_ID}:{resource}"

    def _output(self, settings: Settings, code: Code, serving: Serving, machines: dict[str, Any]) -> None:
        outputs = {
            "Deployment": settings.deployment,
            "CodeVersion": settings.code_version,
            "Definitions": code.definitions_location,
            "RawBucket": settings.raw_bucket,
            "ArtifactsBucket": settings.artifacts_bucket,
            "CatalogTable": settings.catalog_table,
            "OnlineTable": settings.online_table,
            "ApiUrl": serving.api.url,
            "TopicArn": settings.topic_arn,
            "LogGroups": logs_prefix(settings.deployment),
            **{machine_output(verb): machine.state_machine_arn for verb, machine in machines.items()},
        }
        for name, value in outputs.items():
            CfnOutput(self, name, value=value)


_WAITING = ["events:DescribeRule", "events:PutRule", "events:PutTargets"]
_LOG_DELIVERY = [
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
]


_TRACES = [
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
]


def _allow(machine: Machine, actions: list[str], *resources: str) -> None:
    machine.role.add_to_policy(iam.PolicyStatement(actions=actions, resources=list(resources)))
