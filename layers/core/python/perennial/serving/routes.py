"""The API's operations, each written down once: the REST API, its document, its permissions are made from this table.

Standard library only: whoever asks where a path leads need not load what describes bodies.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from perennial.errors import MethodError, NotFoundError, RequestError

Method = Literal["GET", "POST"]
Permission = Literal["read", "predict", "feedback"]
"""What a caller needs to be allowed: to look at what is registered and logged; to ask models; to tell labels."""
PERMISSIONS: tuple[Permission, ...] = ("read", "predict", "feedback")

PARAMETERS = {
    "model": "A model's name.",
    "version": "A version's number, or an alias.",
    "prediction_id": "What predict gave with the prediction.",
    "run_id": "A run's id.",
    "thing": "A prediction id, `model@version`, the id of a run, a snapshot or a training set, or an uploaded file as "
    "`dataset/file`, its slashes and its `@` percent-encoded.",
}
"""What stands in braces in a path, described."""
QUERY = {
    "limit": "How many entries are listed at most, 1 to 100.",
    "next": "From the answer before: where the list goes on.",
    "model": "The model that predicted, so that no others are asked.",
    "most": "Siblings of one kind beyond this number are told as one node, 1 to 1,000.",
}
"""What may stand behind a path's question mark, described."""


@dataclass(frozen=True)
class Operation:
    """One thing that the API can be asked for."""

    name: str
    """Its `operationId`."""
    method: Method
    path: str
    verb: str
    """The function that answers."""
    permission: Permission
    summary: str
    answer: str
    """Name of the schema of what is answered (see `perennial.openapi.schemas`)."""
    status: int = 200
    """Status of a call that went well."""
    request: str | None = None
    """Name of the schema of the body."""
    query: tuple[str, ...] = ()
    """Names in `QUERY`."""
    read: str = ""
    """What ``describe`` is to tell, by a name of its table."""
    errors: tuple[int, ...] = (404,)
    """Statuses of the problems that are its own; those of `EVERYWHERE` come on top."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names in braces in the path, in order."""
        return tuple(_BRACES.findall(self.path))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(_BRACES.sub("[^/]+", self.path.replace(".", r"\.")))

    def matches(self, path: str) -> bool:
        """Tell whether a path of a call is one of this operation's."""
        return self._pattern.fullmatch(path) is not None


_SIGNED = "X-Amz-"
"""What the names begin with by which an address is signed."""
_BRACES = re.compile(r"\{(\w+)\}")

EVERYWHERE = (400, 401, 403, 405, 413, 429, 500, 503, 504)
"""Statuses of problems that every operation may answer."""


def _read(name: str, path: str, answer: str, summary: str, query: tuple[str, ...] = (), read: str = "") -> Operation:
    errors = (404,) if "{" in path else ()
    return Operation(
        name, "GET", path, "describe", "read", summary, answer, query=query, read=read or name, errors=errors
    )


def _predict(name: str, path: str, request: str, answer: str, summary: str) -> Operation:
    return Operation(name, "POST", path, "predict", "predict", summary, answer, request=request, errors=(404, 422))


OPERATIONS: tuple[Operation, ...] = (
    _predict(
        "predict", "/models/{model}/predict", "PredictRequest", "PredictAnswer", "Ask the champion for predictions"
    ),
    _predict(
        "predict_with_version",
        "/models/{model}/versions/{version}/predict",
        "PredictRequest",
        "PredictAnswer",
        "Ask one version for predictions",
    ),
    Operation(
        "feedback",
        "POST",
        "/models/{model}/feedback",
        "feedback",
        "feedback",
        "Tell what turned out to be true of predictions",
        "Receipt",
        status=202,
        request="FeedbackRequest",
    ),
    _predict(
        "infer", "/v2/models/{model}/infer", "InferRequest", "InferAnswer", "Open Inference Protocol: ask the champion"
    ),
    _predict(
        "infer_with_version",
        "/v2/models/{model}/versions/{version}/infer",
        "InferRequest",
        "InferAnswer",
        "Open Inference Protocol: ask one version",
    ),
    _read("server", "/v2", "Server", "Open Inference Protocol: what answers here"),
    _read("live", "/v2/health/live", "Live", "Open Inference Protocol: whether the API runs"),
    _read("ready", "/v2/health/ready", "Ready", "Open Inference Protocol: whether models can be asked"),
    _read(
        "v2_model",
        "/v2/models/{model}",
        "InferModel",
        "Open Inference Protocol: the champion's tensors",
        read="tensors",
    ),
    _read(
        "v2_version",
        "/v2/models/{model}/versions/{version}",
        "InferModel",
        "Open Inference Protocol: a version's tensors",
        read="tensors",
    ),
    _read("model_ready", "/v2/models/{model}/ready", "ModelReady", "Open Inference Protocol: whether it serves"),
    _read(
        "version_ready",
        "/v2/models/{model}/versions/{version}/ready",
        "ModelReady",
        "Open Inference Protocol: whether a version can be asked",
        read="model_ready",
    ),
    _read("models", "/models", "ModelPage", "List the models with their champions", ("limit", "next")),
    _read("model", "/models/{model}", "ModelDetail", "Show a model, its versions newest first", ("limit", "next")),
    _read("version", "/models/{model}/versions/{version}", "VersionDetail", "Show a version and how it was judged"),
    _read(
        "model_document",
        "/models/{model}/openapi.json",
        "Document",
        "This document with the inputs of the model's champion",
        read="document",
    ),
    _read(
        "prediction",
        "/predictions/{prediction_id}",
        "PredictionDetail",
        "Show what was seen and said, by which version, and the label if it came",
        ("model",),
    ),
    _read("run", "/runs/{run_id}", "RunDetail", "Show a run with its steps"),
    _read(
        "lineage", "/lineage/{thing}", "LineageDetail", "Show what something was made from and what of it", ("most",)
    ),
    _read("document", "/openapi.json", "Document", "This document"),
)


def operation_of(method: str, resource: str, address: str, query: Collection[str] = ()) -> Operation:
    """Return the operation that a call asks for.

    Parameters
    ----------
    method : str
        The call's method.
    resource : str
        The path as the API declares it, such as ``/models/{model}``; that of calls that no other takes is of no use.
    address : str
        The path of the call itself.
    query : collection of str
        Names behind the question mark.

    Raises
    ------
    RequestError
        There is a name behind the question mark that the operation does not know.
    NotFoundError
        The API has no such path.
    MethodError
        It has, for other methods.
    """
    for operation in OPERATIONS:
        if (operation.method, operation.path) == (method, resource):
            unknown = sorted(name for name in query if name not in operation.query and not name.startswith(_SIGNED))
            if unknown:
                known = " and ".join(operation.query) or "none"
                raise RequestError(
                    f"{unknown[0][:64]} is not known behind the question mark; {known} may stand there", unknown[0][:64]
                )
            return operation
    there = tuple(sorted(operation.method for operation in OPERATIONS if operation.matches(address)))
    if there:
        raise MethodError(f"this path takes {' and '.join(there)}, not {method[:20]}", there)
    raise NotFoundError("the API has no such path; GET /openapi.json lists what it has")
