"""Where everything is kept: two buckets, two tables and, in prod, their key."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.stage import Stage
from perennial import keys

RESULTS = "backfills"
"""Folder of the artifacts bucket where Step Functions writes what came of each item of a map."""
PASSING = (RESULTS, "requests")
"""Folders of the artifacts bucket that nobody reads after a while."""


def removal_policy(stage: Stage) -> RemovalPolicy:
    """Return what becomes of data when the stack goes; a first deployment that failed leaves nothing behind."""
    return RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if stage.retain else RemovalPolicy.DESTROY


class Storage(Construct):
    """The buckets of uploads and artifacts, the catalog and the online feature store."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage) -> None:
        super().__init__(scope, id)
        self.stage = stage
        self.key = self._key() if stage.customer_key else None
        self.raw = self._bucket("Raw", versioned=True)
        self.artifacts = self._bucket("Artifacts", versioned=stage.version_artifacts, passing=PASSING)
        self.catalog = self._table(
            "Catalog", sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING)
        )
        for index, names in keys.INDEXES.items():
            partition, sort = (dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING) for name in names)
            self.catalog.add_global_secondary_index(index_name=index, partition_key=partition, sort_key=sort)
        self.online = self._table("Online")

    def _key(self) -> kms.Key:
        key = kms.Key(self, "Key", enable_key_rotation=True, removal_policy=removal_policy(self.stage))
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Logs",
                principals=[iam.ServicePrincipal(f"logs.{Aws.REGION}.amazonaws.com")],
                actions=["kms:Decrypt*", "kms:Describe*", "kms:Encrypt*", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
                resources=["*"],  # in a key's policy this means the key itself
                conditions={
                    "ArnLike": {
                        "kms:EncryptionContext:aws:logs:arn": (
                            f"arn:{Aws.PARTITION}:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:log-group:*"
                        )
                    }
                },
            )
        )
        return key

    def _bucket(self, id: str, *, versioned: bool, passing: Sequence[str] = ()) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            id,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            encryption=s3.BucketEncryption.KMS if self.key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=self.key,
            bucket_key_enabled=self.key is not None,
            versioned=versioned,
            removal_policy=removal_policy(self.stage),
            auto_delete_objects=self.stage.empty_buckets,
            lifecycle_rules=[
                s3.LifecycleRule(
                    abort_incomplete_multipart_upload_after=Duration.days(3),
                    noncurrent_version_expiration=Duration.days(90) if versioned else None,
                ),
                *(
                    s3.LifecycleRule(
                        prefix=f"{folder}/",
                        expiration=Duration.days(14),
                        noncurrent_version_expiration=Duration.days(1) if versioned else None,
                    )
                    for folder in passing
                ),
            ],
        )
        # The property itself: the construct's own option would deploy a function only to set it.
        cfn_bucket = bucket.node.default_child
        assert isinstance(cfn_bucket, s3.CfnBucket)
        cfn_bucket.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
        )
        return bucket

    def _table(self, id: str, *, sort_key: dynamodb.Attribute | None = None) -> dynamodb.Table:
        return dynamodb.Table(
            self,
            id,
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=sort_key,
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute="expires_at",
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED if self.key else dynamodb.TableEncryption.DEFAULT,
            encryption_key=self.key,
            deletion_protection=self.stage.retain,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=self.stage.point_in_time_recovery
            ),
            # A first deployment that fails leaves its protected tables behind, as it could not end by deleting them.
            removal_policy=RemovalPolicy.RETAIN if self.stage.retain else RemovalPolicy.DESTROY,
        )
