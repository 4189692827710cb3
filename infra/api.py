"""The deployed HTTP API as a client sees it: signed requests, answers or errors in a sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from perennial.errors import ConflictError, DataError, NotFoundError, PerennialError, TransientError

Json = dict[str, Any]
_ERRORS: dict[int, type[PerennialError]] = {
    400: DataError,
    403: PerennialError,
    404: NotFoundError,
    409: ConflictError,
    413: DataError,
}


class Api:
    """Calls a deployment's HTTP API.

    Parameters
    ----------
    url : str
        Address of the API's stage.
    credentials : botocore frozen credentials
        Whose name the requests are signed in.
    region : str
        Region of the API.
    """

    def __init__(self, url: str, credentials: Any, region: str) -> None:
        self.url = url.rstrip("/")
        self._signer = SigV4Auth(credentials, "execute-api", region)
        self._pool = urllib3.PoolManager(maxsize=4, retries=False, timeout=urllib3.Timeout(connect=5, read=60))

    def predict(self, model: str, instances: Sequence[Json], version: int | str | None = None) -> Json:
        """Ask for predictions; by the champion, or by a fixed version or an alias. At most 1,000 instances a call.

        Raises
        ------
        DataError
            The API refused an instance; the message names the field.
        NotFoundError
            No such model or version.
        TransientError
            The API was busy or unreachable.
        """
        part = f"/versions/{quote(str(version), safe='')}" if version is not None else ""
        return self.post(f"/models/{model}{part}/predict", {"instances": list(instances)})

    def feedback(self, model: str, labels: Sequence[Json]) -> Json:
        """Tell what became true: ``[{"prediction_id": …, "label": …}]``, at most 1,000 a call. Errors as in predict."""
        return self.post(f"/models/{model}/feedback", {"labels": list(labels)})

    def post(self, path: str, body: Json) -> Json:
        """Send one signed POST and return the answer's JSON."""
        try:
            content = json.dumps(body, allow_nan=False).encode()
        except ValueError:
            raise DataError("JSON has no NaN and no infinity; send null for a missing value") from None
        request = AWSRequest("POST", self.url + path, data=content, headers={"Content-Type": "application/json"})
        self._signer.add_auth(request)
        try:
            answer = self._pool.request("POST", self.url + path, body=content, headers=dict(request.headers.items()))
        except urllib3.exceptions.HTTPError as error:
            raise TransientError(f"the API at {self.url} cannot be reached: {error}") from error
        return _content(answer.status, answer.data)


def _content(status: int, data: bytes) -> Json:
    try:
        content = json.loads(data)
    except ValueError:
        content = {}
    if status < 300:
        return dict(content)
    detail = content.get("detail") or content.get("message") or content.get("Message") or f"HTTP status {status}"
    raise _ERRORS.get(status, TransientError)(f"the API answered {status}: {detail}")
