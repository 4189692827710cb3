"""The catalog on DynamoDB: one table, ``pk`` and ``sk``, with the indexes ``by_time`` and ``by_subject``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perennial.aws.catalog_datasets import Datasets
from perennial.aws.catalog_experiments import Experiments
from perennial.aws.catalog_models import Models
from perennial.aws.catalog_registry import Registry
from perennial.aws.catalog_runs import Runs
from perennial.aws.table import Table

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient


class DynamoCatalog(Runs, Datasets, Models, Registry, Experiments):
    """The system's memory.

    Parameters
    ----------
    client : DynamoDBClient
        The DynamoDB client.
    table : str
        Name of the table: string keys ``pk`` and ``sk``, indexes ``by_time`` on ``gsi1pk`` and ``gsi1sk``
        and ``by_subject`` on ``gsi2pk`` and ``gsi2sk`` that project all attributes, time to live on ``expires_at``.
    """

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client, table)
