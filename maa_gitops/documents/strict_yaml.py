"""The one way by which YAML is read: a narrow part of YAML 1.2 that every reader understands alike.

It says where each value stands and refuses whatever two readers could take differently. What a document should hold
is not known here; ``schemas`` checks that.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from maa_gitops.errors import DocumentError
from maa_gitops.model import Problem

if TYPE_CHECKING:
    import yaml

SIZE_LIMIT = 1024 * 1024
"""Bytes of a document."""

DEPTH_LIMIT = 32
"""Lists and mappings inside one another."""

PROBLEM_LIMIT = 100
"""Problems after which reading stops: nobody reads on, and a hostile file could hold a million."""

_DIGIT_LIMIT = 18
_SHOWN = 60

Steps: TypeAlias = tuple[str | int, ...]
"""The way from the top of a document to a value: keys and list indexes."""

Place: TypeAlias = tuple[int, int]
"""Line and column, from 1."""

_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and line feed, DEL, C1 with the line break NEL
    "\u00ad\u061c\u180e"  # soft hyphen, Arabic letter mark, Mongolian vowel separator
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero width, line and paragraph separators, bidirectional
    "\ufeff\ufff9-\ufffb\ufffe\uffff"  # byte order mark, annotations, no characters
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"  # shorthand, music, tags
)

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<fraction>\.[0-9]+(?:[eE][-+][0-9]+)?)?")
"""The numbers that YAML 1.1, YAML 1.2 and JSON read alike."""

_AMBIGUOUS = re.compile(
    r"""
      y | n | yes | no | on | off | true | false | null | ~ | = | <<
    | [-+]? (?: \.? [0-9] [0-9_.,:]* | \. ) (?: e [-+]? [0-9]+ )?  # 012, +1, 1., .5, ., 1_000, 1,000, 1:30, 1e3
    | [-+]? 0 [box] [0-9a-f_]+
    | [-+]? \. (?: inf | nan )
    | -? [0-9]{4} - [0-9]{1,2} - [0-9]{1,2} (?: (?: t | \s+ ) [0-9]{1,2} : .* )?
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII | re.DOTALL,
)
"""Unquoted texts that some YAML reader takes for something else than another does."""

_CONSTANTS: Mapping[str, bool | None] = {"": None, "null": None, "true": True, "false": False}

_NODE = (("anchor", "anchor"), ("tag", "tag"))
_REFUSED = {
    "document": (("version", "%YAML directive"), ("tags", "%TAG directive")),
    "scalar": _NODE,
    "list": _NODE,
    "mapping": _NODE,
    "alias": (("anchor", "alias"),),
    "end": (),
}
"""What an event of a kind may bear that no document may: the parser's attribute and our word for it."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document's plain data, and where each of its values stands.

    ``data`` is made of dict, list, str, int, float, bool and None. ``places`` are those of the values, ``key_places``
    those of the keys of mappings.
    """

    path: str
    data: object
    places: Mapping[Steps, Place]
    key_places: Mapping[Steps, Place]


def read_yaml(data: bytes, path: str) -> tuple[Document | None, tuple[Problem, ...]]:
    """Read one document. It is None if and only if there are problems; these are sorted."""
    problems = _raw_problems(data, path)
    if problems:
        return None, problems
    builder = _Builder(data, path)
    try:
        content = builder.document()
    except DocumentError as error:
        builder.problems.append(
            Problem(path, error.line or 0, error.column or 0, error.code or "syntax", error.message)
        )
    if builder.problems:
        return None, tuple(sorted(set(builder.problems)))
    return Document(path, content, builder.places, builder.key_places), ()


def pointer(steps: Steps) -> str:
    """Steps as a JSON pointer. Source: RFC 6901."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def shown(text: str) -> str:
    """A text as messages show it: quoted, escaped and short."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


