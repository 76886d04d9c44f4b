"""The OpenAPI document: every route is in it, it is one, and what the server answers is what it says."""

from __future__ import annotations

import json

from jsonschema import Draft202012Validator

from controller.api.contracts import CONTRACTS
from controller.api.openapi import document
from controller.api.routes import TABLE
from controller.api.shapes import SHAPES
from tests.api.api_contract import breaches, faults_of
from tests.api.api_site import Site
from tests.fakes.api_ports import event, line, worker


def test_every_route_has_a_contract_and_every_contract_a_route() -> None:
    assert sorted(CONTRACTS) == sorted((route.method, route.path) for route in TABLE)


def test_every_shape_is_a_schema_and_every_reference_leads_somewhere() -> None:
    text = json.dumps(document(TABLE))
    for name, shape in SHAPES.items():
        Draft202012Validator.check_schema(shape)
        assert f"#/components/schemas/{name}" in text, f"nothing uses {name}"
    for piece in text.split('"$ref": "#/components/schemas/')[1:]:
        assert piece.partition('"')[0] in SHAPES


def test_operations_have_names_of_their_own() -> None:
    names = [
        operation["operationId"] for methods in document(TABLE)["paths"].values() for operation in methods.values()
    ]

    assert len(set(names)) == len(names) == len(TABLE)


async def test_the_document_is_served(site: Site) -> None:
    assert (await site.get("/api/v1/openapi.json")).json == document(TABLE)


async def test_an_answer_that_breaks_its_contract_is_found(site: Site) -> None:
    answer = await site.get("/api/v1/plan")

    def told(body: bytes, status: int = 200, media_type: str = "application/json", target: str = "/api/v1/plan") -> int:
        return len(breaches("GET", target, status, {"Content-Type": media_type}, body))

    assert told(answer.body) == 0
    assert told(b'{"actions":[],"holds":[]}') == 1
    assert told(b'{"actions":[],"holds":[],"next_wake":null,"more":1}') == 1
    assert told(answer.body, status=418) == 1
    assert told(answer.body, media_type="text/html") == 1
    assert told(answer.body, target="/api/v1/plan?extra=1") == 1
    assert told(answer.body, target="/api/v1/other") == 1


def test_the_items_of_streams_have_the_same_shapes() -> None:
    assert faults_of("Worker", worker("web")) == faults_of("LogLine", line("x")) == faults_of("Event", event(1)) == []
