"""What holds for the data at rest."""

from __future__ import annotations

from tests.infra.synthesised import Synthesised

DATA = ("AWS::S3::Bucket", "AWS::DynamoDB::Table")


def denies_without_tls(document: dict[str, object]) -> bool:
    statements = document["Statement"]
    assert isinstance(statements, list)
    return any(
        statement["Effect"] == "Deny"
        and statement["Principal"] in ("*", {"AWS": "*"})
        and statement["Condition"].get("Bool") == {"aws:SecureTransport": "false"}
        for statement in statements
    )


def test_every_bucket_is_private_and_encrypted_and_takes_tls_only(stack: Synthesised) -> None:
    policies = {
        policy["Bucket"]["Ref"]: policy["PolicyDocument"]
        for policy in stack.properties("AWS::S3::BucketPolicy").values()
    }
    buckets = stack.properties("AWS::S3::Bucket")
    assert len(buckets) == 2
    for id, bucket in buckets.items():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}, id
        assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"], id
        assert denies_without_tls(policies[id]), id


def test_every_upload_is_announced_and_kept_in_versions(stack: Synthesised) -> None:
    (raw,) = [bucket for id, bucket in stack.properties("AWS::S3::Bucket").items() if "Raw" in id]
    assert raw["VersioningConfiguration"] == {"Status": "Enabled"}
    for bucket in stack.properties("AWS::S3::Bucket").values():
        assert bucket["NotificationConfiguration"]["EventBridgeConfiguration"]["EventBridgeEnabled"] is True


def test_what_an_interrupted_upload_left_is_removed(stack: Synthesised) -> None:
    for bucket in stack.properties("AWS::S3::Bucket").values():
        (rule,) = [rule for rule in bucket["LifecycleConfiguration"]["Rules"] if "Prefix" not in rule]
        assert rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] <= 7
        if "VersioningConfiguration" in bucket:
            assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] <= 90


def test_every_queue_is_encrypted_and_takes_tls_only(stack: Synthesised) -> None:
    policies = {
        queue["Ref"]: policy["PolicyDocument"]
        for policy in stack.properties("AWS::SQS::QueuePolicy").values()
        for queue in policy["Queues"]
    }
    queues = stack.properties("AWS::SQS::Queue")
    assert queues
    for id, queue in queues.items():
        assert queue["SqsManagedSseEnabled"] is True, id
        assert denies_without_tls(policies[id]), id


def test_tables_have_the_keys_that_the_library_writes(stack: Synthesised) -> None:
    tables = stack.properties("AWS::DynamoDB::Table")
    (catalog,) = [table for id, table in tables.items() if "Catalog" in id]
    (online,) = [table for id, table in tables.items() if "Online" in id]
    assert [key["AttributeName"] for key in catalog["KeySchema"]] == ["pk", "sk"]
    indexes = {
        index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
        for index in catalog["GlobalSecondaryIndexes"]
    }
    assert indexes == {"by_time": ["gsi1pk", "gsi1sk"], "by_subject": ["gsi2pk", "gsi2sk"]}
    assert [key["AttributeName"] for key in online["KeySchema"]] == ["pk"]
    for table in tables.values():
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_prod_keeps_its_data_when_the_stack_goes(prod: Synthesised) -> None:
    for kind in (*DATA, "AWS::KMS::Key", "AWS::Logs::LogGroup"):
        assert prod.resources(kind)
        for id, resource in prod.resources(kind).items():
            assert resource["DeletionPolicy"].startswith("Retain"), id
            assert resource["UpdateReplacePolicy"] == "Retain", id
    for id, table in prod.properties("AWS::DynamoDB::Table").items():
        assert table["DeletionProtectionEnabled"] is True, id
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}, id
    assert not prod.resources("Custom::S3AutoDeleteObjects")


def test_a_first_deployment_to_prod_that_fails_can_be_rolled_back(prod: Synthesised) -> None:
    for kind in (*DATA, "AWS::KMS::Key", "AWS::Logs::LogGroup"):
        for id, resource in prod.resources(kind).items():
            # What refuses to be deleted must not be deleted; all else goes, so that its name is free again.
            refuses = resource["Properties"].get("DeletionProtectionEnabled", False)
            assert resource["DeletionPolicy"] == ("Retain" if refuses else "RetainExceptOnCreate"), id


def test_prod_encrypts_with_a_key_of_its_own_that_is_rotated(prod: Synthesised) -> None:
    (key,) = prod.properties("AWS::KMS::Key")
    assert prod.properties("AWS::KMS::Key")[key]["EnableKeyRotation"] is True
    own = {"Fn::GetAtt": [key, "Arn"]}
    for bucket in prod.properties("AWS::S3::Bucket").values():
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": own}
        assert rule["BucketKeyEnabled"] is True
    for table in prod.properties("AWS::DynamoDB::Table").values():
        assert table["SSESpecification"]["KMSMasterKeyId"] == own
    for group in prod.properties("AWS::Logs::LogGroup").values():
        assert group["KmsKeyId"] == own


def test_dev_leaves_nothing_behind(dev: Synthesised) -> None:
    for kind in (*DATA, "AWS::Logs::LogGroup"):
        for id, resource in dev.resources(kind).items():
            assert resource["DeletionPolicy"] == "Delete", id
    emptied = [found["BucketName"]["Ref"] for found in dev.properties("Custom::S3AutoDeleteObjects").values()]
    assert sorted(emptied) == sorted(dev.resources("AWS::S3::Bucket"))


def test_every_log_group_forgets(stack: Synthesised) -> None:
    groups = stack.properties("AWS::Logs::LogGroup")
    assert groups
    # Those of predict hold requests until the prediction log has them.
    assert {group["RetentionInDays"] for group in groups.values()} <= {3, 14, 365}
