"""AWS Batch on Fargate: the queue and the definition of the jobs that train."""

from __future__ import annotations

from collections.abc import Sequence

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

_EXITS = batch.Action.EXIT
_AGAIN = batch.Action.RETRY
# Looked at in this order; the exit codes are those of functions/batch.py. A job that none matches would be repeated.
_RETRIES = [
    batch.RetryStrategy.of(_EXITS, batch.Reason.custom(on_exit_code="10")),
    batch.RetryStrategy.of(_AGAIN, batch.Reason.custom(on_exit_code="20")),
    batch.RetryStrategy.of(_AGAIN, batch.Reason.custom(on_status_reason="Host EC2*")),
    batch.RetryStrategy.of(_AGAIN, batch.Reason.custom(on_status_reason="Timeout waiting for network interface*")),
    batch.RetryStrategy.of(_EXITS, batch.Reason.custom(on_reason="*")),
]


class Batch(Construct):
    """A queue, its Fargate capacity, which costs nothing while idle, and a job that runs one step by name."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        network: Network,
        image: ecr_assets.DockerImageAsset,
        settings: Settings,
        statements: Sequence[iam.PolicyStatement],
        key: kms.IKey | None,
    ) -> None:
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
        role = iam.Role(
            self,
            "JobRole",
            assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
            inline_policies={"access": iam.PolicyDocument(statements=list(statements))},
        )
        group = log_group(self, "Log", name=f"{logs_prefix(settings.deployment)}batch", stage=stage, key=key)
        self.job = batch.EcsJobDefinition(
            self,
            "Job",
            container=batch.EcsFargateContainerDefinition(
                self,
                "Container",
                image=ecs.ContainerImage.from_docker_image_asset(image),
                cpu=stage.job_vcpus,
                memory=Size.gibibytes(stage.job_gibibytes),
                command=["Ref::step", "Ref::input"],
                environment=settings.to_env(),
                job_role=role,
                logging=ecs.LogDriver.aws_logs(stream_prefix="job", log_group=group),
                fargate_cpu_architecture=ecs.CpuArchitecture.ARM64,
                fargate_operating_system_family=ecs.OperatingSystemFamily.LINUX,
                assign_public_ip=network.public,
            ),
            retry_attempts=ATTEMPTS,
            retry_strategies=_RETRIES,
            timeout=Duration.hours(ATTEMPT_HOURS),
            skip_deregister_on_update=True,  # runs that are under way go on with the revision that they began with
        )
