"""The people who are told: a topic, its subscriptions, and the alarms of which they hear."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.stage import Stage

_ALARMS_PER_RULE = 10
"""A pattern has 4096 characters; an alarm's ARN may have 300."""


class People(Construct):
    """A topic, encrypted; only what may use its key publishes to it, which with AWS's own key is no service's alarm.

    So a function writes the message, which can say more than an alarm does: what moved.
    """

    def __init__(self, scope: Construct, id: str, *, stage: Stage, deployment: str, key: kms.IKey | None) -> None:
        super().__init__(scope, id)
        self._deployment = deployment
        self.topic = sns.Topic(
            self,
            "NeedsAttention",
            topic_name=f"{deployment}-needs-attention",
            display_name=deployment,
            master_key=key or kms.Alias.from_alias_name(self, "OwnKey", "alias/aws/sns"),
            enforce_ssl=True,
        )
        for address in stage.notify:
            self.topic.add_subscription(subscriptions.EmailSubscription(address))

    def hear_of(self, alarms: Sequence[cloudwatch.IAlarm], *, tell: lambda_.IFunction, undelivered: sqs.IQueue) -> None:
        """Let people be told when any of these alarms goes on."""
        for start in range(0, len(alarms), _ALARMS_PER_RULE):
            events.Rule(
                self,
                f"Alarms{start // _ALARMS_PER_RULE}",
                description=f"{self._deployment}: people are told of these alarms",
                event_pattern=events.EventPattern(
                    source=["aws.cloudwatch"],
                    detail_type=["CloudWatch Alarm State Change"],
                    resources=[alarm.alarm_arn for alarm in alarms[start : start + _ALARMS_PER_RULE]],
                    detail={"state": {"value": ["ALARM"]}},
                ),
                targets=[targets.LambdaFunction(tell, dead_letter_queue=undelivered)],
            )
