"""Reading YAML: what is refused and where, what is taken, and that nothing makes the reader fall over."""

import json
import re
import unicodedata

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from maa_gitops.documents import Document, read_yaml

PATH = "policies/apps.yaml"

# what it is: the text, and line, column and code of every problem
REFUSED = {
    # the last one wins with many readers
    "e1 a key twice": ("a: 1\nb: 2\na: 3\n", [(3, 1, "duplicateKey")]),
    "e1 a key twice, once quoted": ("a: 1\n'a': 2\n", [(2, 1, "duplicateKey")]),
    "e1 a key twice, once by an escape": ('approvers: 1\n"approv\\x65rs": 2\n', [(2, 1, "duplicateKey")]),
    "e1 a key twice, deep inside": ("a:\n  - {b: 1, b: 2}\n", [(2, 12, "duplicateKey")]),
    "e1 two keys twice": ("a: 1\nb: 1\na: 2\nb: 2\n", [(3, 1, "duplicateKey"), (4, 1, "duplicateKey")]),
    "e1 a key three times": ("a: 1\na: 2\na: 3\n", [(2, 1, "duplicateKey"), (3, 1, "duplicateKey")]),
    # one text that stands for another
    "e2 anchor": ("a: &x 1\n", [(1, 4, "forbiddenFeature")]),
    "e2 anchor on a list": ("a: &x [1]\n", [(1, 4, "forbiddenFeature")]),
    "e2 anchor on a key": ("&x a: 1\n", [(1, 1, "forbiddenFeature")]),
    "e2 alias": ("a: &x 1\nb: *x\n", [(1, 4, "forbiddenFeature"), (2, 4, "forbiddenFeature")]),
    "e2 alias of nothing": ("a: *x\n", [(1, 4, "forbiddenFeature")]),
    "e2 alias as a key": ("*x : 1\n", [(1, 1, "nonStringKey"), (1, 1, "forbiddenFeature")]),
    "e2 list that holds itself": ("&x [*x]\n", [(1, 1, "forbiddenFeature"), (1, 5, "forbiddenFeature")]),
    "e2 merge key": ("<<: {a: 1}\n", [(1, 1, "forbiddenFeature")]),
    # what changes how the rest is read
    "e4 tag": ("a: !!str 1\n", [(1, 4, "forbiddenFeature")]),
    "e4 tag of one's own": ("- !x {}\n", [(1, 3, "forbiddenFeature")]),
    "e4 tag that means no tag": ("a: ! 1\n", [(1, 4, "forbiddenFeature")]),
    "e4 tag on a key": ("!!str a: 1\n", [(1, 1, "forbiddenFeature")]),
    "e5 two documents": ("a: 1\n---\nb: 2\n", [(2, 1, "forbiddenFeature")]),
    "e5 a document after the end": ("a: 1\n...\n---\nb: 2\n", [(3, 1, "forbiddenFeature")]),
    "e5 version": ("%YAML 1.2\n---\na: 1\n", [(1, 1, "forbiddenFeature")]),
    "e5 tag handle": ("%TAG ! tag:x,2026:\n---\na: 1\n", [(1, 1, "forbiddenFeature")]),
    "e5 unknown directive": ("%FOO\n---\na: 1\n", [(1, 5, "syntax")]),
    # what hides in plain sight
    "e6 NUL": ("a: \0\n", [(1, 4, "forbiddenCharacter")]),
    "e6 byte order mark": ("\ufeffa: 1\n", [(1, 1, "forbiddenCharacter")]),
    "e6 carriage returns, told once": ("a: 1\r\nb: 2\r\n", [(1, 5, "forbiddenCharacter")]),
    "e6 next line": ("a: 1\u0085b: 2\n", [(1, 5, "forbiddenCharacter")]),
    "e6 line separator": ("# x\u2028a: 1\n", [(1, 4, "forbiddenCharacter")]),
    "e6 paragraph separator": ("# x\u2029a: 1\n", [(1, 4, "forbiddenCharacter")]),
    "e6 right-to-left override": ("a: b\nc: 'd\u202ee'\n", [(2, 6, "forbiddenCharacter")]),
    "e6 isolate": ("a: \u2066b\n", [(1, 4, "forbiddenCharacter")]),
    "e6 zero-width space in a key": ("a\u200b: 1\n", [(1, 2, "forbiddenCharacter")]),
    "e6 word joiner": ("a: b\u2060\n", [(1, 5, "forbiddenCharacter")]),
    "e6 soft hyphen": ("a: b\u00adc\n", [(1, 5, "forbiddenCharacter")]),
    "e6 invisible tag letters": ("a: b\U000e0041\n", [(1, 5, "forbiddenCharacter")]),
    "e6 escape sequence": ("a: \x1b[31m\n", [(1, 4, "forbiddenCharacter")]),
    "e6 delete": ("a: \x7f\n", [(1, 4, "forbiddenCharacter")]),
    "e6 two kinds": ("a: \u200b\nb: \x07\n", [(1, 4, "forbiddenCharacter"), (2, 4, "forbiddenCharacter")]),
    "e6 NUL by an escape": ('a: "b\\0"\n', [(1, 4, "forbiddenCharacter")]),
    "e6 override by an escape": ('a: "\\u202e"\n', [(1, 4, "forbiddenCharacter")]),
    "e6 next line by an escape": ('a: "\\N"\n', [(1, 4, "forbiddenCharacter")]),
    "e6 carriage return by an escape": ('a: "\\r"\n', [(1, 4, "forbiddenCharacter")]),
    "e6 zero width by an escape in a key": ('"a\\u200b": 1\n', [(1, 1, "forbiddenCharacter")]),
    "e6 half a character by an escape": ('a: "\\ud83d"\n', [(1, 7, "syntax")]),
    # keys that are no text
    "e7 number": ("1: a\n", [(1, 1, "nonStringKey")]),
    "e7 fraction": ("1.5: a\n", [(1, 1, "nonStringKey")]),
    "e7 true": ("true: a\n", [(1, 1, "nonStringKey")]),
    "e7 null": ("null: a\n", [(1, 1, "nonStringKey")]),
    "e7 nothing": ("?\n: a\n", [(1, 2, "nonStringKey")]),
    "e7 list": ("? [a]\n: 1\n", [(1, 3, "nonStringKey")]),
    "e7 mapping": ("? {a: 1}\n: 1\n", [(1, 3, "nonStringKey")]),
    "e7 on and yes": ("on: 1\nyes: 2\n", [(1, 1, "ambiguousScalar"), (2, 1, "ambiguousScalar")]),
    "e7 leading zero": ("012: a\n", [(1, 1, "ambiguousScalar")]),
    # no YAML, and nothing
    "nothing": ("", [(1, 1, "emptyDocument")]),
    "a comment alone": ("# nothing\n", [(1, 1, "emptyDocument")]),
    "a beginning alone": ("---\n", [(1, 1, "emptyDocument")]),
    "open quote": ("a: 'x\n", [(2, 1, "syntax")]),
    "tab as indentation": ("a:\n\tb: 1\n", [(2, 1, "syntax")]),
    "two colons": ("a: b: c\n", [(1, 5, "syntax")]),
    "problems before it breaks are told too": ("a: no\nb: [\n", [(1, 4, "ambiguousScalar"), (3, 1, "syntax")]),
}

