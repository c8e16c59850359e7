"""Hold requests and answers against a document.

openapi-core finds the operation and checks parameters, bodies and answers. Two things are added: a parameter that no operation declares,
which it lets pass, and fields that no schema declares, for which everything is checked a second time against the closed document.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from attrs import frozen
from jsonschema.exceptions import ValidationError
from jsonschema_path import SchemaPath
from openapi_core import V31RequestValidator, V31ResponseValidator
from openapi_core.datatypes import RequestParameters
from openapi_core.templating.paths.exceptions import PathError
from openapi_core.templating.paths.finders import APICallPathFinder
from openapi_core.templating.responses.exceptions import ResponseFinderError
from openapi_core.validation.request.exceptions import MissingRequiredParameter, ParameterValidationError, SecurityValidationError
from openapi_core.validation.schemas.exceptions import InvalidSchemaValue
from werkzeug.datastructures import Headers, ImmutableMultiDict

from logos_core.testing.server import HttpRequest, HttpResponse
from tools.spec_check.documents import SERVER, Json, closed
from tools.spec_check.findings import Finding, Kind, Side, place, shortened

FORM = "application/x-www-form-urlencoded"
_KINDS = {"type": Kind.WRONG_TYPE, "required": Kind.MISSING}


@frozen
class Call:
    """One request and what it was answered."""

    request: HttpRequest
    answer: HttpResponse


class Sent:
    """A request as openapi-core reads one. What is between slashes stays quoted, so that a quoted slash divides nothing."""

    def __init__(self, request: HttpRequest, *, form_is_query: bool) -> None:
        self.method = request.method.lower()
        self.host_url, self.path = SERVER, request.path
        self.content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        self.body: bytes | None = request.body or None
        query = parse_qsl(urlsplit(request.target).query, keep_blank_values=True)
        if form_is_query and self.content_type == FORM and self.body:
            query += parse_qsl(self.body.decode(), keep_blank_values=True)
            self.body = None
        self.parameters = RequestParameters(query=ImmutableMultiDict(query), header=Headers(list(request.headers.items())))


class Answered:
    """An answer as openapi-core reads one."""

    def __init__(self, answer: HttpResponse) -> None:
        self.status_code = answer.status
        self.headers = Headers(list(answer.headers))
        self.content_type = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        self.data: bytes | None = answer.body or None


class Judge:
    """Say what of a venue's traffic its document does not allow.

    Args:
        venue: its name, for the findings.
        document: the document, in version 3.1.
        form_is_query: fields in a form count as fields in the query, where the venue takes both.
    """

    def __init__(self, venue: str, document: Json, *, form_is_query: bool = False) -> None:
        self.venue = venue
        self._form_is_query = form_is_query
        self._open, self._closed = (SchemaPath.from_dict(form) for form in (document, closed(document)))
        self._finder = APICallPathFinder(self._open)
        self._formats = _formats(document)

    def operation(self, request: HttpRequest) -> str | None:
        """Return the name of a request's operation, or None for one that the document does not have."""
        try:
            found = self._finder.find(request.method.lower(), SERVER + request.path)
        except PathError:
            return None
        return f"{request.method} {found.path_result.pattern}"

    def judge(self, call: Call) -> list[Finding]:
        """Return every deviation of one call."""
        name = self.operation(call.request)
        if name is None:
            path = f"{call.request.method} {call.request.path}"
            return [Finding(self.venue, path, Side.SENT, Kind.UNDECLARED_PATH, "path", "no such operation", None, path)]
        return [*self._of_request(name, call), *self._of_answer(name, call)]

    def _of_request(self, name: str, call: Call) -> Iterator[Finding]:
        sent = Sent(call.request, form_is_query=self._form_is_query)
        where = Finding(self.venue, name, Side.SENT, Kind.WRONG_VALUE, "", "")
        errors = list(V31RequestValidator(self._open, extra_format_validators=self._formats).iter_errors(sent))
        strict = V31RequestValidator(self._closed).iter_errors(_again(call, form_is_query=self._form_is_query))
        yield from _found(where, errors)
        yield from _undeclared(where, strict)
        yield from self._parameters(where, sent)

    def _of_answer(self, name: str, call: Call) -> Iterator[Finding]:
        where = Finding(self.venue, name, Side.ANSWERED, Kind.WRONG_VALUE, "", "", call.answer.status)
        again, answer = _again(call, form_is_query=self._form_is_query), Answered(call.answer)
        yield from _found(where, V31ResponseValidator(self._open, extra_format_validators=self._formats).iter_errors(again, answer))
        yield from _undeclared(where, V31ResponseValidator(self._closed).iter_errors(again, answer))

    def _parameters(self, where: Finding, sent: Sent) -> Iterator[Finding]:
        """Return the query's parameters, and a body, that the operation does not declare."""
        found = self._finder.find(sent.method, SERVER + sent.path)
        declared = {_word(item, "name") for part in (found.operation, found.path) for item in part.get("parameters", ())}
        for name in sorted(set(sent.parameters.query) - declared - self._keys_in_query()):
            yield _at(where, Kind.UNDECLARED_FIELD, f"query.{name}", "no such parameter", sent.parameters.query[name])
        if sent.body and "requestBody" not in found.operation:
            yield _at(where, Kind.UNDECLARED_FIELD, "body", "no body", sent.body)

    def _keys_in_query(self) -> set[str]:
        schemes = (self._open / "components").get("securitySchemes", SchemaPath.from_dict({}))
        return {_word(scheme, "name") for _, scheme in schemes.str_items() if _word(scheme, "in") == "query"}


