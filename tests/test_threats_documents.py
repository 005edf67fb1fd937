"""Documents that say two things: what ``validate``, the gate, history and apply make of them, through the command line."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from tests.support import APP, Forger, World, access_policy, account, app, group, settings
from tests.support.trees import agreed
from tests.support.verdicts import gate, problems, verified

POLICY = access_policy("app", "approvers", required=2)


def required(text: str) -> str:
    """An access policy that writes its number of approvals so."""
    return POLICY.replace("requiredApprovals: 2", f"requiredApprovals: {text}")


BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))

# what the document does: its text, and line, column and code of every problem
POLICIES: dict[str, tuple[str | bytes, list[tuple[int | None, int | None, str]]]] = {
    "e1-twice": (POLICY + "requiredApprovals: 1\n", [(5, 1, "duplicateKey")]),
    "e1-twice-quoted": (POLICY + "'requiredApprovals': 1\n", [(5, 1, "duplicateKey")]),
    "e1-twice-by-an-escape": (POLICY + '"requir\\x65dApprovals": 1\n', [(5, 1, "duplicateKey")]),
    "e2-anchor-and-alias": (
        POLICY + "scope: &s [a]\ndescription: *s\n",
        [(5, 8, "forbiddenFeature"), (6, 14, "forbiddenFeature")],
    ),
    "e2-merge-key": (POLICY + "<<: {requiredApprovals: 1}\n", [(5, 1, "forbiddenFeature")]),
    "e2-list-of-itself": (
        POLICY + "scope: &s [*s]\n",
        [(5, 8, "forbiddenFeature"), (5, 12, "forbiddenFeature")],
    ),
    "e3-yes": (required("yes"), [(4, 20, "ambiguousScalar")]),
    "e3-octal": (required("012"), [(4, 20, "ambiguousScalar")]),
    "e3-other-octal": (required("0o12"), [(4, 20, "ambiguousScalar")]),
    "e3-hex": (required("0x1F"), [(4, 20, "ambiguousScalar")]),
    "e3-underscore": (required("1_0"), [(4, 20, "ambiguousScalar")]),
    "e3-sexagesimal": (required("1:30"), [(4, 20, "ambiguousScalar")]),
    "e3-exponent": (required("1e3"), [(4, 20, "ambiguousScalar")]),
    "e3-infinity": (required(".inf"), [(4, 20, "ambiguousScalar")]),
    "e3-tilde": (required("~"), [(4, 20, "ambiguousScalar")]),
    "e3-date": (required("2001-01-01"), [(4, 20, "ambiguousScalar")]),
    "e3-true-is-no-one": (required("true"), [(4, 20, "invalidValue")]),
    "e3-fraction": (required("1.0"), [(4, 20, "invalidValue")]),
    "e3-text": (required('"1"'), [(4, 20, "invalidValue")]),
    "e3-nothing": (required("null"), [(4, 20, "invalidValue")]),
    "e3-zero": (required("0"), [(4, 20, "invalidValue")]),
    "e3-negative": (required("-1"), [(4, 20, "invalidValue")]),
    "e3-text-for-a-list": (POLICY + "scope: finance\n", [(5, 8, "invalidValue")]),
    "e3-off-is-no-boolean": (POLICY + "attested: off\n", [(5, 11, "ambiguousScalar")]),
    "e4-tag": (required('!!int "1"'), [(4, 20, "forbiddenFeature")]),
    "e4-object": (POLICY + "description: !!python/object/apply:os.getcwd []\n", [(5, 14, "forbiddenFeature")]),
    "e4-binary": (POLICY + "description: !!binary aGk=\n", [(5, 14, "forbiddenFeature")]),
    "e5-two-documents": (POLICY + "---\n" + required("1"), [(5, 1, "forbiddenFeature")]),
    "e5-second-after-an-end": (POLICY + "...\n---\n" + required("1"), [(6, 1, "forbiddenFeature")]),
    "e5-directive": ("%YAML 1.2\n---\n" + POLICY, [(1, 1, "forbiddenFeature")]),
    "e6-next-line-hides-a-key": (POLICY + "# note\u0085scope: [x]\n", [(5, 7, "forbiddenCharacter")]),
    "e6-line-separator-hides-a-key": (POLICY + "# note\u2028scope: [x]\n", [(5, 7, "forbiddenCharacter")]),
    "e6-right-to-left": (POLICY + "description: 'a\u202eb'\n", [(5, 16, "forbiddenCharacter")]),
    "e6-zero-width-in-a-key": (POLICY + "scop\u200be: [x]\n", [(5, 5, "forbiddenCharacter")]),
    "e6-byte-order-mark": ("\ufeff" + POLICY, [(1, 1, "forbiddenCharacter")]),
    "e6-carriage-returns": (POLICY.replace("\n", "\r\n"), [(1, 25, "forbiddenCharacter")]),
    "e6-nul": (POLICY + "description: 'a\0b'\n", [(5, 16, "forbiddenCharacter")]),
    "e6-escape-sequence": (POLICY + "# \x1b[2K\n", [(5, 3, "forbiddenCharacter")]),
    "e6-not-utf-8": (POLICY.encode() + b"description: 'a\xffb'\n", [(5, 16, "forbiddenCharacter")]),
    "e6-utf-16": (POLICY.encode("utf-16"), [(1, 1, "forbiddenCharacter")]),
    "e7-keys-that-are-no-text": (
        POLICY + "on: 1\n1: x\n",
        [(5, 1, "ambiguousScalar"), (6, 1, "nonStringKey")],
    ),
    "e8-three-thousand-lists": (POLICY + f"scope: {'[' * 3000}{']' * 3000}\n", [(5, 39, "tooDeep")]),
    "e8-three-thousand-mappings": (POLICY + f"scope: {'{a: ' * 3000}{'}' * 3000}\n", [(5, 131, "tooDeep")]),
    "e9-typing-error": (
        POLICY.replace("approverGroups", "aproverGroups"),
        [(1, 1, "missingKey"), (3, 1, "unknownKey")],
    ),
    "e9-key-of-another-kind": (POLICY + "members: [bob]\n", [(5, 1, "unknownKey")]),
    "e12-a-megabyte-and-more": (POLICY + f"# {'x' * (1 << 20)}\n", [(None, None, "tooLarge")]),
}


def test_e1_to_e9_validate_tells_where_every_problem_is(world: World) -> None:
    """Each bad document of a work tree and of a commit is told with its places; what it holds has no effect."""
    expected = {f"policies/{name}.yaml": found for name, (_, found) in POLICIES.items()}
    world.bob.change("bad", {f"policies/{name}.yaml": text for name, (text, _) in POLICIES.items()})
    for arguments in ([], ["--commit", "HEAD"]):
        answer = world.bob.maa("validate", *arguments, "--format", "json", code=3)
        told: dict[str, list[tuple[int | None, int | None, str]]] = {}
        for problem in answer.json["problems"]:
            told.setdefault(problem["path"], []).append((problem["line"], problem["column"], problem["code"]))
        assert told == expected
    assert problems(world.bob, "policies/e1-twice.yaml") == (3, [("policies/e1-twice.yaml", "duplicateKey")])
    assert problems(world.bob, "policies/apps.yaml") == (0, [])
    assert problems(world.bob, "--commit", "origin/main") == (0, [])


def test_e2_a_bomb_is_refused_before_it_grows(world: World) -> None:
    """Aliases of aliases are told one by one and never followed."""
    world.bob.write("policies/bomb.yaml", BOMB)
    code, found = problems(world.bob)
    assert code == 3
    assert set(found) == {("policies/bomb.yaml", "forbiddenFeature")}


def test_e1_to_e9_bad_rules_never_land(world: World, forger: Forger) -> None:
    """Two people who agree on a bad policy are refused by the gate, and by history if they push it all the same."""
    main, tip, expected = world.tip(), world.tip(), []
    for name, (text, _) in POLICIES.items():
        if isinstance(text, bytes):
            continue
        path = f"policies/{name}.yaml"
        changes = [forger.change(path, None, text)]
        files = {path: text, f"requests/2026/{name}.jsonl": b""}
        forger.push(forger.commit([main], {path: text}), f"change/{name}")
        assert files
        assert changes
    assert expected == []
    assert tip == main