AMBIGUOUS = """
y Y n N yes Yes YES no No NO on On ON off Off OFF True TRUE False FALSE Null NULL ~ = <<
012 00 08 -012 0o17 0O17 0x1F 0XAB 0b101 -0x1 1_000 1,000 +1 1. .5 -.5 . +.5 1e3 1E3 1e+3 1.5e3 1.e5 1.5.2 192.168.0.1
1:30 190:20:30 20:30.15 8080:80 .inf -.Inf +.INF .nan .NaN .NAN 1234567890123456789 -1234567890123456789 1.0e+999
2001-01-01 2001-1-1 2001-12-14t21:59:43.10-05:00 2026-11-23T10:00:00Z
"""

PLAIN = {
    "true": True,
    "false": False,
    "null": None,
    "": None,
    "0": 0,
    "-7": -7,
    "123456789012345678": 123456789012345678,
    "1.5": 1.5,
    "-0.25": -0.25,
    "1.5e+3": 1500.0,
    "2.5E-1": 0.25,
    "text": "text",
    "two words # and a comment": "two words",
    "https://example.com/a?b=c": "https://example.com/a?b=c",
    "9WZDNCRFJ3PZ": "9WZDNCRFJ3PZ",
    "P1D": "P1D",
    "yesterday": "yesterday",
    "nothing": "nothing",
    "e3": "e3",
    "v1.2": "v1.2",
    "2026-11-23 notes": "2026-11-23 notes",
    "12345678-9abc": "12345678-9abc",
    "Zürich 東京": "Zürich 東京",
    "'no'": "no",
    '"012"': "012",
    '"\\t\\n\\x41\\u00e9\\U0001F600"': "\t\nAé😀",
}

