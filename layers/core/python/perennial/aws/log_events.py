"""Log events, as a subscription filter of CloudWatch Logs delivers them to a function."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Mapping
from typing import Any

from perennial.errors import DefinitionError


def messages_of(event: Mapping[str, Any]) -> list[str]:
    """Return the messages of a delivery, in their order; none of a control message, by which AWS tries the way.

    Parameters
    ----------
    event : mapping
        ``{"awslogs": {"data": …}}``: JSON, compressed by gzip and written as base64.

    Raises
    ------
    DefinitionError
        It is something else: the function is called by what is no subscription.
    """
    try:
        content = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"], validate=True)))
        if content["messageType"] != "DATA_MESSAGE":
            return []
        return [str(entry["message"]) for entry in content["logEvents"]]
    except (KeyError, TypeError, ValueError, EOFError, OSError, binascii.Error, zlib.error):
        raise DefinitionError(
            "the event holds no log events; call this function by a subscription filter of CloudWatch Logs"
        ) from None
