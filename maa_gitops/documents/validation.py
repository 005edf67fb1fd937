"""What JSON Schema finds wrong with plain data, told in a person's words.

The only place that knows jsonschema, which is slow to import: ``schemas`` imports this module where it is needed. It
knows neither files nor places.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator
from jsonschema.exceptions import UnknownType, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from maa_gitops.documents.strict_yaml import PROBLEM_LIMIT, Steps, shown

META_SCHEMA: Mapping[str, object] = Draft202012Validator.META_SCHEMA
"""The JSON Schema of JSON Schemas."""

_LISTED = 12

_TYPES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "null": "nothing",
    "number": "a number",
    "object": "a mapping",
    "string": "a string",
}


class Violation(NamedTuple):
    """One thing that is wrong. ``steps`` lead to the value, or to the key where the code is about a key."""

    steps: Steps
    code: str
    message: str


def violations(data: object, schema: Mapping[str, object]) -> tuple[Violation, ...]:
    """Everything that is wrong with the data; nothing is ever fetched.

    A schema that cannot be used (a reference out of it, an endless one) is a violation with the code
    ``invalidSchema``.
    """
    try:
        errors = list(islice(_validator(schema).iter_errors(data), PROBLEM_LIMIT))
    except Unresolvable as fault:
        return (_unusable(f"its reference {shown(str(fault.ref))} leads nowhere in it"),)
    except UnknownType as fault:
        return (_unusable(f"there is no type {shown(str(fault.type))}"),)
    except (RecursionError, OverflowError, re.error):
        return (_unusable("a reference is endless, or a pattern is none"),)
    leaves = [leaf for error in errors for leaf in _leaves(error)]
    mistyped = {_steps(leaf) for leaf in leaves if leaf.validator == "type"}
    return tuple(_violation(leaf) for leaf in leaves if leaf.validator == "type" or _steps(leaf) not in mistyped)


def _unusable(why: str) -> Violation:
    return Violation((), "invalidSchema", f"the schema cannot be used: {why}")


# --- keywords that jsonschema takes more loosely, or tells too little about -----------------------------------------

_Errors = Iterator[ValidationError]


def _matches(_validator: object, pattern: str, value: object, _schema: object) -> _Errors:
    if isinstance(value, str) and not _pattern(pattern).search(value):
        yield ValidationError("")


_CLASS_OR_END = re.compile(r"(\\.|\[(?:\\.|[^\]\\])*\])|\$", re.DOTALL)


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """A pattern as JSON Schema means it: ``$`` is the very end, a class is ASCII. Source: ECMA-262."""
    return re.compile(_CLASS_OR_END.sub(lambda match: match[1] or r"\Z", text), re.ASCII)


def _unique(_validator: object, wanted: object, value: object, _schema: object) -> _Errors:
    seen: set[str] = set()
    for index, item in enumerate(value if wanted and isinstance(value, list) else ()):
        text = json.dumps(item, sort_keys=True)
        if text in seen:
            yield ValidationError(f"{_found(item)} is listed twice", path=(index,))
        seen.add(text)


def _required(_validator: object, keys: Iterable[str], value: object, _schema: object) -> _Errors:
    if isinstance(value, dict):
        for key in (key for key in keys if key not in value):
            yield ValidationError(f"key {shown(key)} is missing", "required", path=(key,))


def _dependent(validator: object, wanted: Mapping[str, list[str]], value: object, schema: object) -> _Errors:
    for key, others in wanted.items():
        if isinstance(value, dict) and key in value:
            yield from _required(validator, others, value, schema)


def _properties(validator: Any, properties: Mapping[str, object], value: object, _schema: object) -> _Errors:  # noqa: ANN401 - jsonschema's own class
    present = value if isinstance(value, dict) else {}
    for key, schema in ((key, schema) for key, schema in properties.items() if key in present):
        if schema is False:
            yield ValidationError(f"key {shown(key)} is not allowed here", "additionalProperties", path=(key,))
        else:
            yield from validator.descend(present[key], schema, path=key, schema_path=key)


def _additional(validator: Any, allowed: object, value: object, schema: Mapping[str, Any]) -> _Errors:  # noqa: ANN401 - as above
    known = schema.get("properties", {})
    patterns = [_pattern(pattern) for pattern in schema.get("patternProperties", {})]
    for key, item in value.items() if isinstance(value, dict) else ():
        if key in known or any(pattern.search(key) for pattern in patterns):
            continue
        if allowed is False:
            yield ValidationError(f"unknown key {shown(key)}{_suggestion(key, known)}", path=(key,))
        else:
            yield from validator.descend(item, allowed, path=key)


def _names(validator: Any, names: object, value: object, _schema: object) -> _Errors:  # noqa: ANN401 - as above
    for key in value if isinstance(value, dict) else ():
        for error in validator.descend(key, names):
            yield ValidationError(_message(error), "propertyNames", path=(key,))


def _suggestion(key: str, known: Iterable[str]) -> str:
    close = get_close_matches(key, known, 1)
    if close:
        return f"; did you mean {shown(close[0])}?"
    return f"; expected {_listed(sorted(known))}" if known else ""


_OwnValidator: type[Draft202012Validator] = extend(  # type: ignore[no-untyped-call] # its stub has no types
    Draft202012Validator,
    {
        "additionalProperties": _additional,
        "dependentRequired": _dependent,
        "pattern": _matches,
        "properties": _properties,
        "propertyNames": _names,
        "required": _required,
        "uniqueItems": _unique,
    },
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _checker, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)
"""Draft 2020-12 with integers that are none when written 1.0, and one error for each key."""


def _validator(schema: Mapping[str, object]) -> Draft202012Validator:
    # $schema would lead jsonschema back to its own class wherever a reference to "#" is followed
    own = {key: value for key, value in schema.items() if key != "$schema"}
    return _OwnValidator(own, registry=Registry())


# --- from jsonschema's errors to ours -------------------------------------------------------------------------------

_KEY_CODES = {"additionalProperties": "unknownKey", "required": "missingKey", "propertyNames": "invalidKey"}


def _violation(error: ValidationError) -> Violation:
    return Violation(_steps(error), _KEY_CODES.get(str(error.validator), "invalidValue"), _message(error))


def _steps(error: ValidationError) -> Steps:
    return tuple(error.absolute_path)


def _leaves(error: ValidationError) -> _Errors:
    """The errors that tell what to do: of several allowed forms, those of the one that the value comes closest to."""
    if error.validator not in ("anyOf", "oneOf") or not error.context:
        yield error
        return
    forms: dict[object, list[ValidationError]] = {}
    for child in error.context:
        forms.setdefault(next(iter(child.relative_schema_path), None), []).append(child)
    fitting = [form for form in forms.values() if not any(_is_other(child) for child in form)]
    if not fitting:
        yield error
        return
    for child in min(fitting, key=_distance):
        yield from _leaves(child)


def _distance(form: list[ValidationError]) -> tuple[int, int]:
    """How far a value is from a form: misfits of its own keys weigh more than those further inside."""
    return sum(len(child.relative_path) <= 1 for child in form), len(form)


def _is_other(child: ValidationError) -> bool:
    """Whether a form is for values of another type, or for none."""
    return child.validator in ("type", None) and not child.relative_path


def _message(error: ValidationError) -> str:
    say = _MESSAGES.get(str(error.validator))
    return say(error) if say is not None else f"does not keep to {error.validator} {_plain(error.validator_value)}"


def _of_type(error: ValidationError) -> str:
    wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    text = f"expected {_alternatives(wanted)}, found {_found(error.instance)}"
    could_be_quoted = "string" in wanted and isinstance(error.instance, bool | int | float)
    return f"{text}: quote it" if could_be_quoted else text


def _of_no_form(error: ValidationError) -> str:
    if not error.context:
        return "fits more than one of the forms allowed here"
    wanted = [child.validator_value for child in error.context if child.validator == "type"]
    return f"expected {_alternatives(wanted)}, found {_found(error.instance)}"


def _of_pattern(error: ValidationError) -> str:
    title = error.schema.get("title") if isinstance(error.schema, Mapping) else None
    return f"expected {title or f'a text like {error.validator_value}'}, found {_found(error.instance)}"


_Teller = Callable[[Any], str]
"""From a ValidationError, whose values may be anything, to words."""


def _counted(unit: str, bound: str) -> _Teller:
    return lambda error: f"has {len(error.instance)} {unit}, expected {bound} {error.validator_value}"


def _compared(relation: str) -> _Teller:
    return lambda error: f"expected {relation} {_plain(error.validator_value)}, found {_found(error.instance)}"


_MESSAGES: Mapping[str, _Teller] = {
    **dict.fromkeys(("additionalProperties", "required", "propertyNames", "uniqueItems"), lambda error: error.message),
    **dict.fromkeys(("unevaluatedProperties", "unevaluatedItems"), lambda error: error.message),
    **dict.fromkeys(("anyOf", "oneOf"), _of_no_form),
    "None": lambda _: "is not allowed here",
    "type": _of_type,
    "pattern": _of_pattern,
    "enum": lambda error: f"expected {_listed(error.validator_value)}, found {_found(error.instance)}",
    "const": _compared("exactly"),
    "minimum": _compared("at least"),
    "maximum": _compared("at most"),
    "exclusiveMinimum": _compared("more than"),
    "exclusiveMaximum": _compared("less than"),
    "minLength": _counted("characters", "at least"),
    "maxLength": _counted("characters", "at most"),
    "minItems": _counted("entries", "at least"),
    "maxItems": _counted("entries", "at most"),
    "minProperties": _counted("keys", "at least"),
    "maxProperties": _counted("keys", "at most"),
}


def _alternatives(types: Iterable[object]) -> str:
    flat = [name for entry in types for name in (entry if isinstance(entry, list) else [entry])]
    return " or ".join(dict.fromkeys(_TYPES.get(str(name), str(name)) for name in flat))


def _listed(values: Iterable[object]) -> str:
    texts = [value if isinstance(value, str) else _plain(value) for value in values]
    rest = ["…"] if len(texts) > _LISTED else []
    return ("one of " if len(texts) > 1 else "") + ", ".join([*texts[:_LISTED], *rest])


def _found(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case str():
            return shown(value)
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return _plain(value)


def _plain(value: object) -> str:
    """A value of a schema, or a plain one of a document, as YAML would have it."""
    return shown(value) if isinstance(value, str) else json.dumps(value)[:60]