def _again(call: Call, *, form_is_query: bool) -> Sent:
    return Sent(call.request, form_is_query=form_is_query)  # The validator writes into a request, so each gets its own.


def _word(item: SchemaPath, name: str) -> str:
    return str((item / name).read_str(""))


def _at(where: Finding, kind: Kind, place_: str, wants: str, example: object) -> Finding:
    return Finding(where.venue, where.operation, where.side, kind, place_, wants, where.status, shortened(example))


def _found(where: Finding, errors: Iterable[Exception]) -> Iterator[Finding]:
    for error in errors:
        root = _root(error)
        if isinstance(error, ResponseFinderError):
            yield _at(where, Kind.UNDECLARED_STATUS, "status", "no answer of this status", where.status)
        elif isinstance(error, MissingRequiredParameter | SecurityValidationError):
            yield _at(where, Kind.MISSING, root, "required", None)
        elif isinstance(error.__cause__, InvalidSchemaValue):
            yield from (_of_schema(where, root, found) for found in _schema_errors(error))
        elif type(error).__name__.startswith("Missing"):
            yield _at(where, Kind.MISSING, root, "a body", None)
        else:
            yield _at(where, Kind.UNREADABLE, root, str(error.__cause__ or error)[:150], None)


def _undeclared(where: Finding, errors: Iterable[Exception]) -> Iterator[Finding]:
    """Return the fields that the closed document does not have; everything else was found in the open one."""
    for error in errors:
        if not isinstance(error.__cause__, InvalidSchemaValue):
            continue
        for found in _deepest(_schema_errors(error)):
            for name in _unexpected(found):
                path = place(_root(error), *found.absolute_path, name)
                yield _at(where, Kind.UNDECLARED_FIELD, path, "no such field", cast("Any", found.instance)[name])


def _root(error: Exception) -> str:
    if isinstance(error, SecurityValidationError):
        return "header"
    return f"{error.location}.{error.name}" if isinstance(error, ParameterValidationError) else "body"


def _of_schema(where: Finding, root: str, error: ValidationError) -> Finding:
    path = place(root, *error.absolute_path)
    word, wanted = str(error.validator), cast("Any", error.validator_value)
    if word == "required":
        name = next(name for name in wanted if error.message.startswith(f"{name!r} "))
        return _at(where, Kind.MISSING, f"{path}.{name}", "required", None)
    kind = _KINDS.get(word, Kind.WRONG_VALUE)
    return _at(where, kind, path, f"{word}: {shortened(wanted)}", error.instance)


def _schema_errors(error: Exception) -> list[ValidationError]:
    cause = error.__cause__
    assert isinstance(cause, InvalidSchemaValue)
    return [found for found in cause.schema_errors if isinstance(found, ValidationError)]


def _deepest(errors: Iterable[ValidationError]) -> Iterator[ValidationError]:
    for error in errors:
        if error.validator == "unevaluatedProperties":
            yield error
        yield from _deepest(error.context)


def _unexpected(error: ValidationError) -> list[str]:
    listed = error.message.partition("(")[2]
    return [name for name in cast("Any", error.instance) if repr(name) in listed]


# Formats


def _is_decimal(value: object) -> bool:
    try:
        return not isinstance(value, str) or Decimal(value).is_finite()
    except InvalidOperation:
        return False


def _is_id(value: object) -> bool:
    return not isinstance(value, str) or value.isdecimal()


def _is_time(value: object) -> bool:
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)|\d+(\.\d{1,9})?"
    return not isinstance(value, str) or re.fullmatch(pattern, value) is not None


_SENTENCES = {
    "decimal": _is_decimal,
    "A decimal number encode": _is_decimal,
    "String representation of the numerical OANDA-assigned TransactionID": _is_id,
    "The RFC 3339 representation": _is_time,
}
"""Formats that JSON Schema does not know, by how they begin: OANDA writes whole sentences."""


def _formats(document: Json) -> dict[str, Callable[[Any], bool]]:
    """Return a check for each of the document's own formats that we can read."""
    found = set(_texts(document))
    return {text: check for start, check in _SENTENCES.items() for text in found if text.startswith(start)}


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("format"), str):
            yield node["format"]
        node = list(node.values())
    for item in node if isinstance(node, list) else ():
        yield from _texts(item)
