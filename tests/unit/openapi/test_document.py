"""The OpenAPI document is valid, complete and the one that is kept in the docs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from perennial.definitions.files import Definitions
from perennial.fakes import fake_ports
from perennial.openapi import AUTH, document, model_document, served
from perennial.serving.routes import EVERYWHERE, OPERATIONS
from tests.unit.openapi.test_rows import MANIFEST

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("auth", sorted(AUTH))
def test_the_document_is_valid_openapi(auth: str) -> None:
    OpenAPIV31SpecValidator(document(auth, "https://api.example.org/dev")).validate()
    OpenAPIV31SpecValidator(model_document(MANIFEST, auth)).validate()


def test_the_document_in_the_docs_is_what_the_code_makes() -> None:
    kept = (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8")

    assert json.loads(kept) == document(), "write it anew: perennial openapi --json > docs/openapi.json"


def test_every_operation_stands_in_the_document_once_with_its_parameters_and_problems() -> None:
    paths = document()["paths"]
    found = {(method.upper(), path) for path, item in paths.items() for method in item}

    assert found == {(operation.method, operation.path) for operation in OPERATIONS}
    for operation in OPERATIONS:
        told = paths[operation.path][operation.method.lower()]
        in_path = [one["name"] for one in told.get("parameters", ()) if one["in"] == "path"]
        assert in_path == re.findall(r"\{(\w+)\}", operation.path)
        assert {int(status) for status in told["responses"]} == {
            operation.status, *operation.errors, *EVERYWHERE
        }  # fmt: skip
        assert ("requestBody" in told) is (operation.method == "POST")


def test_no_operation_is_open_whatever_the_stage_asks_for() -> None:
    for auth in AUTH:
        found = document(auth)
        assert list(found["components"]["securitySchemes"]) == [auth]
        for item in found["paths"].values():
            for operation in item.values():
                assert [list(one) for one in operation["security"]] == [[auth]]


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    found = document()
    text = json.dumps(found)
    named = set(re.findall(r'"#/components/schemas/(\w+)"', text))

    assert named == set(found["components"]["schemas"])
    responses = set(re.findall(r'"#/components/responses/(\w+)"', text))
    assert responses == set(found["components"]["responses"])


def test_the_document_of_a_model_has_its_paths_and_its_columns() -> None:
    found = model_document(MANIFEST)

    assert all(path.startswith(("/models/fare", "/v2/models/fare")) for path in found["paths"])
    assert "{model}" not in json.dumps(found)
    row = found["components"]["schemas"]["Row"]
    assert set(row["properties"]) == {"began", "miles", "zone", "note"}
    instances = found["components"]["schemas"]["Instances"]["properties"]["instances"]
    assert instances["items"] == {"$ref": "#/components/schemas/Row"}


def test_a_deployment_serves_the_document_with_its_address_and_its_authorization() -> None:
    told: dict[str, Any] = served(fake_ports(Definitions({}, {}, {})), "jwt", "https://api.example.org/prod", None).root

    assert told["servers"] == [{"url": "https://api.example.org/prod"}]
    assert told["paths"]["/models/{model}/predict"]["post"]["security"] == [{"jwt": ["predict"]}]
