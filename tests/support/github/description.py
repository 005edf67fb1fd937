"""GitHub's published description of its REST API, and what breaks it in a request or an answer.

Loaded once per process. Nothing here knows the state of a repository.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

DATA = Path(__file__).parents[2] / "data" / "github"
HOST = "https://api.github.com"
METHODS = {"get", "post", "patch"}
BASIC_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/basic-error"}}}


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint as a request names it: its template and the values in the path."""

    method: str
    template: str
    values: Mapping[str, str]
    known_query: frozenset[str]
    known_body: frozenset[str] | None

    @property
    def path(self) -> str:
        """The path with each value quoted, as the description's templates want it."""
        return self.template.format(**{name: quote(value, safe="") for name, value in self.values.items()})


class Description:
    """The operations of GitHub's API that the fake has."""

    def __init__(self, document: dict[str, Any]) -> None:
        """Take the parsed description; what it leaves out of every operation is added here."""
        from openapi_core import Config, OpenAPI

        amend(document)
        self.document = document
        # The description is data under version control: checking it against OpenAPI's own schema takes a second.
        self.api = OpenAPI.from_dict(document, config=Config(spec_validator_cls=None))  # type: ignore[arg-type]
        templates = sorted(document["paths"], key=lambda template: (template.count("{"), template))
        self.patterns = [(self.pattern(template), template) for template in templates]

    def pattern(self, template: str) -> re.Pattern[str]:
        """A template as a regular expression; a ref or commit may hold slashes, as an extension of GitHub's says."""
        item = self.document["paths"][template]
        lists = [item.get("parameters", ()), *(item[method].get("parameters", ()) for method in METHODS & set(item))]
        parameters = [self.resolved(parameter) for each in lists for parameter in each]
        several = {parameter["name"] for parameter in parameters if parameter.get("x-multi-segment")}
        return re.compile(
            re.sub(
                r"\\{(\w+)\\}",
                lambda match: f"(?P<{match[1]}>{'.+' if match[1] in several else '[^/]+'})",
                re.escape(template),
            )
        )

    def find(self, method: str, path: str) -> Operation | None:
        """The operation that a method and a quoted path mean; None: the description has none."""
        for pattern, template in self.patterns:
            if (match := pattern.fullmatch(path)) is None:
                continue
            item = self.document["paths"][template]
            if (operation := item.get(method.lower())) is None:
                continue
            names = [self.resolved(p) for p in (*item.get("parameters", ()), *operation.get("parameters", ()))]
            query = frozenset(str(p["name"]) for p in names if p["in"] == "query")
            schema = self.resolved(operation.get("requestBody", {})).get("content", {}).get("application/json", {})
            properties = schema.get("schema", {}).get("properties")
            body = None if properties is None else frozenset(properties)
            values = {name: unquote(value) for name, value in match.groupdict().items()}
            return Operation(method, template, values, query, body)
        return None

    def resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        """The node that a reference means, or the node itself."""
        if (reference := node.get("$ref")) is None:
            return node
        _, *steps = reference.split("/")
        found: dict[str, Any] = self.document
        for step in steps:
            found = found[step]
        return found

    def request_problems(self, operation: Operation, query: str, headers: Mapping[str, str], body: bytes) -> list[str]:
        """What a request breaks, one sentence each.

        Beyond the description, names in the query or at the top of the body that it does not know are problems:
        GitHub ignores them without a word, which makes a misspelt filter a list of everything.
        """
        pairs = parse_qsl(query, keep_blank_values=True)
        problems = [f"unknown query parameter {name!r}" for name, _ in pairs if name not in operation.known_query]
        if len(dict(pairs)) < len(pairs):
            problems.append(f"a query parameter is given twice: {query}")
        if not headers.get("user-agent"):
            problems.append("a request must have a User-Agent")  # GitHub refuses those with 403
        problems += broken(lambda: self.api.validate_request(self.request(operation, dict(pairs), headers, body)))
        if operation.known_body is not None and not problems:
            sent = json.loads(body or b"{}")
            problems += [f"unknown body property {name!r}" for name in sent if name not in operation.known_body]
        return problems

    def answer_problems(self, operation: Operation, status: int, headers: Mapping[str, str], body: bytes) -> list[str]:
        """What an answer to a request of the operation breaks, one sentence each."""
        from openapi_core.testing import MockResponse

        media_type = headers.get("Content-Type", "application/json")
        answer = MockResponse(body, status, headers=dict(headers), content_type=media_type)
        return broken(lambda: self.api.validate_response(self.request(operation, {}, {}, b""), answer))

    def request(self, operation: Operation, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> Any:
        """A request in the shape that openapi-core takes."""
        from openapi_core.testing import MockRequest

        return MockRequest(
            HOST,
            operation.method.lower(),
            operation.path,
            args=dict(query),
            headers=dict(headers),
            data=body or None,
            content_type=headers.get("content-type", "application/json"),
        )


@cache
def description() -> Description:
    """GitHub's description, cut to what the fake has."""
    return Description(json.loads((DATA / "openapi.json").read_text(encoding="utf-8")))


def amend(document: dict[str, Any]) -> None:
    """Add what GitHub does for every operation and its description says for some only.

    Any GET can be answered 304, and any operation with an error (401, 403, 404, 429, 5xx) in the shape of basic-error.
    What is nullable may be null though its values are listed: GitHub means it so, OpenAPI 3.0.3 does not.
    """
    for node in nodes(document):
        if node.get("nullable") is True and None not in node.get("enum", (None,)):
            node["enum"].append(None)
    for item in document["paths"].values():
        for method in METHODS & set(item):
            answers = item[method]["responses"]
            answers.setdefault("default", {"description": "An error", "content": BASIC_ERROR})
            if method == "get":
                answers.setdefault("304", {"description": "Not modified"})


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a document, from the outside in."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from nodes(inner)


def broken(check: Callable[[], None]) -> list[str]:
    """What a check of openapi-core finds, as sentences."""
    from openapi_core.exceptions import OpenAPIError

    try:
        check()
    except OpenAPIError as error:
        cause: BaseException = error
        while cause.__cause__ is not None and not hasattr(cause, "schema_errors"):
            cause = cause.__cause__
        details = [
            f"{'/'.join(map(str, found.absolute_path)) or 'the whole'}: {found.message[:300]}"
            for found in getattr(cause, "schema_errors", ())
        ]
        return details or [f"{error} {cause}".strip()[:500]]
    return []