def _raw_problems(data: bytes, path: str) -> tuple[Problem, ...]:
    """What can be told before parsing: size, encoding and characters, one problem for each character refused."""
    if len(data) > SIZE_LIMIT:
        return (Problem(path, 0, 0, "tooLarge", f"more than {SIZE_LIMIT} bytes"),)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        return (Problem(path, *_place(data[: error.start].decode()), "forbiddenCharacter", message),)
    problems = []
    for character in set(_FORBIDDEN.findall(text)):
        place = _place(text[: text.index(character)])
        problems.append(Problem(path, *place, "forbiddenCharacter", *_refusal(character)))
    return tuple(sorted(problems))


def _refusal(character: str) -> tuple[str, str]:
    """The message and the subject for a forbidden character."""
    code = f"U+{ord(character):04X}"
    if character == "\r":
        return f"carriage return {code}: lines end with a line feed alone", code
    return f"control or invisible character {code} is refused", code


def _place(before: str) -> Place:
    """Where the character stands that follows a text."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


class _Event(NamedTuple):
    """A parser's event as this module sees it. ``refused`` names what it bears that no document may."""

    kind: str
    place: Place
    text: str = ""
    style: str = ""
    refused: tuple[str, ...] = ()


def _events(data: bytes, path: str) -> Iterator[_Event]:
    """The events of libyaml, whose parser does not recurse: deep nesting harms nothing.

    Raises:
        DocumentError: the text is not YAML.
    """
    import yaml  # slow, and not every command needs it
    from yaml._yaml import CParser

    kinds = {
        yaml.DocumentStartEvent: "document",
        yaml.ScalarEvent: "scalar",
        yaml.SequenceStartEvent: "list",
        yaml.MappingStartEvent: "mapping",
        yaml.SequenceEndEvent: "end",
        yaml.MappingEndEvent: "end",
        yaml.AliasEvent: "alias",
    }
    parser = CParser(data)
    try:
        while (event := parser.get_event()) is not None:
            kind = kinds.get(type(event))
            if kind is not None:
                yield _event(kind, event)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        problem = getattr(error, "problem", None) or "unreadable"
        if "nesting" in problem:  # newer parsers have a limit of their own, and meet it before the first event
            message = f"nested deeper than {DEPTH_LIMIT}"
            raise DocumentError(message, path=path, line=line, column=column, code="tooDeep") from error
        message = f"not YAML: {problem}"
        raise DocumentError(message, path=path, line=line, column=column, code="syntax") from error


def _event(kind: str, event: "yaml.Event") -> _Event:
    mark = event.start_mark
    place = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
    refused = [word for attribute, word in _REFUSED[kind] if getattr(event, attribute) is not None]
    if kind != "scalar":
        return _Event(kind, place, refused=tuple(refused))
    return _Event(kind, place, getattr(event, "value", ""), getattr(event, "style", ""), tuple(refused))


