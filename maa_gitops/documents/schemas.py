"""The schemas that ship, the tenant's own, and holding a document to one.

What is wrong is found in ``validation``; here it gets its place in the file.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from functools import cache

from maa_gitops.documents.strict_yaml import Document, Place, Steps, pointer, read_yaml, shown
from maa_gitops.model import Problem
from maa_gitops.shipped import shipped_file, shipped_names

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_FOLDER = "schemas"
_SUFFIX = ".schema.json"


def schema_names() -> tuple[str, ...]:
    """The names of the shipped schemas, sorted."""
    return tuple(name.removesuffix(_SUFFIX) for name in shipped_names(_FOLDER) if name.endswith(_SUFFIX))


@cache
def shipped_schema(name: str) -> Mapping[str, object]:
    """A shipped schema, read once.

    Raises:
        FileNotFoundError: there is none of this name.
    """
    schema: Mapping[str, object] = json.loads(shipped_file(_FOLDER, name + _SUFFIX))
    return schema


def check_schema(document: Document, schema: Mapping[str, object]) -> tuple[Problem, ...]:
    """Every problem of a document under a schema, sorted. A schema that cannot be used is one of them."""
    from maa_gitops.documents.validation import violations  # slow, and not every command needs it

    return tuple(
        sorted(
            Problem(document.path, *_place(document, steps, code), code, _labelled(steps, code, text), pointer(steps))
            for steps, code, text in set(violations(document.data, schema))
        )
    )


def _place(document: Document, steps: Steps, code: str) -> Place:
    """Where a problem stands; the whole file where the document does not know."""
    if code in ("unknownKey", "invalidKey"):
        return document.key_places.get(steps, (0, 0))
    return document.places.get(steps[:-1] if code == "missingKey" else steps, (0, 0))


def _labelled(steps: Steps, code: str, text: str) -> str:
    """The message with the way to the value before it, as in ``targets.local: key 'provider' is missing``."""
    way = steps[:-1] if code in ("unknownKey", "invalidKey", "missingKey") else steps
    label = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in way).removeprefix(".")
    return f"{label}: {text}" if label else text


def read_json_schema(data: bytes, path: str) -> tuple[Mapping[str, object] | None, tuple[Problem, ...]]:
    """Read a tenant's own schema. It is None if and only if there are problems; these are sorted.

    JSON is YAML, so the strict reader finds duplicate keys, depth and places; then it must be JSON as well. References
    may lead to ``#`` and ``#/$defs/<name>`` only, so that what they lead to has been checked to be a schema.
    """
    document, problems = read_yaml(data, path)
    if document is None:
        return None, problems
    schema = document.data
    if not isinstance(schema, dict):
        return None, (Problem(path, 1, 1, "invalidSchema", "a schema is a JSON object"),)
    problems = tuple(_json_problems(data, document)) or _schema_problems(document, schema)
    return (None, problems) if problems else (schema, ())


def _json_problems(data: bytes, document: Document) -> Iterator[Problem]:
    """What makes a YAML document no JSON."""
    try:
        differs = json.loads(data) != document.data
    except json.JSONDecodeError as error:
        yield Problem(document.path, error.lineno, error.colno, "syntax", f"not JSON: {error.msg}")
        return
    if differs:
        yield Problem(document.path, 1, 1, "syntax", "JSON has no NaN and no Infinity")


def _schema_problems(document: Document, schema: Mapping[str, object]) -> tuple[Problem, ...]:
    from maa_gitops.documents.validation import META_SCHEMA

    wrong = (
        Problem(found.path, found.line, found.column, "invalidSchema", found.message, found.subject)
        for found in check_schema(document, META_SCHEMA)
    )
    definitions = schema.get("$defs", {})
    references = {"#", *(f"#/$defs/{name}" for name in (definitions if isinstance(definitions, dict) else ()))}
    keywords = (
        Problem(document.path, *document.places[steps], "invalidSchema", text, pointer(steps))
        for steps, text in _keyword_problems(schema, (), references)
    )
    return tuple(sorted({*wrong, *keywords}))


def _keyword_problems(schema: object, steps: Steps, references: Collection[str]) -> Iterator[tuple[Steps, str]]:
    """What the schema of schemas does not see: references, other dialects, patterns."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _keyword_problems(item, (*steps, index), references)
    for key, value in schema.items() if isinstance(schema, dict) else ():
        yield from _keyword_problems(value, (*steps, key), references)
        complaint = _complaint(key, value, references, is_top=not steps)
        if complaint:
            yield (*steps, key), complaint


def _complaint(key: str, value: object, references: Collection[str], *, is_top: bool) -> str | None:
    """What is wrong with one keyword. A property that is named like one has a mapping as its value."""
    if key == "patternProperties" or (key == "pattern" and isinstance(value, str)):
        return "patterns are not supported, since one can be written that never ends; use enum, minLength, maxLength"
    if not isinstance(value, str):
        return None
    if key in ("$ref", "$dynamicRef") and value not in references:
        return f"expected a reference to # or #/$defs/<name>, found {shown(value)}"
    if key == "$schema" and value != DIALECT:
        return f"expected {DIALECT}, found {shown(value)}"
    if key in ("$schema", "$id") and not is_top:
        return "may stand at the top only"
    return None
