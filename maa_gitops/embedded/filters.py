"""The language of ``$filter``: a small part of OData's, read into a function of an item."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from maa_gitops.embedded.catalog import MANAGED_APPS
from maa_gitops.embedded.messages import Json, bad_request

Read = Callable[[Mapping[str, Json]], Json]
"""What an expression says of an item."""

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?(?![\w-]))|(?P<sign>[(),])"
    r"|(?P<word>[A-Za-z0-9_@.$:/-]+))"
)
_DEPTH = 50


def parsed(text: str) -> Callable[[Mapping[str, Json]], bool]:
    """Read a filter.

    Raises:
        RefusedError: it cannot be read, or says something that is not known here.
    """
    reader = _Reader(_tokens(text))
    found = reader.either(0)
    if reader.at < len(reader.tokens):
        raise _unclear(f"unexpected '{reader.tokens[reader.at][1]}'")
    return lambda item: found(item) is True


def _unclear(why: str) -> Exception:
    return bad_request(f"Invalid filter clause: {why}.")


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise _unclear(f"syntax error at position {at}")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


@dataclass(slots=True)
class _Reader:
    """Goes through the tokens once, one method for each strength of binding."""

    tokens: list[tuple[str, str]]
    at: int = 0

    def either(self, depth: int) -> Read:
        """Expressions joined by ``or``."""
        parts = [self._both(depth)]
        while self._took("or"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else lambda item: any(part(item) is True for part in parts)

    def _both(self, depth: int) -> Read:
        parts = [self._negated(depth)]
        while self._took("and"):
            parts.append(self._negated(depth))
        return parts[0] if len(parts) == 1 else lambda item: all(part(item) is True for part in parts)

    def _negated(self, depth: int) -> Read:
        if depth > _DEPTH:
            raise _unclear("it is nested too deep")
        if self._took("not"):
            found = self._negated(depth + 1)
            return lambda item: found(item) is not True
        return self._compared(depth)

    def _compared(self, depth: int) -> Read:
        left = self._operand(depth)
        word = self._peek()
        if word is not None and word in _COMPARISONS:
            self.at += 1
            return _comparison(word, left, self._operand(depth))
        if self._took("in"):
            return _among(left, self._arguments(depth))
        return left

    def _operand(self, depth: int) -> Read:
        if self.at >= len(self.tokens):
            raise _unclear("it ends too early")
        kind, text = self.tokens[self.at]
        if text == "(":
            self.at += 1
            found = self.either(depth + 1)
            self._expect(")")
            return found
        self.at += 1
        if kind == "word" and self._peek() == "(":
            return _function(text, self._arguments(depth + 1))
        return _leaf(kind, text)

    def _arguments(self, depth: int) -> list[Read]:
        self._expect("(")
        found = [self.either(depth + 1)]
        while self._took(","):
            found.append(self.either(depth + 1))
        self._expect(")")
        return found

    def _peek(self) -> str | None:
        kind, text = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        return text if kind in ("word", "sign") else None

    def _took(self, word: str) -> bool:
        if self._peek() != word:
            return False
        self.at += 1
        return True

    def _expect(self, sign: str) -> None:
        if not self._took(sign):
            raise _unclear(f"'{sign}' expected")


def _leaf(kind: str, text: str) -> Read:
    literals: dict[str, Json] = {"true": True, "false": False, "null": None}
    if kind == "text":
        value = text[1:-1].replace("''", "'")
        return lambda _: value
    if kind == "number":
        number = float(text)
        return lambda _: number
    if kind == "word" and text in literals:
        return lambda _: literals[text]
    if kind != "word":
        raise _unclear(f"unexpected '{text}'")
    if re.match(r"\d", text):
        return lambda _: text  # a time or an id, which OData writes without quotes
    return lambda item: _property(item, text)


def _property(item: Mapping[str, Json], path: str) -> Json:
    """A property by its path; behind a type it is null for an object of another one."""
    found: Json = item
    for part in path.split("/"):
        if part.startswith("microsoft.graph."):
            if not _is_of(item, part):
                return None
        elif isinstance(found, Mapping):
            found = found.get(part)
        else:
            return None
    return found


def _is_of(item: Mapping[str, Json], type_name: str) -> bool:
    name = str(item.get("@odata.type", "")).removeprefix("#microsoft.graph.")
    wanted = type_name.removeprefix("microsoft.graph.")
    return name.lower() == wanted.lower() or (wanted == "managedApp" and name in MANAGED_APPS)


def _function(name: str, arguments: list[Read]) -> Read:
    match name.lower(), arguments:
        case "isof", [kind]:
            return lambda item: _is_of(item, str(kind(item)))
        case "startswith", [left, right]:
            return lambda item: _plain(left(item)).startswith(_plain(right(item)))
        case "endswith", [left, right]:
            return lambda item: _plain(left(item)).endswith(_plain(right(item)))
        case "contains", [left, right]:
            return lambda item: _plain(right(item)) in _plain(left(item))
        case _:
            raise _unclear(f"an unknown function with name '{name}' was found")


_COMPARISONS: Mapping[str, Callable[[Json, Json], bool]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "gt": lambda left, right: left > right,
    "ge": lambda left, right: left >= right,
    "lt": lambda left, right: left < right,
    "le": lambda left, right: left <= right,
}


def _plain(value: Json) -> str:
    return value.casefold() if isinstance(value, str) else ""


def _comparable(value: Json) -> Json:
    """Texts are compared without regard to case, as the directory does."""
    return value.casefold() if isinstance(value, str) else value


def _comparison(word: str, left: Read, right: Read) -> Read:
    compare = _COMPARISONS[word]

    def compared(item: Mapping[str, Json]) -> bool:
        one, other = _comparable(left(item)), _comparable(right(item))
        if word in ("eq", "ne"):
            return compare(one, other)
        same = isinstance(one, str) == isinstance(other, str)
        return same and one is not None and other is not None and compare(one, other)

    return compared


def _among(left: Read, choices: list[Read]) -> Read:
    return lambda item: any(_comparable(left(item)) == _comparable(choice(item)) for choice in choices)