ACCEPTED = {
    "mapping": ("a: 1\nb: two\n", {"a": 1, "b": "two"}),
    "beginning and end": ("---\na: 1\n...\n", {"a": 1}),
    "list": ("- a\n- - b\n  - c\n", ["a", ["b", "c"]]),
    "flow": ('{"a": [1, "b"], c: {}, d: []}\n', {"a": [1, "b"], "c": {}, "d": []}),
    "JSON with tabs": ('{\n\t"a":1,\n\t"b":[true,null]\n}\n', {"a": 1, "b": [True, None]}),
    "block text": ("a: |\n  one\n  two\nb: >-\n  one\n  two\n", {"a": "one\ntwo\n", "b": "one two"}),
    "quoted keys": ("'on': 1\n\"1\": 2\n'<<': 3\n", {"on": 1, "1": 2, "<<": 3}),
    "text": ("only text\n", "only text"),
    "null itself": ("null\n", None),
}


def problems_of(text: str) -> list[tuple[int, int, str]]:
    """Places and codes of a text's problems."""
    document, problems = read_yaml(text.encode("utf-8", "surrogatepass"), PATH)
    assert document is None
    return [(problem.line, problem.column, problem.code) for problem in problems]


def read(text: str) -> Document:
    """The document of a text that is fine."""
    document, problems = read_yaml(text.encode(), PATH)
    assert problems == ()
    assert document is not None
    return document


@pytest.mark.parametrize(("text", "expected"), REFUSED.values(), ids=REFUSED)
def test_e1_to_e7_what_readers_could_take_differently_is_refused_at_its_place(
    text: str, expected: list[tuple[int, int, str]]
) -> None:
    """Each row of the table is refused, with exactly these problems."""
    assert problems_of(text) == sorted(expected)


@pytest.mark.parametrize("text", AMBIGUOUS.split())
def test_e3_ambiguous_scalars_must_be_quoted(text: str) -> None:
    """An unquoted text that other readers take differently is an error; in quotes it is text."""
    if text != "<<":
        assert problems_of(f"a: {text}\n") == [(1, 4, "ambiguousScalar")]
    assert read(f'a: "{text}"\n').data == {"a": text}


def test_e3_a_time_with_blanks_is_ambiguous_too() -> None:
    """YAML 1.1 lets blanks stand between date and time."""
    assert problems_of("a: 2001-12-14 21:59:43.10 -5\n") == [(1, 4, "ambiguousScalar")]


@pytest.mark.parametrize(("text", "expected"), PLAIN.items(), ids=repr)
def test_e3_plain_scalars_follow_the_core_schema(text: str, expected: object) -> None:
    """What every reader takes alike is taken, with its type."""
    assert repr(read(f"a: {text}\n").data) == repr({"a": expected})


@pytest.mark.parametrize(("text", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_ordinary_yaml_is_read(text: str, expected: object) -> None:
    """Each row of the table becomes this plain data."""
    assert read(text).data == expected


def test_places_are_those_of_values_and_of_keys() -> None:
    """Line and column count from 1, in characters, and are known for every value and every key."""
    document = read("ä: {b: ü, c: [x,  z]}\nd:\n  - e: 1\n    f:\n")
    assert document.places == {
        (): (1, 1),
        ("ä",): (1, 4),
        ("ä", "b"): (1, 8),
        ("ä", "c"): (1, 14),
        ("ä", "c", 0): (1, 15),
        ("ä", "c", 1): (1, 19),
        ("d",): (3, 3),
        ("d", 0): (3, 5),
        ("d", 0, "e"): (3, 8),
        ("d", 0, "f"): (4, 7),
    }
    assert document.key_places == {
        ("ä",): (1, 1),
        ("ä", "b"): (1, 5),
        ("ä", "c"): (1, 11),
        ("d",): (2, 1),
        ("d", 0, "e"): (3, 5),
        ("d", 0, "f"): (4, 5),
    }


def test_a_problem_is_the_same_one_when_lines_move() -> None:
    """A problem's subject is the way to the value, not its line."""
    (before,) = read_yaml(b"a/b: {c: [x, no]}\n", PATH)[1]
    (after,) = read_yaml(b"# moved\na/b:\n  c:\n  - x\n  - no\n", PATH)[1]
    assert before.subject == "/a~1b/c/1"
    assert before.identity == after.identity


def test_messages_say_what_to_do_and_stay_short() -> None:
    """The text that must be quoted is named, escaped and cut."""
    (problem,) = read_yaml(b"a: NO\n", PATH)[1]
    assert problem.message == "readers of YAML differ on this: quote 'NO'"
    (problem,) = read_yaml(b"a: " + b"1" * 1000 + b"\n", PATH)[1]
    assert len(problem.message) < 120


def test_e6_no_character_that_hides_is_read() -> None:
    """Of Unicode's control, format and separator characters only tab, line feed and those with a shape are read."""
    shaped = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x13430, 0x13456)}
    read_here = {
        code
        for code in range(0x110000)
        if unicodedata.category(chr(code)) in ("Cc", "Cf", "Zl", "Zp")
        and read_yaml(f"'{chr(code)}'".encode(), PATH)[0] is not None
    }
    assert read_here - shaped == {0x09, 0x0A}


