"""The one way by which YAML is written: block style, keys in one order, every value so that ``read_yaml`` has it again.

What no document may hold (a carriage return, a number of twenty digits) is written as it is, and the reader refuses it.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeGuard

_FIRST = ("type", "displayName", "name", "description")
_LAST = ("assignments", "adopt")
_INDENT = "  "

_UNQUOTED = re.compile(r"(?:[^\W\d_]|/)(?:[^\n\t:#]|:(?=[^ ])|(?<! )#)*(?<! )")
"""What no reader takes for anything but a text, if it is none of the words below."""

_UNSEEN = re.compile(
    "[\u00a0\u034f\u115f\u1160\u1680\u17b4\u17b5\u2000-\u200a\u202f\u205f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
"""What looks like nothing, or like a space that it is not: the name of another group, say, that reads the same."""

_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def yaml_bytes(data: Mapping[str, object]) -> bytes:
    """Write a document: what it is and its name first, to whom it is given last, all other keys sorted.

    Texts of several lines are literal blocks where these are exact; every other text is quoted where it has to be.
    """
    text = "\n".join(_mapping(data)) if data else "{}"
    return (text + "\n").encode("utf-8", "surrogatepass")


def _mapping(data: Mapping[str, object]) -> Iterator[str]:
    for key in sorted(data, key=_place):
        yield from _entry(f"{_inline(key)}:", data[key])


def _place(key: str) -> tuple[int, str]:
    if key in _FIRST:
        return _FIRST.index(key), key
    return len(_FIRST) + (1 + _LAST.index(key) if key in _LAST else 0), key


def _entry(head: str, value: object) -> Iterator[str]:
    """A key or a dash with its value: on the same line, or below it."""
    if _is_full(value):
        yield head
        yield from _indented(_lines(value))
    elif isinstance(value, str) and _is_block(value):
        yield head + (" |" if value.endswith("\n") else " |-")
        yield from _indented(value.removesuffix("\n").split("\n"))
    else:
        yield f"{head} {_inline(value)}"


def _is_full(value: object) -> "TypeGuard[Mapping[str, object] | Sequence[object]]":
    """Whether it is a mapping or a list with something in it."""
    return isinstance(value, (Mapping, list, tuple)) and len(value) > 0


def _lines(value: "Mapping[str, object] | Sequence[object]") -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _mapping(value)
        return
    for item in value:
        yield from _item(item)


def _item(value: object) -> Iterator[str]:
    """One item of a list; the first line of what it holds stands after the dash."""
    if not _is_full(value):
        yield from _entry("-", value)
        return
    for number, line in enumerate(_lines(value)):
        yield f"{_INDENT if number else '- '}{line}" if line else ""


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (_INDENT + line if line else "" for line in lines)


def _is_block(text: str) -> bool:
    """Whether a literal block holds exactly this text, and shows it as it is."""
    lines = text.removesuffix("\n").split("\n")
    is_several = "\n" in text and "\r" not in text and not text.endswith("\n\n")
    return is_several and lines[0][:1].strip() != "" and all(line.strip() or not line for line in lines)


def _inline(value: object) -> str:
    """A value on one line."""
    if isinstance(value, str):
        is_plain = _UNQUOTED.fullmatch(value) is not None and value.casefold() not in _WORDS
        is_unquoted = is_plain and _UNSEEN.search(value) is None
        return value if is_unquoted else _UNSEEN.sub(_escaped, json.dumps(value, ensure_ascii=False))
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return "{}"
    return json.dumps(value)


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _number(value: float) -> str:
    """A number with a fraction, which is how the reader knows it; one that is not finite as YAML has it."""
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    digits, exponent, power = repr(value).partition("e")
    return (digits if "." in digits else f"{digits}.0") + exponent + power
