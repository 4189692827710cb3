"""The way of predictions to their log: the log group of ``predict`` → ``log_predictions`` → Parquet."""

from __future__ import annotations

from aws_cdk import aws_logs as logs
from aws_cdk import aws_logs_destinations as destinations
from constructs import Construct

from infra.functions import Functions
from perennial.serving.log_lines import MARKER


class PredictionLog(Construct):
    """A subscription to the lines of the prediction log, and to no other output of ``predict``."""

    def __init__(self, scope: Construct, id: str, *, functions: Functions) -> None:
        super().__init__(scope, id)
        logs.SubscriptionFilter(
            self,
            "Lines",
            log_group=functions.log_group("predict"),
            destination=destinations.LambdaDestination(functions["log_predictions"]),
            # A term of word characters stands as it is; what else holds the word, the function passes over.
            filter_pattern=logs.FilterPattern.all_terms(MARKER),
        )