class _Builder:
    """Builds plain data from one document's events, and gathers what is wrong with it."""

    def __init__(self, data: bytes, path: str) -> None:
        self.problems: list[Problem] = []
        self.places: dict[Steps, Place] = {}
        self.key_places: dict[Steps, Place] = {}
        self._path = path
        self._events = _events(data, path)

    def document(self) -> object:
        """Build the one document.

        Raises:
            DocumentError: reading cannot go on.
        """
        start = next(self._events, None)
        content = self._next() if start is not None else None
        if start is None or content is None or content == _Event("scalar", content.place):
            raise DocumentError("the document is empty", path=self._path, line=1, column=1, code="emptyDocument")
        self._refuse(start, ())
        value = self._value(content, ())
        second = next(self._events, None)
        if second is not None:
            self._problem(second.place, "forbiddenFeature", "a second document begins; one is read", ())
        return value

    def _next(self) -> _Event:
        """The next event inside the document; the parser sees to it that there is one."""
        return next(self._events)

    def _value(self, event: _Event, steps: Steps) -> object:
        self.places[steps] = event.place
        self._refuse(event, steps)
        if event.kind == "scalar":
            return self._scalar(event, steps)
        if event.kind == "alias":
            return None
        if len(steps) >= DEPTH_LIMIT:
            message = f"nested deeper than {DEPTH_LIMIT}"
            line, column = event.place
            raise DocumentError(message, path=self._path, line=line, column=column, code="tooDeep")
        return self._list(steps) if event.kind == "list" else self._mapping(steps)

    def _list(self, steps: Steps) -> list[object]:
        items: list[object] = []
        while (event := self._next()).kind != "end":
            items.append(self._value(event, (*steps, len(items))))
        return items

    def _mapping(self, steps: Steps) -> dict[str, object]:
        entries: dict[str, object] = {}
        while (event := self._next()).kind != "end":
            key = self._key(event, steps)
            inner = (*steps, key)
            if key in entries:
                message = f"key {shown(key)} stands twice, first in line {self.key_places[inner][0]}"
                self._problem(event.place, "duplicateKey", message, inner)
            self.key_places.setdefault(inner, event.place)
            entries[key] = self._value(self._next(), inner)
        return entries

    def _key(self, event: _Event, steps: Steps) -> str:
        if event.kind != "scalar":
            self._problem(event.place, "nonStringKey", f"a key must be text, found {_article(event.kind)}", steps)
            self._value(event, (*steps, "?"))
            return f"? {event.place}"
        inner = (*steps, event.text)
        self._refuse(event, inner)
        if event.style:
            self._check_escapes(event, inner)
        elif event.text == "<<":
            self._problem(event.place, "forbiddenFeature", "a merge key is refused: write the entries out", inner)
        elif complaint := _ambiguity(event.text):
            self._problem(event.place, "ambiguousScalar", complaint, inner)
        elif not isinstance(_resolved(event.text), str):
            self._problem(event.place, "nonStringKey", f"a key must be text: quote {shown(event.text)}", inner)
        return event.text

    def _scalar(self, event: _Event, steps: Steps) -> str | int | float | bool | None:
        if event.style:
            self._check_escapes(event, steps)
            return event.text
        complaint = _ambiguity(event.text)
        if complaint:
            self._problem(event.place, "ambiguousScalar", complaint, steps)
            return None
        return _resolved(event.text)

    def _check_escapes(self, event: _Event, steps: Steps) -> None:
        """Refuse what the raw text could not hold and only an escape can have made."""
        found = _FORBIDDEN.search(event.text)
        if found:
            self._problem(
                event.place, "forbiddenCharacter", f"the text holds, by an escape, a {_refusal(found[0])[0]}", steps
            )

    def _refuse(self, event: _Event, steps: Steps) -> None:
        for feature in event.refused:
            self._problem(event.place, "forbiddenFeature", f"{_article(feature)} is refused", steps)

    def _problem(self, place: Place, code: str, message: str, steps: Steps) -> None:
        self.problems.append(Problem(self._path, *place, code, message, pointer(steps)))
        if len(self.problems) >= PROBLEM_LIMIT:
            message = f"more than {PROBLEM_LIMIT} problems: reading stops here"
            raise DocumentError(message, path=self._path, line=place[0], column=place[1], code="tooManyProblems")


def _ambiguity(text: str) -> str | None:
    """Why an unquoted text is refused, if it is."""
    number = _NUMBER.fullmatch(text)
    if number and not number["fraction"]:
        too_long = len(text.lstrip("-")) > _DIGIT_LIMIT
        return f"an integer of more than {_DIGIT_LIMIT} digits: quote {shown(text)}" if too_long else None
    if number:
        return None if math.isfinite(float(text)) else f"a number that is too large: quote {shown(text)}"
    if text in _CONSTANTS or not _AMBIGUOUS.fullmatch(text):
        return None
    return f"readers of YAML differ on this: quote {shown(text)}"


def _resolved(text: str) -> str | int | float | bool | None:
    """What an unquoted text that is not ambiguous stands for. Source: YAML 1.2.2, core schema."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    number = _NUMBER.fullmatch(text)
    if not number:
        return text
    return float(text) if number["fraction"] else int(text)


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
