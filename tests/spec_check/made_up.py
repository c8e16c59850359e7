"""A made-up venue of two operations: its document, in each version of OpenAPI, and traffic that fits it."""

import json
from typing import Any

from logos_core.testing.server import HttpRequest, HttpResponse
from tools.spec_check.documents import upgraded
from tools.spec_check.validating import Call, Judge

ORDER = {
    "type": "object",
    "required": ["id", "status"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "status": {"type": "string", "enum": ["new", "filled"]},
        "price": {"type": "string", "nullable": True},
        "owner": {"type": "object", "properties": {"name": {"type": "string"}}},
        "at": {"type": "string", "format": "The RFC 3339 representation is a string, or so it says."},
        "size": {"type": "string", "format": "decimal"},
        "legs": {"type": "array", "items": {"type": "object", "properties": {"qty": {"type": "string"}}}},
    },
}
ASKED = {
    "type": "object",
    "required": ["side"],
    "properties": {"side": {"type": "string", "enum": ["buy", "sell"]}, "qty": {"type": "string"}},
}


def document() -> dict[str, Any]:
    """Return the document in version 3.0."""
    order = {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "made up", "version": "1"},
        "paths": {
            "/orders": {
                "get": {
                    "parameters": [
                        {"name": "limit", "in": "query", "required": True, "schema": {"type": "integer", "maximum": 500}},
                        {"name": "status", "in": "query", "schema": {"type": "string", "enum": ["open", "closed"]}},
                    ],
                    "responses": {"200": {"description": "", "content": {"application/json": {"schema": {
                        "type": "array", "items": {"$ref": "#/components/schemas/Order"}}}}}},
                },
                "post": {
                    "requestBody": {"required": True, "content": {"application/json": {"schema": ASKED}}},
                    "responses": {"201": {"description": "", "content": order}, "422": {"description": "refused"}},
                },
            },
        },
        "components": {"schemas": {"Order": ORDER}},
    }  # fmt: skip


def old_document() -> dict[str, Any]:
    """Return the same document in version 2.0, but for what can be null, which that version cannot say."""
    price = {"type": "string"}
    return {
        "swagger": "2.0",
        "basePath": "/v9",
        "paths": {
            "/orders": {
                "get": {
                    "parameters": [
                        {"name": "limit", "in": "query", "required": True, "type": "integer", "maximum": 500},
                        {"$ref": "#/parameters/status"},
                    ],
                    "responses": {"200": {"schema": {"type": "array", "items": {"$ref": "#/definitions/Order"}}}},
                },
                "post": {
                    "parameters": [{"name": "body", "in": "body", "required": True, "schema": ASKED}],
                    "responses": {"201": {"schema": {"$ref": "#/definitions/Order"}}, "422": {"$ref": "#/responses/422"}},
                },
            },
        },
        "definitions": {"Order": {**ORDER, "properties": {**ORDER["properties"], "price": price}}},  # type: ignore[dict-item]
        "parameters": {"status": {"name": "status", "in": "query", "type": "string", "enum": ["open", "closed"]}},
        "responses": {"422": {"description": "refused"}},
    }


def judge(given: dict[str, Any] | None = None) -> Judge:
    """Return a judge by the made-up document."""
    return Judge("made-up", upgraded(given or document(), "the made-up document"))


def order(**changes: Any) -> dict[str, Any]:
    """Return an order as the made-up venue shows it."""
    return {"id": "7a1f1bd1-6f8b-4a39-9e0e-0a9d5d4f9b11", "status": "new", "price": None, "legs": [{"qty": "1"}], **changes}


def sent(body: Any, *, base: str = "", answer: Any = None, status: int = 201) -> Call:
    """Return the call that makes an order."""
    given = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = HttpRequest("POST", f"{base}/orders", {"content-type": "application/json"}, given)
    return Call(request, HttpResponse.json(status, order() if answer is None else answer))


def asked(query: str, *, base: str = "", answer: Any = None, status: int = 200) -> Call:
    """Return the call that lists orders."""
    request = HttpRequest("GET", f"{base}/orders?{query}")
    return Call(request, HttpResponse.json(status, [order()] if answer is None else answer))
