"""Documents that say two things: what ``validate``, the gate, history and apply make of them."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from tests.support import APP, Forger, World, access_policy, account, app, group, settings, stamp
from tests.support.trees import agreed
from tests.support.verdicts import gate, problems, refused, verified

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
    "e8-nine-hundred-lists": (POLICY + f"scope: {'[' * 900}{']' * 900}\n", [(5, 39, "tooDeep")]),
    "e8-three-thousand-mappings": (POLICY + f"scope: {'{a: ' * 3000}{'}' * 3000}\n", [(5, 132, "tooDeep")]),
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


def one_of_each_row() -> dict[str, str]:
    """The first bad document of every row, in text."""
    rows: dict[str, str] = {}
    for name, (text, _) in POLICIES.items():
        if isinstance(text, str):
            rows.setdefault(name.split("-", 1)[0], text)
    return rows


def put_forward(forger: Forger, path: str, text: str) -> None:
    """Push a flawless request for a new file, and nothing else of it to main."""
    name = path.rpartition("/")[2].partition(".")[0]
    record = agreed(forger, name, [forger.change(path, None, text)])
    files: Mapping[str, str | bytes] = {path: text, f"requests/{stamp()[:4]}/{name}.jsonl": record}
    forger.push(forger.commit([forger.world.tip()], files), f"change/{name}")


def test_e1_to_e12_two_people_who_agree_on_bad_rules_are_refused(world: World, forger: Forger) -> None:
    """The gate and the merge say no to a request that brings a document with a problem, whoever approved it."""
    for name, text in one_of_each_row().items():
        put_forward(forger, f"policies/{name}.yaml", text)
        code, reasons = gate(world.bob, name)
        assert (code, set(reasons)) == (3, {"invalidDocument"}), name
    assert refused(world.bob.maa("merge", "e1", "--format", "json", code=None)) == (3, ["invalidDocument"])
    put_forward(forger, "policies/fine.yaml", POLICY)
    assert gate(world.bob, "fine") == (0, ["awaitingCompletion"])


def test_e1_to_e12_bad_rules_on_main_are_violations(world: World, forger: Forger) -> None:
    """Pushed straight to main each bad document is a violation, the rules stay those of the last good commit."""
    commit = main = world.tip()
    for text, _ in POLICIES.values():
        commit = forger.commit([commit], {"policies/apps.yaml": text}, tree_of=main)
    forger.push(commit)
    found = world.bob.maa("verify", "--format", "json", code=3).json["violations"]
    bad = {violation["commit"] for violation in found if violation["code"] == "invalidDocument"}
    assert len(bad) == len(POLICIES)
    assert [violation["healedBy"] for violation in found if violation["healedBy"]] == []
    world.alice.change("update", {APP: app(description="New.")})
    assert refused(world.alice.maa("submit", "-m", "x", "--format", "json", code=None)) == (3, ["unapprovedChange"])


RESOURCES: dict[str, str] = {
    "e1": app() + "displayName: Other\n",
    "e2": app() + "notes: &n x\nowner: *n\n",
    "e3": app("no"),
    "e4": app("!!str x"),
    "e5": app() + "---\n" + app(),
    "e6": app() + "notes: 'a\u202eb'\n",
    "e7": app() + "1: x\n",
    "e8": app() + f"x: {'[' * 3000}{']' * 3000}\n",
    "e9": app() + "displayNam: x\n",
    "e12": app() + f"# {'x' * (1 << 20)}\n",
}


def test_e1_to_e12_bad_resources_block_their_request_and_no_other(world: World, forger: Forger) -> None:
    """A broken resource is refused by ``submit``, the gate and the merge; a sound one beside it goes through."""
    for name, text in RESOURCES.items():
        put_forward(forger, f"resources/apps/{name}.yaml", text)
        code, reasons = gate(world.bob, name)
        assert (code, set(reasons)) == (3, {"invalidDocument"}), name
    world.alice.change("typed", {"resources/apps/typed.yaml": RESOURCES["e1"]})
    answer = world.alice.maa("submit", "-m", "Wanted.", "--format", "json", code=3)
    assert answer.error["code"] == "invalidDocument"
    assert answer.error["message"].startswith("resources/apps/typed.yaml:7:1: ")
    put_forward(forger, "resources/apps/fine.yaml", app())
    assert gate(world.bob, "fine") == (0, ["awaitingCompletion"])


def test_e1_to_e12_bad_resources_that_were_landed_by_hand_are_not_applied(world: World, forger: Forger) -> None:
    """What two people push past the tool is in history as agreed, and fails at its own apply, not at that of others."""
    commit = world.tip()
    for name, text in RESOURCES.items():
        path = f"resources/apps/{name}.yaml"
        record = agreed(forger, name, [forger.change(path, None, text)], landed=True)
        commit = forger.commit([commit], {path: text, f"requests/{stamp()[:4]}/{name}.jsonl": record})
        forger.push(commit)
        forger = Forger(world, world.alice)
    assert verified(world.bob) == (0, [])
    answer = world.bob.maa("apply", "--format", "json", code=4)
    outcomes = {found["object"]: found["outcome"] for found in answer.json["objects"]}
    failed = {f"app/{name}": "failed" for name in RESOURCES}
    assert outcomes == {**failed, "app/company-portal": "applied"}


# --- E10, E11, E12: schemas, patterns, size --------------------------------------------------------------------------

OWN_TYPE = "profileTypes:\n  thing: {folder: things, schema: schemas/thing.schema.json}\n"


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """A web server on this machine: its address, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_e10_nothing_is_fetched_for_a_schema(world: World, forger: Forger) -> None:
    """References that lead out of a schema are refused; nobody is asked for what they name."""
    with listening() as (address, asked):
        schemas: list[dict[str, object]] = [
            {"$ref": f"{address}/ref"},
            {"properties": {"a": {"$ref": f"{address}/deep#/x"}}},
            {"$dynamicRef": f"{address}/dynamic"},
            {"$schema": f"{address}/dialect"},
            {"$id": f"{address}/id/", "properties": {"a": {"$ref": "relative"}}},
            {"$ref": "file:///etc/passwd"},
            {"$ref": "other.schema.json"},
            {"properties": {"a": {"$id": f"{address}/inner"}}},
        ]
        for number, schema in enumerate(schemas):
            files = {
                "maa.yaml": settings(OWN_TYPE),
                "schemas/thing.schema.json": json.dumps(schema),
                "resources/things/x.yaml": "a: x\n",
            }
            forger.push(forger.commit([world.tip()], files), f"change/schema-{number}")
            world.bob.git("fetch", "-q", "origin")
            code, found = problems(world.bob, "--commit", f"origin/change/schema-{number}")
            assert (code, dict(found)) == (3, {"schemas/thing.schema.json": "invalidSchema"})
            assert gate(world.bob, f"schema-{number}")[0] == 3
    assert asked == []


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    ],
    ids=["itself", "all of itself", "in a circle"],
)
def test_e10_a_schema_without_end_is_a_problem(world: World, schema: dict[str, object]) -> None:
    """A schema that refers to itself for ever ends in a problem, not in a crash."""
    world.bob.write("maa.yaml", settings(OWN_TYPE))
    world.bob.write("schemas/thing.schema.json", json.dumps(schema))
    world.bob.write("resources/things/x.yaml", "a: x\n")
    code, found = problems(world.bob)
    assert (code, [kind for _, kind in found]) == (3, ["invalidSchema"])


