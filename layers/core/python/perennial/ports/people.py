"""The port to the people who are told when something needs them."""

from __future__ import annotations

from typing import Protocol

LONGEST_SUBJECT = 99
"""Characters of a subject, all of them printable ASCII."""


class People(Protocol):
    """Whoever asked to be told: by e-mail, say."""

    def tell(self, subject: str, text: str) -> None:
        """Send a message to all of them; raises TransientError when the service is unwell.

        Parameters
        ----------
        subject : str
            One line, at most `LONGEST_SUBJECT` characters of ASCII.
        text : str
            The message, for people.
        """
