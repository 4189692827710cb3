"""What one role may touch, as a value, and the policy statements that it means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from aws_cdk import aws_iam as iam

from infra.storage import Storage
from perennial import keys

METRICS_NAMESPACE = "Perennial"

_READ = ("dynamodb:GetItem", "dynamodb:Query")
_WRITE = (*_READ, "dynamodb:ConditionCheckItem", "dynamodb:PutItem")
_CATALOG = {"read": _READ, "write": _WRITE, "lock": (*_WRITE, "dynamodb:DeleteItem")}
_ONLINE = {"read": ("dynamodb:BatchGetItem",), "write": ("dynamodb:PutItem",)}


@dataclass(frozen=True)
class Access:
    """What a function or a job needs of the storage; keys are patterns (see ``perennial.keys``)."""

    uploads: Literal["read", "delete"] | None = None
    """What it does with what was uploaded, in all versions; ``delete``: it reads it and deletes it."""
    uploads_below: str = ""
    """What the keys of these uploads begin with."""
    reads: tuple[str, ...] = ()
    """Key patterns of the artifacts bucket that it reads."""
    writes: tuple[str, ...] = ()
    """Key patterns of the artifacts bucket that it writes."""
    deletes: tuple[str, ...] = ()
    """Key patterns of the artifacts bucket that it deletes, in all versions."""
    catalog: Literal["read", "write", "lock"] | None = None
    """What it does with the catalog; ``lock``: writes, and gives claims back."""
    partitions: tuple[str, ...] = ()
    """Patterns of the catalog partitions that it is kept to; none means all."""
    writes_tokens: bool = False
    """Whether it keeps the secrets by which executions that wait for people are told; no step reads them."""
    lists_runs: bool = False
    """Whether it looks for runs of one kind about one subject."""
    online: Literal["read", "write"] | None = None
    """What it does with the online feature store."""
    metrics: bool = False
    """Whether it publishes metrics."""

    def statements(self, storage: Storage) -> list[iam.PolicyStatement]:
        """Return the policy of a role with this access: explicit actions on explicit resources."""
        return list(self._statements(storage))

    def _statements(self, storage: Storage) -> Iterator[iam.PolicyStatement]:
        artifacts = storage.artifacts
        yield from self._uploads(storage)
        if self.reads:
            yield _allow(("s3:GetObject",), *(artifacts.arn_for_objects(pattern) for pattern in self.reads))
            # Without it S3 answers 403, not 404, to a key that is not there; it discloses names only.
            yield _allow(("s3:ListBucket",), artifacts.bucket_arn)
        if self.writes:
            objects = [artifacts.arn_for_objects(pattern) for pattern in self.writes]
            yield _allow(("s3:AbortMultipartUpload", "s3:PutObject"), *objects)
        if self.deletes:
            objects = [artifacts.arn_for_objects(pattern) for pattern in self.deletes]
            yield _allow(("s3:DeleteObject", "s3:DeleteObjectVersion"), *objects)
            yield _allow(("s3:ListBucketVersions",), artifacts.bucket_arn)
        yield from self._tables(storage)
        if self.metrics:
            yield iam.PolicyStatement(
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],  # the action knows no resources; the namespace is its bound
                conditions={"StringEquals": {"cloudwatch:namespace": METRICS_NAMESPACE}},
            )
        if storage.key is not None:
            yield _allow(("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"), storage.key.key_arn)

    def _uploads(self, storage: Storage) -> Iterator[iam.PolicyStatement]:
        objects = storage.raw.arn_for_objects(f"{self.uploads_below}*")
        if self.uploads:
            yield _allow(("s3:GetObject", "s3:GetObjectVersion"), objects)
            yield _allow(("s3:ListBucket", "s3:ListBucketVersions"), storage.raw.bucket_arn)
        if self.uploads == "delete":
            yield _allow(("s3:DeleteObject", "s3:DeleteObjectVersion"), objects)

    def _tables(self, storage: Storage) -> Iterator[iam.PolicyStatement]:
        table = storage.catalog.table_arn
        if self.catalog and self.partitions:
            yield iam.PolicyStatement(
                actions=list(_CATALOG[self.catalog]),
                resources=[table],
                conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(self.partitions)}},
            )
        elif self.catalog:
            yield _allow(_CATALOG[self.catalog], table)
        if self.catalog:
            denied = _READ if self.writes_tokens else _CATALOG["lock"]
            yield iam.PolicyStatement(
                effect=iam.Effect.DENY,
                actions=list(denied),
                resources=[table],
                conditions={"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": [keys.approval_token("*", 0)[0]]}},
            )
        if self.lists_runs:
            yield _allow(("dynamodb:Query",), f"{table}/index/{keys.BY_SUBJECT}")
        if self.online:
            yield _allow(_ONLINE[self.online], storage.online.table_arn)


def _allow(actions: tuple[str, ...], *resources: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=list(actions), resources=list(resources))
