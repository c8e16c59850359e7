"""Read a venue's OpenAPI document, and bring it into the one form that is checked against: OpenAPI 3.1.

1. Version 2.0 is reshaped; nothing of it is left out that says something about a request or an answer.
2. Version 3.0 differs from 3.1 in two words, `nullable` and the boolean `exclusive…`.
3. What a document says in prose only is said to the validator by a `narrow` of `tools.spec_check.venues`.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]

SERVER = "http://venue"
"""Where every document is said to be served, so that a request to a simulator is found in it."""

_HIDDEN = ("example", "examples", "description", "discriminator", "xml", "externalDocs")
_MOVED = {
    "#/definitions/": "#/components/schemas/",
    "#/parameters/": "#/components/parameters/",
    "#/responses/": "#/components/responses/",
}
_OF_A_SCHEMA = ("type", "format", "enum", "items", "default", "pattern", "minimum", "maximum", "minLength", "maxLength")


class DocumentError(Exception):
    """A document is missing, or is not what the venue publishes. Fetch it again from where the tool says."""


def read(path: Path) -> Json:
    """Return a document in version 3.1.

    Raises:
        DocumentError: for one that is missing, cannot be read or is of another version.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix == ".json" else yaml.load(text, Loader=_LOADER)  # noqa: S506 - both are safe loaders.
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DocumentError(f"{path} cannot be read: {error}") from error
    return upgraded(found, str(path))


def upgraded(document: Any, name: str) -> Json:
    """Return a document of version 2.0 or 3.0 in version 3.1."""
    version = str(document.get("swagger") or document.get("openapi")) if isinstance(document, dict) else "none"
    if version == "2.0":
        document = _reshaped(document)
    elif not version.startswith(("3.0", "3.1")):
        raise DocumentError(f"{name} is of the OpenAPI version {version}; known are 2.0, 3.0 and 3.1")
    made: Json = {**_current(document), "openapi": "3.1.0"}
    return {**made, "servers": [{"url": SERVER + str(document.get("basePath", ""))}]}


def closed(document: Json) -> Json:
    """Return a document in which no object may have a field that is not declared.

    The documents leave objects open, as JSON Schema does by default. `unevaluatedProperties` closes one where it is used, not where
    it is defined, so that a definition can still be a part of another.
    """
    schemas = document.get("components", {}).get("schemas", {})
    made: Json = _closed_contents(document, schemas)
    made["components"] = {**made.get("components", {}), "schemas": {name: _inside(schema) for name, schema in schemas.items()}}
    return made


def narrowed_by_type(document: Json, bases: tuple[str, ...]) -> Json:
    """Return a document in which the `type` of a value decides which definition it must fit.

    For documents that define `LimitOrder`, `StopOrder` and others beside a base called `Order`, and say only in prose that they
    extend it: an order of the type LIMIT must fit `LimitOrder`. Without this, a base without fields would let everything pass.
    """
    schemas: Json = document["components"]["schemas"]
    changed = {base: _by_type(schemas[base], _kinds(schemas, base)) for base in bases}
    return {**document, "components": {**document["components"], "schemas": {**schemas, **changed}}}


def replaced(document: Json, pointer: tuple[str, ...], schema: Json) -> Json:
    """Return a document with another schema in one place, which must exist."""
    name, *rest = pointer
    if name not in document:
        raise DocumentError(
            f"the document has no {name!r} any more; look again at what is said about it in tools/spec_check/venues.py"
        )
    return {**document, name: replaced(document[name], tuple(rest), schema) if rest else schema}


def _kinds(schemas: Json, base: str) -> dict[str, str]:
    names = [name.removesuffix(base) for name in schemas if name.endswith(base) and name != base]
    return {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper(): name + base for name in names}


def _by_type(schema: Json, kinds: Mapping[str, str]) -> Json:
    rules: Json = {}
    for (
        kind,
        name,
    ) in kinds.items():  # One inside the other: the fields of a branch of `if` are declared even where a value does not fit.
        is_kind = {"properties": {"type": {"const": kind}}, "required": ["type"]}
        rules = {"if": is_kind, "then": {"$ref": f"#/components/schemas/{name}"}, "else": rules}
    known = {"type": {"type": "string", "enum": list(kinds)}}
    return {**schema, "properties": {**schema.get("properties", {}), **known}, "required": ["type"], **rules}


# From 3.0 to 3.1


