"""Reading the JSON and YAML files that other tools write: whatever they hold becomes plain data, or an error.

No document of a tenant is read this way. What the data means is for the caller to know.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from maa_gitops.errors import DocumentError

if TYPE_CHECKING:
    import yaml

SIZE_LIMIT = 16 * 1024 * 1024
"""Bytes of a file: an app's icon and a script of 200 KB fit many times."""

_DEPTH_LIMIT = 48
_VALUE_LIMIT = 200_000
"""Values of a file; an alias of YAML counts as often as it is used."""


_WORDS = frozenset({"tag:yaml.org,2002:null", "tag:yaml.org,2002:bool"})
_NUMBERS = (
    ("tag:yaml.org,2002:int", re.compile(r"-?(?:0|[1-9][0-9]*)\Z")),
    ("tag:yaml.org,2002:float", re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:e[-+][0-9]+)?\Z")),
)
"""Numbers as those tools write them. What else YAML 1.1 takes for one (1:30, 0x1f, 1_000) is a text to them."""

_ENCODINGS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def read_foreign(data: bytes, path: str) -> object:
    """Read a file, as JSON where its name ends so, else as YAML; bytes may be UTF-8, or UTF-16 with its mark.

    Raises:
        DocumentError: it is neither, or too large.
    """
    if len(data) > SIZE_LIMIT:
        raise DocumentError(f"more than {SIZE_LIMIT} bytes", path=path)
    text = foreign_text(data)
    if text is None:
        raise DocumentError("neither UTF-8 nor UTF-16", path=path)
    value = _json(text, path) if path.endswith(".json") else _yaml(text, path)
    return _plain(value, iter(range(_VALUE_LIMIT)), 0, path)


def foreign_text(data: bytes) -> str | None:
    """The text that bytes stand for, without a byte order mark; None: they stand for none."""
    encoding = next((name for mark, name in _ENCODINGS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _json(text: str, path: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise DocumentError(f"not JSON: {error.msg}, {place}", path=path) from error
    except (RecursionError, ValueError) as error:
        raise DocumentError(
            "not JSON that can be read: nested too deeply, or a number is too long", path=path
        ) from error


def _yaml(text: str, path: str) -> object:
    import yaml  # slow, and not every command needs it

    try:
        _look_through(text, path)
        return yaml.load(text, Loader=_loader())  # noqa: S506 - a safe loader, which makes plain data only
    except yaml.YAMLError as error:
        raise DocumentError(f"not YAML: {getattr(error, 'problem', None) or 'unreadable'}", path=path) from error
    except (RecursionError, ValueError) as error:
        raise DocumentError("no YAML that can be read: nested too deeply, or a value is none", path=path) from error


def _look_through(text: str, path: str) -> None:
    """Refuse, before anything is built of it, what is more than an object, and values that state their own type."""
    import yaml  # as above

    depth = values = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        is_end = isinstance(event, yaml.CollectionEndEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - is_end
        values += not is_end
        if depth > _DEPTH_LIMIT or values > 2 * _VALUE_LIMIT:  # a value may have a key
            raise _too_much(path)
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise DocumentError(f"a value states its own type, {tag}", path=path)


@cache
def _loader() -> "type[yaml.CSafeLoader]":
    """A safe loader to which a date, or a key that would merge mappings, is a text, as it is to who wrote the file."""
    from yaml import CSafeLoader

    known = CSafeLoader.yaml_implicit_resolvers.items()
    resolvers = {first: [found for found in several if found[0] in _WORDS] for first, several in known}
    for first in "-0123456789":
        resolvers[first] = [*resolvers.get(first, ()), *_NUMBERS]
    return type("_Loader", (CSafeLoader,), {"yaml_implicit_resolvers": resolvers})


def _plain(value: Any, budget: Iterator[int], depth: int, path: str) -> object:  # noqa: ANN401 - as it came
    """A copy of plain data; what a file shares between places, or puts into itself, is not plain."""
    if next(budget, None) is None or depth > _DEPTH_LIMIT:
        raise _too_much(path)
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {_key(key, path): _plain(item, budget, depth + 1, path) for key, item in value.items()}
        case list():
            return [_plain(item, budget, depth + 1, path) for item in value]
        case _:
            raise DocumentError(f"it holds a {type(value).__name__}, which JSON does not have", path=path)


def _too_much(path: str) -> DocumentError:
    return DocumentError("it holds more values, or deeper ones, than an object of a tenant has", path=path)


def _key(key: object, path: str) -> str:
    if isinstance(key, str):
        return key
    raise DocumentError("a key is no text", path=path)