def test_e10_the_schema_comes_from_the_protected_branch(world: World, forger: Forger) -> None:
    """A request is not judged by the looser schema that it brings along, and cannot bring one with a resource."""
    strict = json.dumps({"type": "object", "required": ["owner"]})
    loose = json.dumps({})
    files = {"maa.yaml": settings(OWN_TYPE), "schemas/thing.schema.json": strict}
    changes = [
        forger.change("maa.yaml", settings(), settings(OWN_TYPE)),
        forger.change("schemas/thing.schema.json", None, strict),
    ]
    record = agreed(forger, "types", changes, landed=True)
    forger.push(forger.commit([world.tip()], {**files, f"requests/{stamp()[:4]}/types.jsonl": record}))
    assert verified(world.bob) == (0, [])
    forger = Forger(world, world.alice)
    evil = {"schemas/thing.schema.json": loose, "resources/things/x.yaml": "a: x\n"}
    forger.push(forger.commit([world.tip()], evil), "change/both")
    assert gate(world.bob, "both") == (3, ["notSubmitted", "invalidDocument"])


SECONDS = 30
"""What no answer may take, even on a slow and busy machine; each takes a few."""

LONG = 200_000


def test_e11_shipped_patterns_and_scopes_are_linear(world: World) -> None:
    """Texts that make patterns look back from every place cost no more than others of their length."""
    stars = "*".join("abcdefgh" * 8)
    world.bob.write("policies/stars.yaml", POLICY + f"scope: ['*{stars}*']\n")
    world.bob.write(f"resources/apps/{'a' * 64}/{'b' * 64}/{'abcdefg' * 9}.yaml", app("Deep"))
    for number, text in enumerate((" " * LONG, "a " * LONG, "@" * LONG, "A" * LONG + "!", "a=" * LONG, "9-" * LONG)):
        name = f"x{number}"
        world.bob.write(f"resources/apps/{name}.yaml", app(f"'a{text}a '", description=f"'{text}'"))
        world.bob.write(f"accounts/{name}.yaml", account(name, f"ssh-ed25519 {text}", extra=f"emails: ['{text}']\n"))
        world.bob.write(f"groups/{name}.yaml", group(f"'{text}'"))
    began = time.monotonic()
    code, found = problems(world.bob)
    assert code == 3
    assert {path for path, _ in found} >= {f"accounts/x{number}.yaml" for number in range(6)}
    assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize("schema", [{"pattern": "^(a+)+$"}, {"patternProperties": {"^(a+)+$": {}}}], ids=str)
