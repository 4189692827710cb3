"""The resources that adapters need, as ``infra/storage.py`` deploys them."""

from __future__ import annotations

from typing import Any

from perennial import keys

CATALOG = "catalog"
ONLINE = "online"
RAW = "raw-uploads"
ARTIFACTS = "artifacts"


def create_tables(dynamodb: Any, catalog: str = CATALOG, online: str = ONLINE) -> None:
    """Create the catalog's table and the online table."""
    dynamodb.create_table(
        TableName=catalog,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=_schema("pk", "sk"),
        AttributeDefinitions=[_text(name) for name in ("pk", "sk", "gsi1pk", "gsi1sk", "gsi2pk", "gsi2sk")],
        GlobalSecondaryIndexes=[
            {"IndexName": index, "KeySchema": _schema(*names), "Projection": {"ProjectionType": "ALL"}}
            for index, names in keys.INDEXES.items()
        ],
    )
    dynamodb.create_table(
        TableName=online,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=_schema("pk"),
        AttributeDefinitions=[_text("pk")],
    )
    for table in (catalog, online):
        dynamodb.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1})
        dynamodb.update_time_to_live(
            TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"}
        )


def create_buckets(s3: Any, raw: str = RAW, artifacts: str = ARTIFACTS) -> None:
    """Create the bucket of uploads, which keeps versions, and that of artifacts."""
    for bucket in (raw, artifacts):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=raw, VersioningConfiguration={"Status": "Enabled"})


def _schema(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)]


def _text(name: str) -> dict[str, str]:
    return {"AttributeName": name, "AttributeType": "S"}
