"""What a function says of itself: one JSON object a line, and nothing of what a caller sent."""

from __future__ import annotations

import json
import sys


def say(level: str, event: str, **facts: object) -> None:
    """Write a line to the standard output, whence it goes to the function's log.

    Parameters
    ----------
    level : str
        ``INFO``, ``WARNING`` or ``ERROR``.
    event : str
        What happened, by a name that filters and alarms may rely on.
    **facts
        What is to be known of it; what JSON cannot say is written as text.
    """
    sys.stdout.write(json.dumps({"level": level, "message": event, **facts}, default=str) + "\n")
    sys.stdout.flush()