def _current(node: Any) -> Any:
    if isinstance(node, list):
        return [_current(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {name: value for name, value in node.items() if name not in _HIDDEN}
    made = {name: _named(value) if name in {"properties", "schemas"} else _current(value) for name, value in kept.items()}
    return _bounded(_nullable(made))


def _named(members: Any) -> Any:
    """Convert the values of an object whose names are somebody's fields, not words of OpenAPI."""
    return {name: _current(value) for name, value in members.items()} if isinstance(members, dict) else _current(members)


def _nullable(schema: Json) -> Json:
    nullable = schema.pop("nullable", False)
    if nullable is True and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    return schema


def _bounded(schema: Json) -> Json:
    for word, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(schema.get(word), bool) and schema.pop(word) and bound in schema:
            schema[word] = schema.pop(bound)
    return schema


# From 2.0 to 3.0


def _reshaped(document: Json) -> Json:
    parts = {
        "schemas": document.get("definitions", {}),
        "parameters": {name: _parameter(item) for name, item in document.get("parameters", {}).items()},
        "responses": {name: _response(item) for name, item in document.get("responses", {}).items()},
    }
    paths = {
        path: {name: _operation(item) if isinstance(item, dict) else item for name, item in operations.items()}
        for path, operations in document["paths"].items()
    }
    made: Json = _moved({**document, "paths": paths, "components": parts})
    return {name: value for name, value in made.items() if name not in {"swagger", "definitions", "parameters", "responses"}}


def _operation(operation: Json) -> Json:
    given = operation.get("parameters", [])
    made = {**operation, "parameters": [_parameter(item) for item in given if item.get("in") != "body"]}
    for body in (item for item in given if item.get("in") == "body"):
        made["requestBody"] = {"required": body.get("required", False), "content": _as_json(body["schema"])}
    made["responses"] = {status: _response(item) for status, item in operation["responses"].items()}
    return made


def _parameter(parameter: Json) -> Json:
    if "$ref" in parameter:
        return parameter
    schema = {name: parameter[name] for name in _OF_A_SCHEMA if name in parameter}
    style = {"style": "form", "explode": False} if parameter.get("collectionFormat") == "csv" and parameter["in"] == "query" else {}
    return {
        "name": parameter["name"],
        "in": parameter["in"],
        "required": parameter.get("required", False),
        "schema": schema,
        **style,
    }


def _response(response: Json) -> Json:
    if "$ref" in response:
        return response
    made: Json = {"description": ""}
    if "schema" in response:
        made["content"] = _as_json(response["schema"])
    return made


def _as_json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _moved(node: Any) -> Any:
    if isinstance(node, list):
        return [_moved(item) for item in node]
    if isinstance(node, dict):
        return {name: _moved(value) for name, value in node.items()}
    if isinstance(node, str):
        for before, after in _MOVED.items():
            if node.startswith(before):
                return after + node.removeprefix(before)
    return node


# Closing


def _closed_contents(node: Any, schemas: Json) -> Any:
    """Close the schemas of bodies; a parameter's has no fields."""
    if isinstance(node, list):
        return [_closed_contents(item, schemas) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        name: _closed_bodies(value, schemas) if name == "content" else _closed_contents(value, schemas)
        for name, value in node.items()
    }


def _closed_bodies(content: Json, schemas: Json) -> Json:
    """Close what a body is held against. openapi-core follows a reference and forgets what stands beside it, so none is left there."""
    made = {}
    for kind, body in content.items():
        schema = body.get("schema", {})
        named = schemas.get(str(schema.get("$ref", "")).rpartition("/")[2], schema)
        made[kind] = {**body, "schema": _used(named)}
    return made


def _used(schema: Any) -> Any:
    """Close a schema in the place where a value is held against it."""
    if not isinstance(schema, dict):
        return schema
    made = _inside(schema)
    declares = {"properties", "$ref", "allOf", "anyOf", "oneOf"} & made.keys()
    return {**made, "unevaluatedProperties": False} if declares and "additionalProperties" not in made else made


def _inside(schema: Any) -> Any:
    """Close what lies inside a schema, but not the schema itself."""
    if not isinstance(schema, dict):
        return schema
    made = dict(schema)
    if "properties" in made:
        made["properties"] = {name: _used(value) for name, value in made["properties"].items()}
    for word in {"items", "additionalProperties"} & made.keys():
        made[word] = _used(made[word])
    for word in {"allOf", "anyOf", "oneOf"} & made.keys():
        made[word] = [_inside(value) for value in made[word]]
    for word in {"then", "else"} & made.keys():
        made[word] = _inside(made[word])
    return made


# The loader that is written in C takes a tenth of the time; not every platform has it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
