"""One deployment: composes its parts and says who may do what. Every grant of ours is written in this file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aws_cdk import Aws, CfnOutput, Fn, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.access import Access
from infra.batch import Batch
from infra.code import Code
from infra.delivery import Delivery
from infra.functions import Functions, logs_prefix
from infra.ingest import Ingest
from infra.machine import Machine
from infra.monitoring import Monitoring, queue
from infra.network import Network
from infra.serving import Serving
from infra.stage import Stage
from infra.storage import Storage
from infra.train import Train
from perennial.definition_files import Definitions
from perennial.settings import Settings

_MODELS = ("MODELS", "MODEL#*")
"""Patterns of the catalog's partitions about models (see ``perennial.keys``)."""

ACCESS: dict[str, Access] = {
    "ingest": Access(uploads=True, writes=("snapshots/*", "quarantine/*", "reports/ingest/*"), catalog="write"),
    "features": Access(reads=("snapshots/*", "features/*"), writes=("features/*",), catalog="write", online="write"),
    "admit": Access(catalog="lock", lists_runs=True),
    "training_set": Access(reads=("snapshots/*", "features/*"), writes=("training-sets/*",), catalog="write"),
    "train": Access(reads=("training-sets/*",), writes=("candidates/*",), catalog="write"),
    "evaluate": Access(
        reads=("training-sets/*", "candidates/*", "models/*"), writes=("reports/evaluation/*",), catalog="write"
    ),
    "register": Access(reads=("candidates/*",), writes=("models/*",), catalog="lock"),
    "smoke": Access(reads=("models/*",), catalog="write"),
    "promote": Access(catalog="write"),
    "fail": Access(catalog="lock"),
    "predict": Access(
        reads=("models/*",), writes=("predictions/*",), catalog="read", partitions=_MODELS, online="read"
    ),
    "feedback": Access(reads=("predictions/*", "labels/*"), writes=("labels/*",)),
    "monitor": Access(
        reads=("models/*", "predictions/*", "labels/*"), catalog="write", partitions=_MODELS, metrics=True
    ),
}
"""What each step may touch; ``train`` is the Batch job, every other one a function."""


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
        settings = self._settings(stage, code)
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
            statements=statements["train"],
            key=storage.key,
        )
        ingest = Ingest(
            self, "Ingest", stage=stage, deployment=name, functions=functions, storage=storage, undelivered=undelivered
        ).machine
        deploy = Delivery(self, "Delivery", stage=stage, deployment=name, functions=functions, key=storage.key).machine
        train = Train(
            self,
            "Train",
            stage=stage,
            deployment=name,
            functions=functions,
            batch=batch,
            deploy=deploy,
            undelivered=undelivered,
            key=storage.key,
        )
        serving = Serving(self, "Serving", stage=stage, deployment=name, functions=functions, key=storage.key)
        monitoring = Monitoring(
            self,
            "Monitoring",
            stage=stage,
            deployment=name,
            function=functions["monitor"],
            storage=storage,
            undelivered=undelivered,
        )
        models = [model for _, model in sorted(definitions.models.items())]
        alarms = {model.name: monitoring.alarms(model) for model in models}
        for model in models:
            train.start_by_itself(model, alarms[model.name])
        machines = {"ingest": ingest.machine, "train": train.machine.machine, "deploy": deploy.machine}
        monitoring.watch(machines, serving.api)
        monitoring.dashboard(models, [alarm for of in alarms.values() for alarm in of], machines, name)
        for kind, machine in (("ingest", ingest), ("train", train.machine), ("deploy", deploy)):
            machine.record_ends_from_outside(kind=kind, fail=functions["fail"], undelivered=undelivered)
        self._grant_machines(stage, functions, batch, ingest=ingest, train=train.machine, deploy=deploy)
        self._output(settings, serving, machines)

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

    def _settings(self, stage: Stage, code: Code) -> Settings:
        return Settings(
            deployment=self.stack_name,
            raw_bucket=self.storage.raw.bucket_name,
            artifacts_bucket=self.storage.artifacts.bucket_name,
            catalog_table=self.storage.catalog.table_name,
            online_table=self.storage.online.table_name,
            code_version=code.version,
            pointer_ttl_seconds=stage.pointer_ttl_seconds,
        )

    def _grant_machines(
        self, stage: Stage, functions: Functions, batch: Batch, *, ingest: Machine, train: Machine, deploy: Machine
    ) -> None:
        invoked = {
            ingest: ("ingest", "features", "fail"),
            train: ("admit", "training_set", "evaluate", "register", "fail"),
            deploy: ("smoke", "promote", "fail"),
        }
        for machine, verbs in invoked.items():
            _allow(machine, ["lambda:InvokeFunction"], *(functions[verb].function_arn for verb in verbs))
            # Actions that know no resources.
            _allow(machine, _LOG_DELIVERY, "*")
            if stage.tracing:
                _allow(machine, _TRACES, "*")
        _allow(ingest, ["events:PutEvents"], self._arn("events", "event-bus/default"))
        # Of any revision: a run that is under way while the stack is updated submits the one that it began with.
        definition = Fn.select(5, Fn.split(":", batch.job.job_definition_arn))
        _allow(train, ["batch:SubmitJob"], self._arn("batch", f"{definition}:*"), batch.queue.job_queue_arn)
        _allow(train, ["batch:TerminateJob"], self._arn("batch", "job/*"))
        _allow(train, ["batch:DescribeJobs"], "*")  # knows no resources
        _allow(train, ["states:StartExecution"], deploy.machine.state_machine_arn)
        executions = self._arn("states", f"execution:{deploy.machine.state_machine_name}:*")
        _allow(train, ["states:DescribeExecution", "states:StopExecution"], executions)
        # Step Functions waits for jobs and executions by rules of its own, one for each kind in an account.
        waits = ("StepFunctionsGetEventsForBatchJobsRule", "StepFunctionsGetEventsForStepFunctionsExecutionRule")
        rules = [self._arn("events", f"rule/{rule}") for rule in waits]
        _allow(train, ["events:DescribeRule", "events:PutRule", "events:PutTargets"], *rules)

    def _arn(self, service: str, resource: str) -> str:
        return f"arn:{Aws.PARTITION}:{service}:{Aws.REGION}:{Aws.ACCOUNT_ID}:{resource}"

    def _output(self, settings: Settings, serving: Serving, machines: dict[str, Any]) -> None:
        outputs = {
            "Deployment": settings.deployment,
            "CodeVersion": settings.code_version,
            "RawBucket": settings.raw_bucket,
            "ArtifactsBucket": settings.artifacts_bucket,
            "CatalogTable": settings.catalog_table,
            "OnlineTable": settings.online_table,
            "ApiUrl": serving.api.url,
            "LogGroups": logs_prefix(settings.deployment),
            **{f"{verb.capitalize()}MachineArn": machine.state_machine_arn for verb, machine in machines.items()},
        }
        for name, value in outputs.items():
            CfnOutput(self, name, value=value)


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
