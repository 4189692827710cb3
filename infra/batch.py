"""AWS Batch on Fargate: a queue, and for each step that may be a job its definition and its role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import Duration, Size
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.functions import logs_prefix
from infra.logs import log_group
from infra.network import Network
from infra.stage import Stage
from perennial.settings import Settings

ATTEMPTS = 3
ATTEMPT_HOURS = 1

_FINAL = batch.Action.EXIT
# What matches none is repeated: exit code 20, 128 + n of a container that signal n ended (137 and 143 are SIGKILL and
# SIGTERM, as of a host that is taken away), a place or an image that did not come
# in time. What is here would fail again.
_RETRIES = [
    # The exit codes are those of functions/batch.py; an error that nobody foresaw ends Python with 1.
    batch.RetryStrategy.of(_FINAL, batch.Reason.custom(on_exit_code="10")),
    batch.RetryStrategy.of(_FINAL, batch.Reason.custom(on_exit_code="1")),
    # Killed as well (137), but the same rows would take the same memory.
    batch.RetryStrategy.of(_FINAL, batch.Reason.custom(on_reason="OutOfMemory*")),
]


_LITTLE_DISK = ("train", "trial", "take_submission")
"""The steps that need no more disk than every job has."""


@dataclass(frozen=True)
class Job:
    """What runs a step as a job."""

    step: str
    definition_arn: str
    """Of the revision that is deployed."""
    queue_arn: str


class Batch(Construct):
    """A queue, its Fargate capacity, which costs nothing while idle, and one job definition for each step.

    A job takes its role from its definition alone, so a step that may touch other things than another one needs a
    definition of its own; definitions cost nothing.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        network: Network,
        image: ecr_assets.DockerImageAsset,
        settings: Settings,
        statements: Mapping[str, Sequence[iam.PolicyStatement]],
        key: kms.IKey | None,
    ) -> None:
        """Add the queue and the definitions.

        Parameters
        ----------
        statements : mapping
            Each step that may be a job, with the policy of its role.
        """
        super().__init__(scope, id)
        environment = batch.FargateComputeEnvironment(
            self,
            "Fargate",
            vpc=network.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_group_name="Jobs"),
            security_groups=[network.security_group],
            maxv_cpus=stage.parallel_jobs * stage.job_vcpus,
            replace_compute_environment=False,
        )
        self.queue = batch.JobQueue(
            self,
            "Queue",
            compute_environments=[batch.OrderedComputeEnvironment(compute_environment=environment, order=1)],
        )
        group = log_group(self, "Log", name=f"{logs_prefix(settings.deployment)}batch", stage=stage, key=key)
        image_of = ecs.ContainerImage.from_docker_image_asset(image)
        self._jobs = {
            step: self._definition(
                step,
                stage=stage,
                image=image_of,
                settings=settings,
                role=self._role(step, given),
                public=network.public,
                logging=ecs.LogDriver.aws_logs(stream_prefix=step, log_group=group),
            )
            for step, given in statements.items()
        }

    def __getitem__(self, step: str) -> Job:
        """Return the job of a step."""
        return Job(step, self._jobs[step].job_definition_arn, self.queue.job_queue_arn)

    def _role(self, step: str, statements: Sequence[iam.PolicyStatement]) -> iam.Role:
        return iam.Role(
            self,
            f"{step}_role",
            assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
            inline_policies={"access": iam.PolicyDocument(statements=list(statements))},
        )

    def _definition(
        self,
        step: str,
        *,
        stage: Stage,
        image: ecs.ContainerImage,
        settings: Settings,
        role: iam.Role,
        public: bool,
        logging: ecs.LogDriver,
    ) -> batch.EcsJobDefinition:
        return batch.EcsJobDefinition(
            self,
            step,
            container=batch.EcsFargateContainerDefinition(
                self,
                f"{step}_container",
                image=image,
                cpu=stage.job_vcpus,
                memory=Size.gibibytes(stage.job_gibibytes),
                ephemeral_storage_size=None if step in _LITTLE_DISK else Size.gibibytes(stage.job_disk_gibibytes),
                command=["Ref::step", "Ref::input"],
                environment=settings.to_env(),
                job_role=role,
                logging=logging,
                fargate_cpu_architecture=ecs.CpuArchitecture.ARM64,
                fargate_operating_system_family=ecs.OperatingSystemFamily.LINUX,
                assign_public_ip=public,
            ),
            retry_attempts=ATTEMPTS,
            retry_strategies=_RETRIES,
            timeout=Duration.hours(ATTEMPT_HOURS),
            skip_deregister_on_update=True,  # runs that are under way go on with the revision that they began with
        )
