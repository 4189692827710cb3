"""SNS tells people what they are told (the fake only keeps it)."""

from __future__ import annotations

import json

import boto3
import pytest

from perennial.aws.people import SnsPeople
from perennial.errors import DefinitionError, PerennialError


@pytest.mark.usefixtures("aws")
def test_a_message_comes_to_those_who_subscribed() -> None:
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    topic = sns.create_topic(Name="needs-attention")["TopicArn"]
    queue = sqs.create_queue(QueueName="reader")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    SnsPeople(lambda: sns, topic).tell("fare needs attention", "distance moved")
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    body = json.loads(message["Body"])
    assert (body["Subject"], body["Message"]) == ("fare needs attention", "distance moved")


@pytest.mark.usefixtures("aws")
def test_a_topic_that_is_gone_is_an_error_of_ours() -> None:
    people = SnsPeople(lambda: boto3.client("sns"), "arn:aws:sns:us-east-1:123456789012:gone")
    with pytest.raises(PerennialError, match="gone"):
        people.tell("any", "any")


def test_without_a_topic_nothing_pretends_to_be_told() -> None:
    with pytest.raises(DefinitionError, match="PERENNIAL_TOPIC_ARN"):
        SnsPeople(lambda: pytest.fail("built a client"), "").tell("any", "any")