def test_e11_patterns_of_the_tenants_own_are_refused(world: World, schema: dict[str, object]) -> None:
    """A schema of the tenant's own brings no pattern, so that no text can hang whoever reads it."""
    began = time.monotonic()
    world.bob.write("maa.yaml", settings(OWN_TYPE))
    world.bob.write("schemas/thing.schema.json", json.dumps({"properties": {"a": schema}}))
    world.bob.write("resources/things/x.yaml", f"a: {'a' * 60}!\n")
    assert problems(world.bob) == (3, [("schemas/thing.schema.json", "invalidSchema")])
    assert time.monotonic() - began < SECONDS


def test_e12_large_documents_are_judged_in_seconds(world: World) -> None:
    """Tens of thousands of keys, entries or problems in a file of the largest size take seconds."""
    shapes = {
        "keys": "".join(f"k{number}: x\n" for number in range(20_000)),
        "entries": "scope: [" + "a, " * 100_000 + "a]\n",
        "mappings": "scope: [" + "{a: b}, " * 30_000 + "a]\n",
        "twice": "k: x\n" * 50_000,
        "ambiguous": "scope: [" + "no, " * 100_000 + "no]\n",
        "nested": "scope: " + "[" * 500_000 + "\n",
        "quotes": 'description: "' + "\\x41" * 200_000 + '"\n',
        "folded": "description: >\n" + "  x\n\n" * 50_000,
    }
    began = time.monotonic()
    for name, text in shapes.items():
        world.bob.write(f"policies/{name}.yaml", POLICY + text)
        world.bob.write(f"resources/apps/{name}.yaml", app() + text)
    code, found = problems(world.bob)
    assert code == 3
    assert {path for path, _ in found} == {
        f"{folder}/{name}.yaml" for folder in ("policies", "resources/apps") for name in shapes
    }
    assert time.monotonic() - began < SECONDS