def test_e1_a_repeated_key_names_the_line_of_the_first() -> None:
    """However often it is repeated."""
    problems = read_yaml(b"a: 1\na: 2\na: 3\n", PATH)[1]
    assert [problem.message for problem in problems] == ["key 'a' stands twice, first in line 1"] * 2


def test_e6_what_is_not_utf8_is_refused_at_its_place() -> None:
    """A byte that is no UTF-8 is told with its line and column; UTF-16 and lone surrogates are none."""
    (problem,) = read_yaml("ok: ü\nx: ".encode() + b"\xff\n", PATH)[1]
    assert (problem.line, problem.column, problem.code) == (2, 4, "forbiddenCharacter")
    assert problems_of("a: \ud800\n") == [(1, 4, "forbiddenCharacter")]
    assert read_yaml("a: 1\n".encode("utf-16"), PATH)[0] is None


def test_e8_size_is_limited_before_anything_is_read() -> None:
    """One MiB is read, one byte more is not."""
    fits = b"a: " + b"x" * (1024 * 1024 - 4) + b"\n"
    assert read_yaml(fits, PATH)[0] is not None
    (problem,) = read_yaml(fits + b"\n", PATH)[1]
    assert (problem.line, problem.code) == (0, "tooLarge")


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_e8_nesting_is_limited(opening: str, closing: str) -> None:
    """32 levels are read, the 33rd is refused where it opens."""
    read(opening * 32 + closing * 32)
    assert problems_of(opening * 33 + closing * 33) == [(1, 32 * len(opening) + 1, "tooDeep")]


@pytest.mark.parametrize("text", ["[", "{a: ", "- ", "? ", "{? ", "[[a], "])
def test_e8_hostile_nesting_does_no_harm(text: str) -> None:
    """A hundred thousand levels neither crash the process nor exhaust the stack."""
    assert (problems_of(text * 100_000)[-1])[2] == "tooDeep"


def test_reading_stops_after_a_hundred_problems() -> None:
    """A file that is wrong everywhere is not read to its end."""
    problems = read_yaml(b"- no\n" * 10_000, PATH)[1]
    assert len(problems) == 101
    assert problems[-1].code == "tooManyProblems"


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_raise(data: bytes) -> None:
    """There is a document or there are problems, never both, never neither, never an exception."""
    document, problems = read_yaml(data, PATH)
    assert (document is None) == bool(problems)
    assert list(problems) == sorted(problems)


@settings(deadline=None)
@given(st.text(alphabet="ab01-+.:,#&*!|>'\"%@`?{}[]<=~ \n\t\\xuyno", max_size=60))
def test_no_text_makes_the_reader_raise(text: str) -> None:
    """The same for texts that are nearly YAML."""
    document, problems = read_yaml(text.encode(), PATH)
    assert (document is None) == bool(problems)
    for problem in problems:
        assert problem.line >= 1
        assert problem.column >= 1


@settings(deadline=None, max_examples=500)
@given(st.text(alphabet="0123456789+-.,:_eExXoObBtTzZ yYnNfFaAlLsSuUrRiI~=<", min_size=1, max_size=12))
def test_e3_what_is_taken_unquoted_is_taken_alike_by_a_reader_of_yaml_1_1(text: str) -> None:
    """PyYAML's own reader gives every text that is not refused the same value of the same type."""
    document, _ = read_yaml(f"a: {text}\n".encode(), PATH)
    if document is not None:
        assert repr(document.data) == repr(yaml.safe_load(f"a: {text}\n"))


UNREFUSED = st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp", "Cn"], include_characters="\n\t")
FLOATS = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda value: re.fullmatch(r"-?[0-9]+\.[0-9]+(e[-+][0-9]+)?", repr(value)) is not None
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(1 - 10**18, 10**18 - 1) | FLOATS | st.text(UNREFUSED),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(UNREFUSED, max_size=50), inner),
    max_leaves=20,
)


@settings(deadline=None)
@given(VALUES)
def test_json_is_read_as_what_it_says(value: object) -> None:
    """Plain data written as JSON comes back equal, its types included."""
    document, problems = read_yaml(json.dumps(value, ensure_ascii=False).encode(), PATH)
    assert problems == ()
    assert document is not None
    assert repr(document.data) == repr(value)
