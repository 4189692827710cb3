"""The table of the API's operations: each once, each found by its path."""

from __future__ import annotations

import pytest

from perennial.errors import MethodError, NotFoundError, RequestError
from perennial.serving.routes import OPERATIONS, PARAMETERS, PERMISSIONS, QUERY, operation_of


def test_every_operation_stands_in_the_table_once() -> None:
    assert len({(one.method, one.path) for one in OPERATIONS}) == len(OPERATIONS)
    assert len({one.name for one in OPERATIONS}) == len(OPERATIONS)


def test_what_reads_is_a_get_and_what_it_takes_is_described() -> None:
    for one in OPERATIONS:
        assert (one.method == "GET") is (one.permission == "read") is (one.verb == "describe"), one.name
        assert set(one.parameters) <= set(PARAMETERS)
        assert set(one.query) <= set(QUERY)
    assert {one.permission for one in OPERATIONS} == set(PERMISSIONS)


def test_no_call_can_be_meant_for_two_operations() -> None:
    for one in OPERATIONS:
        call = one.path.replace("{", "").replace("}", "")
        found = [other.name for other in OPERATIONS if other.method == one.method and other.matches(call)]
        assert found == [one.name]


def test_a_path_that_is_not_there_and_a_method_that_it_does_not_take_are_told_apart() -> None:
    assert operation_of("GET", "/models/{model}", "/models/fare").name == "model"
    with pytest.raises(NotFoundError, match="no such path"):
        operation_of("GET", "/{proxy+}", "/modells")
    with pytest.raises(MethodError, match="takes POST, not GET") as refused:
        operation_of("GET", "/{proxy+}", "/models/fare/predict")
    assert refused.value.allowed == ("POST",)


def test_a_parameter_that_is_not_known_is_named_but_for_those_of_a_signed_address() -> None:
    assert operation_of("GET", "/models", "/models", {"limit": "3", "X-Amz-Signature": "ab"}).name == "models"
    with pytest.raises(RequestError, match="limt is not known behind the question mark; limit and next") as refused:
        operation_of("GET", "/models", "/models", {"limt": "3"})
    assert refused.value.field == "limt"
