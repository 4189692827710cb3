"""People, through a topic of SNS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perennial.aws.errors import translated
from perennial.errors import DefinitionError


class SnsPeople:
    """Those who subscribed to a topic.

    Parameters
    ----------
    client : callable
        Returns the SNS client; called when there is something to tell, for most functions never have.
    topic : str
        The topic's ARN; empty where nobody can be told.
    """

    def __init__(self, client: Callable[[], Any], topic: str) -> None:
        self._client, self._topic = client, topic

    def tell(self, subject: str, text: str) -> None:
        """Send a message to all subscribers."""
        if not self._topic:
            raise DefinitionError("environment variable PERENNIAL_TOPIC_ARN: it must name the topic that people read")
        with translated(f"SNS topic {self._topic}"):
            self._client().publish(TopicArn=self._topic, Subject=subject, Message=text)
