"""The network of the training jobs. Functions need none: they reach AWS's services by themselves."""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.logs import delivered_name, log_group
from infra.stage import Stage

_INTERFACES = {
    "EcrApi": ec2.InterfaceVpcEndpointAwsService.ECR,
    "EcrDocker": ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
    "Logs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
    "Metrics": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_MONITORING,
}
"""What a job without a public address needs beyond S3 and DynamoDB: its image, its log and its metrics."""


class Network(Construct):
    """Two subnets, no way in, no NAT gateway; S3 and DynamoDB by gateway endpoints, which cost nothing."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage, deployment: str, key: kms.IKey | None) -> None:
        super().__init__(scope, id)
        self.public = not stage.private_network
        kind = ec2.SubnetType.PUBLIC if self.public else ec2.SubnetType.PRIVATE_ISOLATED
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr("10.90.0.0/20"),
            max_azs=2,
            nat_gateways=0,
            restrict_default_security_group=False,  # would deploy a function; nothing joins that group
            subnet_configuration=[
                # A job asks for its public address itself: nothing else that is started here gets one.
                ec2.SubnetConfiguration(
                    name="Jobs", subnet_type=kind, cidr_mask=24, map_public_ip_on_launch=False if self.public else None
                )
            ],
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
                "DynamoDb": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.DYNAMODB),
            },
        )
        self.security_group = ec2.SecurityGroup(
            self, "Jobs", vpc=self.vpc, description="Training jobs: nothing in, HTTPS out", allow_all_outbound=False
        )
        self.security_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "AWS services")
        if not self.public:
            self._make_private(stage=stage, deployment=deployment, key=key)

    def _make_private(self, *, stage: Stage, deployment: str, key: kms.IKey | None) -> None:
        endpoints = ec2.SecurityGroup(
            self, "Endpoints", vpc=self.vpc, description="AWS services: HTTPS from the jobs", allow_all_outbound=False
        )
        endpoints.add_ingress_rule(self.security_group, ec2.Port.tcp(443), "training jobs")
        for id, service in _INTERFACES.items():
            self.vpc.add_interface_endpoint(id, service=service, security_groups=[endpoints], open=False)
        group = log_group(self, "FlowLog", name=delivered_name(deployment, "flow"), stage=stage, key=key)
        self.vpc.add_flow_log(
            "Flow",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(group),
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )
