"""The Lambda functions: one for each verb, each with its own role and log group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Duration, Size
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.code import ARCHITECTURE, RUNTIME, Code
from infra.logs import log_group
from infra.stage import Stage
from infra.storage import Storage
from perennial.settings import Settings


@dataclass(frozen=True)
class Shape:
    """What a function needs to run."""

    memory: int
    """Memory in MiB; a function has one processor at 1769 MiB, and new accounts allow 3008 MiB at most."""
    seconds: int
    """Time after which it is stopped."""
    packages: str = "data"
    """The layer of packages that it imports."""
    auth: str | None = None
    """The stage's ``auth`` that it is for; None means that there is always use for it."""
    disk: int = 512
    """Temporary storage in MiB; what is beyond 512 costs while it runs."""


SHAPES: dict[str, Shape] = {
    "ingest": Shape(memory=3008, seconds=900, disk=10240),
    "features": Shape(memory=3008, seconds=900, disk=10240),
    "backfill": Shape(memory=1024, seconds=60),
    "gather": Shape(memory=1769, seconds=300),
    "admit": Shape(memory=1024, seconds=60),
    "training_set": Shape(memory=3008, seconds=900, disk=10240),
    "search": Shape(memory=1769, seconds=300, packages="search"),
    "evaluate": Shape(memory=3008, seconds=600, packages="serving", disk=10240),
    "register": Shape(memory=1024, seconds=120),
    "ask_approval": Shape(memory=1024, seconds=60),
    "settle_approval": Shape(memory=1024, seconds=60),
    "smoke": Shape(memory=1769, seconds=120, packages="serving"),
    "advance": Shape(memory=1769, seconds=300),
    "promote": Shape(memory=1024, seconds=60),
    "fail": Shape(memory=1024, seconds=60),
    "predict": Shape(memory=1769, seconds=29, packages="serving"),
    "log_predictions": Shape(memory=1024, seconds=120),
    "feedback": Shape(memory=1769, seconds=29),
    "batch_predict": Shape(memory=1769, seconds=120),
    "score": Shape(memory=3008, seconds=900, packages="serving", disk=10240),
    "collect": Shape(memory=1769, seconds=300),
    "describe": Shape(memory=1024, seconds=29),
    "authorize": Shape(memory=1024, seconds=10, packages="auth", auth="jwt"),
    "monitor": Shape(memory=1769, seconds=300),
    "tell": Shape(memory=1024, seconds=60),
}
"""Every verb that is a function; what is too large for one is a job (see ``infra.batch``).

API Gateway waits 29 seconds for an answer, so nothing behind it may run longer.
"""

NOT_WAITED_FOR = ("monitor", "log_predictions", "tell")
"""The functions that are called by who does not wait for them: the clock, CloudWatch Logs, and an alarm."""
RAW_DAYS = 3
"""How long the log of ``predict`` is kept, which has every request's values: in minutes the prediction log has them."""


WAITED = ("predict",)
"""The verbs whose first answer somebody waits for: a stage may have their starts prepared."""


class Functions(Construct):
    """All functions, by verb."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        code: Code,
        storage: Storage,
        settings: Settings,
        statements: Mapping[str, Sequence[iam.PolicyStatement]],
        undelivered: sqs.IQueue,
    ) -> None:
        super().__init__(scope, id)
        environment = settings.to_env()
        self._functions: dict[str, lambda_.Function] = {}
        self._log_groups: dict[str, logs.ILogGroup] = {}
        for verb, shape in SHAPES.items():
            if shape.auth not in (None, stage.auth):
                continue
            group = self._log_groups[verb] = log_group(
                self,
                f"{verb}_log",
                name=f"{logs_prefix(settings.deployment)}{verb}",
                stage=stage,
                key=storage.key,
                days=RAW_DAYS if verb == "predict" else None,
            )
            self._functions[verb] = lambda_.Function(
                self,
                verb,
                description=f"{settings.deployment}: {verb}",
                runtime=RUNTIME,
                architecture=ARCHITECTURE,
                code=code.functions,
                handler=f"{verb}.handler",
                layers=code.layers(shape.packages),
                memory_size=shape.memory,
                timeout=Duration.seconds(shape.seconds),
                ephemeral_storage_size=Size.mebibytes(shape.disk) if shape.disk != 512 else None,
                environment=environment | {"POWERTOOLS_SERVICE_NAME": verb},
                role=self._role(verb, group, statements[verb]),
                log_group=group,
                logging_format=lambda_.LoggingFormat.JSON,
                tracing=lambda_.Tracing.ACTIVE if stage.tracing else lambda_.Tracing.DISABLED,
                dead_letter_queue=undelivered if verb in NOT_WAITED_FOR else None,
                snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if stage.snapstart and verb in WAITED else None,
            )
        self._aliases = {verb: self._alias(verb, stage) for verb in WAITED if _is_prepared(stage)}

    def called(self, verb: str) -> lambda_.IFunction:
        """Return what the API calls for a verb: the function, or its published version where that is prepared."""
        return self._aliases.get(verb, self._functions[verb])

    def _alias(self, verb: str, stage: Stage) -> lambda_.Alias:
        # Snapshots and processes that wait belong to a version; the alias moves to each new one.
        return lambda_.Alias(
            self,
            f"{verb}_live",
            alias_name="live",
            version=self._functions[verb].current_version,
            provisioned_concurrent_executions=stage.provisioned_concurrency or None,
        )

    def find(self, verb: str) -> lambda_.Function | None:
        """Return the function of a verb, None if the stage has no use for it."""
        return self._functions.get(verb)

    def __getitem__(self, verb: str) -> lambda_.Function:
        """Return the function of a verb."""
        return self._functions[verb]

    def log_group(self, verb: str) -> logs.ILogGroup:
        """Return the log group of a verb's function."""
        return self._log_groups[verb]

    def role(self, verb: str) -> iam.IRole:
        """Return the role of a verb's function."""
        role = self._functions[verb].role
        assert role is not None
        return role

    def _role(self, verb: str, group: logs.ILogGroup, statements: Sequence[iam.PolicyStatement]) -> iam.Role:
        write_logs = iam.PolicyStatement(
            actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[group.log_group_arn]
        )
        return iam.Role(
            self,
            f"{verb}_role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            inline_policies={"access": iam.PolicyDocument(statements=[write_logs, *statements])},
        )


def _is_prepared(stage: Stage) -> bool:
    return stage.snapstart or stage.provisioned_concurrency > 0


def logs_prefix(deployment: str) -> str:
    """Return what the names of the functions' and jobs' log groups begin with."""
    return f"/perennial/{deployment}/"
