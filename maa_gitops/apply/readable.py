"""An object's state as lines that a person can read and compare, script text included; nothing is escaped here.

Secrets are hidden, and what is too long to be read (pictures, say) is told by its length: within one run the same
value is told by the same word, so that a difference is seen.
"""

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from hashlib import blake2b

from maa_gitops.providers import DesiredObject, spelling

_SECRET = re.compile(r"(password|passphrase|secret|sharedkey|privatekey|apikey|token)\Z", re.IGNORECASE)
"""Properties whose text is never shown."""

_SECRET_VALUE = "SecretSettingValue"  # noqa: S105 - the end of a type's name in Graph
_NAME = re.compile(r"[A-Za-z0-9@._#-]+")
_LONGEST_LINE = 4096
_RUN = secrets.token_bytes(16)


def readable(state: DesiredObject) -> str:
    """Write a state in the manner of YAML: keys sorted, texts of several lines as they are."""
    return "\n".join(_lines(state))


def difference(old: DesiredObject | None, new: DesiredObject | None) -> str:
    """What changes from one state to another, as a unified diff; None: nothing is there."""
    before = list(_lines(old)) if old is not None else []
    after = list(_lines(new)) if new is not None else []
    return "\n".join(list(unified_diff(before, after, lineterm=""))[2:])


def _lines(state: DesiredObject) -> Iterator[str]:
    yield from _mapping(state.data, "")
    if state.assignments:
        yield from _entry("assignments", sorted(map(dict, state.assignments), key=spelling), "")


def _mapping(data: Mapping[str, object], indent: str) -> Iterator[str]:
    is_secret = str(data.get("@odata.type", "")).endswith(_SECRET_VALUE)
    for key in sorted(data):
        if is_secret and key == "value":
            yield f"{indent}{key}: (hidden {_word(str(data[key]))})"
        else:
            yield from _entry(key, data[key], indent)


def _entry(name: str, value: object, indent: str) -> Iterator[str]:
    key = name if _NAME.fullmatch(name) else json.dumps(name)  # no key can look like lines of its own
    if isinstance(value, str) and value and _SECRET.search(name):
        yield f"{indent}{key}: (hidden {_word(value)})"
    elif isinstance(value, str) and "\n" in value:
        # Splitting at line feeds alone keeps a missing or an added last one visible.
        yield f"{indent}{key}: |"
        yield from (f"{indent}  {line}" for line in value.split("\n"))
    elif isinstance(value, (dict, list)) and value:
        yield f"{indent}{key}:"
        inner = _mapping(value, "  ") if isinstance(value, dict) else (line for item in value for line in _item(item))
        yield from (indent + line for line in inner)
    else:
        yield f"{indent}{key}: {_scalar(value)}"


def _item(value: object) -> Iterator[str]:
    """One item of a list: its first line after a dash, the rest below it."""
    if not isinstance(value, (dict, list)) or not value:
        yield f"- {_scalar(value)}"
        return
    inner = _mapping(value, "") if isinstance(value, dict) else (line for item in value for line in _item(item))
    for number, line in enumerate(inner):
        yield f"{'  ' if number else '- '}{line}"


def _scalar(value: object) -> str:
    if isinstance(value, str) and len(value) > _LONGEST_LINE:
        return f"({len(value):,} characters {_word(value)})"
    return json.dumps(value, ensure_ascii=False)


def _word(value: str) -> str:
    """A word for a value that is not shown; it tells nothing of it, and is another one in the next run."""
    return blake2b(value.encode("utf-8", "surrogatepass"), key=_RUN, digest_size=4).hexdigest()
