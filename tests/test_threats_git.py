"""Git content tricks: whatever git can be made to hold or to say, only what was signed lands."""

import base64
import hashlib
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from tests.support import APP, Forger, Person, World, access_policy, app, canonical, sha256, stamp
from tests.support.forgery import Forgery
from tests.support.trees import Trees, agreed
from tests.support.verdicts import Verdict, gate, problems, refused, verified

NEW = "resources/apps/new.yaml"
LIST = ("ls-tree", "-r", "--name-only")


def completed(forger: Forger, files: Mapping[str, str | None] | None = None) -> Forgery:
    """A request that is pushed and approved; ``lines`` end with a completion that only a landing may bring."""
    world = forger.world
    forgery = Forgery(forger, files=files).submit(world.alice).approve(world.bob).push()
    return forgery.event("complete", world.alice)


def merge_by_hand(forgery: Forgery, extra: Mapping[str, str | bytes | None], *parents: str, tree_of: str = "") -> str:
    """Push a merge commit of any content to main, the request's record with its completion included."""
    record = {forgery.path: forgery.forger.record(*forgery.lines)}
    commit = forgery.forger.commit(parents, {**extra, **record}, tree_of=tree_of or None)
    forgery.forger.push(commit)
    return commit


# --- D1, D2, D3: merges ----------------------------------------------------------------------------------------------


def test_d1_an_honest_merge_by_other_hands_is_good(world: World, forger: Forger) -> None:
    """Who made the merge commit does not matter: exactly the signed change and a good completion are good."""
    forgery = completed(forger)
    merge_by_hand(forgery, forgery.files, world.tip(), world.tip("change/forged"))
    assert verified(world.bob) == (0, [])
    assert world.bob.show("forged").json["merged"]["by"] == "alice"


EXTRAS: dict[str, dict[str, str | bytes | None]] = {
    "another resource": {NEW: app("New")},
    "more of the signed file": {APP: app(description="New and more.")},
    "a policy": {"policies/apps.yaml": access_policy("app", "approvers", extra="scope: ['nothing']\n")},
    "a policy deleted": {"policies/apps.yaml": None},
    "a workflow": {".github/workflows/ci.yml": "on: push\n"},
    "attributes": {".gitattributes": "* -diff\n"},
    "a sibling of the signed file": {"resources/apps/company-portal.png": b"\x89PNG"},
}


@pytest.mark.parametrize("extra", EXTRAS.values(), ids=EXTRAS)
def test_d1_a_merge_with_extra_content_is_a_violation(
    world: World, forger: Forger, extra: dict[str, str | bytes | None]
) -> None:
    """An evil merge lands nothing: it is reported, and nobody applies it or merges on top of it."""
    forgery = completed(forger)
    merge_by_hand(forgery, {**forgery.files, **extra}, world.tip(), world.tip("change/forged"))
    assert verified(world.bob) == (3, ["unapprovedChange"])
    assert refused(world.bob.maa("apply", "--format", "json", code=None)) == (3, ["unapprovedChange"])
    assert world.bob.show("forged").json["merged"] is None


def test_d1_a_merge_with_less_than_was_signed_is_a_violation(world: World, forger: Forger) -> None:
    """A record that says completed without the change that it is for is not good either."""
    forgery = completed(forger)
    merge_by_hand(forgery, {}, world.tip(), world.tip("change/forged"))
    assert verified(world.bob) == (3, ["editedSinceSubmit"])


def test_d1_what_nobody_protects_may_go_along(world: World, forger: Forger) -> None:
    """A merge that also brings an unprotected file is good: that file could have been pushed as it is."""
    forgery = completed(forger)
    merge_by_hand(forgery, {**forgery.files, "docs/note.md": "x"}, world.tip(), world.tip("change/forged"))
    assert verified(world.bob) == (0, [])


def test_d2_a_merge_that_takes_one_side_drops_nothing_unseen(world: World, forger: Forger) -> None:
    """A merge that takes the change branch whole undoes what was tightened meanwhile; against main that is seen."""
    stricter = access_policy("app", "approvers", required=2)
    old = Forgery(forger).submit(world.alice).approve(world.bob).push()
    world.bob.submitted("tighten", {"policies/apps.yaml": stricter})
    world.alice.maa("approve", "tighten")
    world.bob.maa("merge", "tighten")
    forger = Forger(world, world.alice)
    main, head = world.tip(), world.tip("change/forged")
    old.event("complete", world.alice)
    merge_by_hand(old, {}, main, head, tree_of=head)
    assert verified(world.carol) == (3, ["recordAltered"])
    kept = {path: world.read(path, main) for path in world.git(world.server, *LIST, main, "requests/").split()}
    forger.push(main, force=True)
    merge_by_hand(old, kept, main, head, tree_of=head)
    found = world.carol.maa("verify", "--format", "json", code=3).json["violations"]
    assert [(violation["code"], violation["paths"]) for violation in found] == [
        ("unapprovedChange", ["policies/apps.yaml", APP])
    ]
    assert gate(world.carol, "forged") == (3, ["brokenRecord", "outdated", "needsApprovals"])


def test_d2_one_side_taken_inside_the_change_branch_is_part_of_the_change(world: World, forger: Forger) -> None:
    """``git merge -s ours main`` on the branch turns main's own change into one of the request: signed anew or not."""
    world.bob.submitted("mine", {APP: app(description="Mine.")})
    world.bob.maa("approve", "mine", code=3)
    world.alice.maa("approve", "mine")
    world.carol.submitted("theirs", {NEW: app("Theirs")})
    world.alice.maa("approve", "theirs")
    world.carol.maa("merge", "theirs")
    world.bob.git("pull", "-q", "--ff-only", "origin", "change/mine")
    world.bob.git("fetch", "-q", "origin")
    world.bob.git("merge", "-q", "-s", "ours", "--no-edit", "origin/main")
    world.bob.git("push", "-q", "origin", "change/mine")
    seen = world.carol.maa("check", "mine", "--format", "json", code=3)
    assert seen.reasons[0] == "editedSinceSubmit"
    assert [(found["object"], found["operation"]) for found in seen.json["objects"]] == [
        ("app/company-portal", "edit"),
        ("app/new", "delete"),
    ]
    assert "-displayName: Theirs" in world.carol.maa("diff", "mine").out


def test_d3_middle_commits_of_a_change_branch_land_nothing(world: World) -> None:
    """Only the difference that was signed lands; what the branch held in between is nowhere but in its history."""
    world.alice.change("update", {NEW: app("Evil")})
    world.alice.commit({NEW: None, APP: app(description="New.")})
    world.alice.maa("submit", "-m", "Wanted.")
    shown = world.bob.maa("approve", "update", "--format", "json").json
    assert [found["object"] for found in shown["objects"]] == ["app/company-portal"]
    world.alice.maa("complete", "update")
    assert verified(world.bob) == (0, [])
    assert world.git(world.server, "ls-tree", "--name-only", "main", "resources/apps/") == APP
    held = world.alice.maa("tenant", "--format", "json").json["objects"]
    assert [found["marker"] for found in held] == ["maa:contoso:app/company-portal"]


def test_d3_middle_commits_pushed_to_main_are_violations_until_healed(world: World, forger: Forger) -> None:
    """Commits pushed one by one are judged one by one: the middle one is reported for ever and never applied."""
    forgery = completed(forger)
    forger.push(middle := forger.commit([world.tip()], {NEW: app("Evil")}))
    assert verified(world.bob) == (3, ["unapprovedChange"])
    assert refused(world.bob.maa("apply", "--format", "json", code=None)) == (3, ["unapprovedChange"])
    merge_by_hand(forgery, {**forgery.files, NEW: None}, middle)
    assert verified(world.bob) == (0, ["healed unapprovedChange"])
    world.bob.maa("apply")
    held = world.bob.maa("tenant", "--format", "json").json["objects"]
    assert [found["marker"] for found in held] == ["maa:contoso:app/company-portal"]


# --- D4: renames -----------------------------------------------------------------------------------------------------

RENAMES: dict[str, tuple[str, str, list[tuple[str, str]], list[str]]] = {
    "out of what is protected": (APP, "docs/x.yaml", [("app/company-portal", "delete")], ["notSubmitted"]),
    "into a subfolder": (
        APP,
        "resources/apps/it/company-portal.yaml",
        [("app/company-portal", "delete"), ("app/it/company-portal", "create")],
        ["notSubmitted"],
    ),
    "to another type": (
        APP,
        "resources/scripts/company-portal.yaml",
        [("app/company-portal", "delete"), ("script/company-portal", "create")],
        ["notSubmitted", "invalidDocument"],
    ),
    "to no type": (
        APP,
        "resources/other/company-portal.yaml",
        [("app/company-portal", "delete")],
        ["notSubmitted", "malformedTree"],
    ),
    "to another extension": (
        APP,
        "resources/apps/company-portal.yml",
        [("app/company-portal", "delete")],
        ["notSubmitted", "invalidDocument"],
    ),
    "of a policy": (
        "policies/apps.yaml",
        "policies/all.yaml",
        [("accessPolicy/policies/all.yaml", "create"), ("accessPolicy/policies/apps.yaml", "delete")],
        ["notSubmitted"],
    ),
    "of a policy away": (
        "policies/apps.yaml",
        "docs/apps.yaml",
        [("accessPolicy/policies/apps.yaml", "delete")],
        ["notSubmitted"],
    ),
    "of a group": (
        "groups/approvers.yaml",
        "groups/people.yaml",
        [("accessPolicy/groups/approvers.yaml", "delete"), ("accessPolicy/groups/people.yaml", "create")],
        ["notSubmitted", *["invalidDocument"] * 4],
    ),
    "of a document into a resource": (
        "docs/new.yaml",
        NEW,
        [("app/new", "create")],
        ["notSubmitted"],
    ),
}


@pytest.mark.parametrize(("old", "new", "objects", "reasons"), RENAMES.values(), ids=RENAMES)
def test_d4_a_rename_is_a_delete_and_a_create(
    world: World, forger: Forger, old: str, new: str, objects: list[tuple[str, str]], reasons: list[str]
) -> None:
    """Both ends of a rename are classified; git's own detection of renames and copies has no part in it."""
    forger.push(forger.commit([world.tip()], {"docs/new.yaml": app("New")}))
    world.bob.git("config", "diff.renames", "copies")
    content = world.read(old)
    forger.push(forger.commit([world.tip()], {old: None, new: content}), "change/move")
    seen = world.bob.maa("check", "move", "--format", "json", code=3)
    assert [(found["object"], found["operation"]) for found in seen.json["objects"]] == objects
    assert seen.reasons == reasons
    main = world.tip()
    forger.push(world.tip("change/move"))
    code, codes = verified(world.bob)
    assert code == 3
    assert "unapprovedChange" in codes
    forger.push(forger.commit([world.tip()], {}, tree_of=main))
    code, codes = verified(world.bob)
    assert code == 0
    assert "healed unapprovedChange" in codes


def test_d4_a_record_is_not_renamed(world: World, forger: Forger) -> None:
    """Moving a record of the protected branch to another year or name takes it away."""
    completed_request = world.alice.submitted("done", {APP: app(description="New.")})
    world.bob.maa("approve", completed_request)
    world.alice.maa("merge", completed_request)
    forger = Forger(world, world.alice)
    path = world.git(world.server, *LIST, "main", "requests/")
    forger.push(forger.commit([world.tip()], {path: None, "requests/2019/done.jsonl": world.read(path)}))
    assert verified(world.bob) == (3, ["recordAltered", "brokenRecord"])


# --- D5, D6: what trees can hold -------------------------------------------------------------------------------------

YES = ("awaitingCompletion", "nothingProtected")
SHAPES: dict[str, tuple[str, str, list[str], list[str]]] = {
    "a file as it should be": (NEW, "100644", ["awaitingCompletion"], []),
    "exec bit on a resource": (
        NEW,
        "100755",
        ["malformedTree", "invalidDocument"],
        ["malformedTree", "unapprovedChange"],
    ),
    "symlink as a resource": (
        NEW,
        "120000",
        ["malformedTree", "invalidDocument"],
        ["malformedTree", "unapprovedChange"],
    ),
    "symlink as a policy": (
        "policies/x.yaml",
        "120000",
        ["malformedTree"],
        ["malformedTree", "invalidDocument", "unapprovedChange"],
    ),
    "exec bit on a workflow": (
        ".github/ci.yml",
        "100755",
        ["malformedTree"],
        ["malformedTree", "invalidDocument", "unapprovedChange"],
    ),
    "symlink as attributes": (
        ".gitattributes",
        "120000",
        ["malformedTree"],
        ["malformedTree", "invalidDocument", "unapprovedChange"],
    ),
    "symlink for a rule folder": (
        "groups",
        "120000",
        ["editedSinceSubmit", "malformedTree"],
        ["malformedTree", *["invalidDocument"] * 3, "unapprovedChange"],
    ),
    "file for the resources": (
        "resources",
        "100644",
        ["editedSinceSubmit", "malformedTree"],
        ["malformedTree", "invalidDocument", "unapprovedChange"],
    ),
    "folder for the settings": (
        "maa.yaml/x",
        "100644",
        ["editedSinceSubmit", "malformedTree"],
        ["malformedTree", "invalidDocument", "invalidDocument", "unapprovedChange"],
    ),
    "symlink on a free path": ("docs/link", "120000", ["nothingProtected"], []),
    "exec bit on a free path": ("docs/run.sh", "100755", ["nothingProtected"], []),
}


@pytest.mark.parametrize(("path", "mode", "reasons", "violations"), SHAPES.values(), ids=SHAPES)
def test_d5_only_regular_files_stand_where_the_tool_rules(
    world: World, forger: Forger, path: str, mode: str, reasons: list[str], violations: list[str]
) -> None:
    """Two people who agree on a symlink, an exec bit or a swap of file and folder still cannot land it."""
    trees, main = Trees(forger), world.tip()
    tree = trees.put(main, path.encode(), mode, trees.blob(app("New")))
    changes = [forger.change(path, None, app("New"), mode)]
    record = f"requests/{stamp()[:4]}/evil.jsonl".encode()
    for branch, landed in (("change/evil", False), ("main", True)):
        blob = trees.blob(agreed(forger, "evil", changes, landed=landed))
        forger.push(trees.commit(trees.put(tree, record, "100644", blob), main), branch)
        if not landed:
            assert gate(world.bob, "evil") == (0 if reasons[0] in YES else 3, reasons)
    assert verified(world.bob) == (3 if violations else 0, violations)


@pytest.mark.parametrize(
    ("path", "mode", "reasons", "violations"),
    [
        ("requests", "120000", ["notSubmitted", "recordAltered"], ["invalidDocument", "recordAltered"]),
        ("requests", "100644", ["notSubmitted", "recordAltered"], ["invalidDocument", "recordAltered"]),
        ("requests/2026", "120000", ["notSubmitted", "recordAltered"], ["recordAltered"]),
        ("requests/2026/evil.jsonl", "120000", ["brokenRecord", "notSubmitted"], ["recordAltered"]),
        ("requests/2026/evil.jsonl", "100755", ["brokenRecord", "notSubmitted"], ["recordAltered"]),
        ("requests/2026/evil.jsonl/x", "100644", ["notSubmitted", "recordAltered"], ["recordAltered"]),
        ("requests/2026/other.jsonl", "100644", ["notSubmitted", "recordAltered"], ["brokenRecord"]),
        ("requests/README.md", "100644", ["notSubmitted", "recordAltered"], ["recordAltered"]),
    ],
)
def test_d5_records_are_regular_files_in_their_place(
    world: World, forger: Forger, path: str, mode: str, reasons: list[str], violations: list[str]
) -> None:
    """Nothing but a record file stands under ``requests/``, on a change branch or on main."""
    trees, main = Trees(forger), world.tip()
    evil = trees.commit(trees.put(main, path.encode(), mode, trees.blob("docs")), main)
    forger.push(evil, "change/evil")
    assert gate(world.bob, "evil") == (3, reasons)
    forger.push(evil)
    assert verified(world.bob) == (3, violations)


def test_d5_submodules_are_no_part_of_a_request(world: World, forger: Forger) -> None:
    """A gitlink is refused wherever the tool rules; elsewhere it is as free as any other entry."""
    trees, main = Trees(forger), world.tip()
    expected: dict[str, tuple[Verdict, Verdict]] = {
        NEW: ((3, ["notSubmitted", "malformedTree", "invalidDocument"]), (3, ["malformedTree", "unapprovedChange"])),
        ".github/x": (
            (3, ["notSubmitted", "malformedTree"]),
            (3, ["malformedTree", "invalidDocument", "unapprovedChange"]),
        ),
        "vendor": ((0, ["nothingProtected"]), (0, [])),
    }
    found = {}
    for path in expected:
        evil = trees.commit(trees.put(main, path.encode(), "160000", main), main)
        forger.push(evil, "change/evil", force=True)
        asked = gate(world.bob, "evil")
        found[path] = (asked, verified(world.bob, "origin/change/evil"))
    assert found == expected


def test_d5_submit_refuses_what_could_never_land(world: World) -> None:
    """An exec bit is refused when it is submitted, with the path named."""
    world.alice.change("run", {APP: app(description="New.")})
    world.alice.git("update-index", "--chmod=+x", APP)
    world.alice.git("commit", "-q", "-m", "Run")
    answer = world.alice.maa("submit", "-m", "Wanted.", "--format", "json", code=3)
    assert answer.error["code"] == "malformedTree"
    assert APP in answer.error["message"]


UNREADABLE = (b"..", b".", b".git", b".GIT", b".Git")
"""Names that no reader of trees should meet; the tree that holds one cannot be read at all."""

ODD = (
    *(b"git~1", b"a\\b", b"x ", b"x\ny", b"x\x1b[2J", b"-rf *", b"\xff.yaml", b"e\xcc\x81.yaml", b"\xc3\xa9.yaml"),
    *("\u202ex.yaml".encode(), ".g\u200cit".encode(), b".gitattributes", b".gitmodules", b"X.yaml", b"-x.yaml"),
    *(b"_x.yaml", b"a" * 65 + b".yaml", b"Company-Portal.yaml"),
)
"""Names that trees can hold and that no document may have."""


PLAIN = (
    b".gitattributes",
    b".gitmodules",
    b"X.yaml",
    b"-x.yaml",
    b"_x.yaml",
    b"a" * 65 + b".yaml",
    b"Company-Portal.yaml",
)
"""Those of them that are told of once the names that no tree of rules may hold are gone."""


def push_one_by_one(forger: Forger, trees: Sequence[str]) -> None:
    """Push commits of these trees to main, one on top of the other."""
    commit = forger.world.tip()
    for tree in trees:
        commit = Trees(forger).commit(tree, commit)
    forger.push(commit)


@pytest.mark.parametrize("folder", [b"resources/apps/", b"policies/", b".github/", b"requests/2026/", b"docs/", b""])
def test_d6_trees_that_cannot_be_read_alike_are_refused_everywhere(world: World, forger: Forger, folder: bytes) -> None:
    """``..``, ``.git`` and the like: the gate says no, history has a violation that can heal, nobody is held up."""
    trees, main = Trees(forger), world.tip()
    evil = [trees.put(main, folder + name, "100644", trees.blob("x")) for name in UNREADABLE]
    for number, tree in enumerate(evil):
        forger.push(trees.commit(tree, main), f"change/name-{number}")
    verdicts = [gate(world.bob, f"name-{number}") for number in range(len(evil))]
    assert verdicts == [(3, ["notSubmitted", "malformedTree"])] * len(evil)
    assert world.bob.maa("requests", "--format", "json").json["requests"] == []
    push_one_by_one(forger, evil)
    assert verified(world.bob) == (3, ["malformedTree"] * len(evil))
    push_one_by_one(forger, [main + "^{tree}"])
    assert verified(world.bob) == (0, ["healed malformedTree"] * len(evil))


@pytest.mark.parametrize(
    ("folder", "code", "unsaid"),
    [
        ("resources/apps/", "malformedTree", ()),
        ("policies/", "invalidDocument", PLAIN),
        ("requests/2026/", "recordAltered", ()),
    ],
)
def test_d6_odd_names_are_refused_where_the_tool_rules(
    world: World, forger: Forger, folder: str, code: str, unsaid: tuple[bytes, ...]
) -> None:
    """Names beyond ``[A-Za-z0-9._-]``, twins by case or normal form, names that no object has: no and violation."""
    trees, main = Trees(forger), world.tip()
    push_one_by_one(forger, [trees.put(main, folder.encode() + name, "100644", trees.blob("x")) for name in ODD])
    found = world.bob.maa("verify", "--format", "json", code=3).json["violations"]
    assert len({violation["commit"] for violation in found if violation["code"] == code}) == len(ODD)
    assert [violation["healedBy"] for violation in found if violation["healedBy"]] == []
    forger.push(main, force=True)
    together = main
    for name in ODD:
        together = trees.put(together, folder.encode() + name, "100644", trees.blob("x"))
    forger.push(trees.commit(together, main), "change/evil")
    reasons = world.bob.maa("check", "evil", "--format", "json", code=3).json["reasons"]
    said = "".join(reason["message"] for reason in reasons)
    assert tuple(name for name in ODD if folder + name.decode("utf-8", "surrogateescape") not in said) == unsaid


def test_d6_odd_names_are_free_where_nobody_rules(world: World, forger: Forger) -> None:
    """Outside of the tool's folders any readable tree goes, and every answer about it can be printed anywhere."""
    trees, main = Trees(forger), world.tip()
    together = main
    for name in ODD:
        together = trees.put(together, b"docs/" + name, "100644", trees.blob("x"))
    evil = trees.commit(together, main)
    forger.push(evil)
    assert verified(world.bob) == (0, [])
    forger.push(main, force=True)
    forger.push(evil, "change/evil")
    for command in ("check", "show", "diff"):
        for form in ("json", "text"):
            shown = world.carol.maa(command, "evil", "--format", form, code=None).out
            assert shown.replace("\n", "").isprintable()


TREES: dict[str, tuple[str, ...]] = {
    "one name twice": ("100644 a", "100644 a"),
    "file and folder of one name": ("100644 a", "40000 a"),
    "wrong order": ("100644 b", "100644 a"),
    "mode of old": ("100664 a",),
    "folder with a leading zero": ("040000 a",),
    "slash in a name": ("100644 a/b",),
}


@pytest.mark.parametrize("shape", TREES.values(), ids=TREES)
def test_d6_malformed_trees_are_refused(world: World, forger: Forger, shape: tuple[str, ...]) -> None:
    """A tree that two programs could read differently is no part of a yes."""
    trees, main = Trees(forger), world.tip()
    blob, empty = trees.blob(app("New")), trees.tree()
    entries = (entry.partition(" ") for entry in shape)
    inner = trees.tree(*((mode, name.encode(), empty if "40000" in mode else blob) for mode, _, name in entries))
    evil = trees.commit(trees.put(main, b"resources/apps/x", "40000", inner), main)
    forger.push(evil, "change/evil")
    assert gate(world.bob, "evil") == (3, ["notSubmitted", "malformedTree"])
    forger.push(evil)
    assert verified(world.bob) == (3, ["malformedTree"])


def test_d6_malformed_commits_stop_nobody(world: World, forger: Forger) -> None:
    """A head that no two readers of commits agree on is refused; the other requests are listed and decided as ever."""
    main = world.tip()
    tree = forger.person.git("rev-parse", f"{main}^{{tree}}")
    people = "author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n"
    raw = f"tree {tree}\ntree {tree}\nparent {main}\n{people}".encode()
    evil = forger.person.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", data=raw)
    forger.push(evil, "change/evil")
    request = world.alice.submitted("update", {APP: app(description="New.")})
    assert gate(world.bob, "evil") == (4, ["error malformedCommit"])
    assert [found["id"] for found in world.bob.maa("requests", "--format", "json").json["requests"]] == [request]
    world.bob.maa("approve", request)
    assert gate(world.bob, request) == (0, ["awaitingCompletion"])
    child = Trees(forger).commit(tree, evil)
    forger.push(child, "change/child")
    assert gate(world.bob, "child") == (3, ["notSubmitted", "malformedTree"])


# --- D7: attributes --------------------------------------------------------------------------------------------------

ATTRIBUTES = "* -diff -text export-ignore ident working-tree-encoding=UTF-16LE filter=evil merge=evil diff=evil\n"


def program(world: World, name: str, words: str = "") -> tuple[str, Path]:
    """A program that leaves a mark when it runs, and its mark."""
    mark, path = world.folder / f"{name}-ran", world.folder / f"{name}.sh"
    path.write_text(f'#!/bin/sh\necho "$0 $*" >> {shlex.quote(str(mark))}\n{words}\n')
    path.chmod(0o755)
    return str(path), mark


def battery(person: Person, request: str) -> list[tuple[int, object]]:
    """What the reading commands answer, in every detail."""
    commands = (["check", request], ["show", request], ["diff", request], ["verify"], ["requests"], ["explain"])
    answers = (person.maa(*command, "--format", "json", code=None) for command in commands)
    return [(answer.code, answer.json) for answer in answers]


def test_d7_attributes_are_rules_where_they_could_matter(world: World, forger: Forger) -> None:
    """The root's attributes are an access policy matter, those beside resources are refused, others mean nothing."""
    main, edit = world.tip(), {APP: app(description="New.")}
    cases: dict[str, tuple[dict[str, str], Verdict]] = {
        "alone": ({".gitattributes": ATTRIBUTES}, (3, ["notSubmitted"])),
        "beside": ({**edit, "resources/apps/.gitattributes": ATTRIBUTES}, (3, ["notSubmitted", "malformedTree"])),
        "far": ({"docs/.gitattributes": ATTRIBUTES}, (0, ["nothingProtected"])),
    }
    for name, (files, expected) in cases.items():
        forger.push(forger.commit([main], files), f"change/{name}")
        assert gate(world.bob, name) == expected
    mixed = Forgery(forger, "mixed", {**edit, ".gitattributes": ATTRIBUTES}).submit(world.alice).approve(world.bob)
    mixed.push()
    assert gate(world.bob, "mixed") == (3, ["mixedRequest"])
    forger.push(forger.commit([main], {".gitattributes": ATTRIBUTES}))
    assert verified(world.bob) == (3, ["unapprovedChange"])


def test_d7_attributes_on_main_hide_and_change_nothing(world: World, forger: Forger) -> None:
    """Under approved attributes that hide, convert and merge, the tool shows, signs and lands the stored bytes."""
    attributes = completed(forger, {".gitattributes": ATTRIBUTES})
    merge_by_hand(attributes, attributes.files, world.tip())
    assert verified(world.bob) == (0, [])
    forger = Forger(world, world.alice)
    request = Forgery(forger, "update").submit(world.alice).push()
    shown = world.bob.maa("diff", "update", "--format", "json").json["changes"]
    assert [found["new"] for found in shown] == [sha256(app(description="New.").encode())]
    assert "-description: Apps for work.\n+description: New.\n" in shown[0]["text"]
    world.bob.maa("approve", "update", "--change", request.digest)
    world.carol.git("switch", "-q", "--detach")
    world.carol.maa("merge", "update")
    assert world.read(APP) == app(description="New.")
    assert verified(world.bob) == (0, [])


def test_d7_attributes_of_the_clone_run_nothing_while_reading(world: World) -> None:
    """Attributes and drivers that a clone configures for itself have no say in what is read, shown or merged."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    honest = battery(world.bob, request)
    marks = []
    for name, setting in (
        ("textconv", "diff.evil.textconv"),
        ("command", "diff.evil.command"),
        ("external", "diff.external"),
        ("merge", "merge.evil.driver"),
        ("clean", "filter.evil.clean"),
        ("smudge", "filter.evil.smudge"),
    ):
        path, mark = program(world, name, "echo evil")
        world.bob.git("config", setting, path)
        marks.append(mark)
    (world.bob.clone / ".git" / "info").mkdir(exist_ok=True)
    (world.bob.clone / ".git" / "info" / "attributes").write_text(ATTRIBUTES)
    world.bob.git("switch", "-q", "--detach")
    assert battery(world.bob, request) == honest
    world.bob.maa("approve", request)
    world.bob.maa("merge", request)
    assert world.read(APP) == app(description="New.")
    assert [mark.name for mark in marks if mark.exists()] == []


def test_d7_the_work_tree_is_validated_as_git_would_commit_it(world: World) -> None:
    """A clean filter is the clone's own: ``validate`` judges what it makes; a commit is judged by its bytes alone."""
    path, mark = program(world, "clean", "echo evil")
    world.bob.git("config", "filter.evil.clean", path)
    (world.bob.clone / ".git" / "info").mkdir(exist_ok=True)
    (world.bob.clone / ".git" / "info" / "attributes").write_text(f"{NEW} filter=evil\n")
    world.bob.write(NEW, app("New"))
    assert problems(world.bob, "--commit", "origin/main") == (0, [])
    assert not mark.exists()
    assert problems(world.bob) == (3, [(NEW, "invalidValue")])
    assert mark.exists()


# --- D8, D9: which objects are meant ---------------------------------------------------------------------------------


def test_d8_replaced_objects_change_no_answer(world: World, forger: Forger) -> None:
    """Replace refs, in the clone or pushed to the server, make no bad tip good and no weak rules strong."""
    main = world.tip()
    evil = forger.commit([main], {NEW: app("Evil")})
    forger.push(evil)
    weak = Forgery(forger, "weak", {"policies/apps.yaml": access_policy("app", "approvers", required=2)})
    weak.start = main
    weak.submit(world.alice, base=main).push()
    honest = battery(world.bob, "weak")
    assert honest[3][0] == 3
    world.bob.git("fetch", "-q", "origin")
    good_twin = world.bob.git("commit-tree", f"{main}^{{tree}}", "-p", main, "-m", "twin")
    orphan = world.bob.git("commit-tree", f"{main}^{{tree}}", "-m", "orphan")
    blob = world.bob.git("hash-object", "-w", "--stdin", data=b"nothing here\n")
    head = world.tip("change/weak")
    world.bob.git("replace", evil, good_twin)
    world.bob.git("replace", world.bob.git("rev-parse", f"{head}:policies/apps.yaml"), blob)
    world.bob.git("replace", head, orphan)
    world.bob.git("push", "-q", "origin", "refs/replace/*:refs/replace/*")
    assert battery(world.bob, "weak") == honest
    assert battery(world.carol, "weak") == honest


def test_d8_grafts_do_not_cut_a_violation_out(world: World, forger: Forger) -> None:
    """A graft that joins a later commit to the good one hides nothing of what lies in between."""
    main = world.tip()
    forger.push(forger.commit([main], {NEW: app("Evil")}))
    forger.push(tip := forger.commit([world.tip()], {"docs/x.md": "x"}))
    world.bob.git("fetch", "-q", "origin")
    honest = verified(world.bob)
    (world.bob.clone / ".git" / "info").mkdir(exist_ok=True)
    (world.bob.clone / ".git" / "info" / "grafts").write_text(f"{tip} {main}\n")
    assert world.bob.git("rev-list", "--count", tip) == "2"
    assert verified(world.bob) == honest == (3, ["unapprovedChange", "unapprovedChange"])


def test_d8_a_shallow_list_does_not_move_the_start(world: World, forger: Forger) -> None:
    """A shallow list in a clone that has everything changes nothing: parents are read from the commits."""
    Forgery(forger).submit(world.alice).approve(world.bob).push()
    world.bob.git("fetch", "-q", "origin")
    shallow = world.bob.clone / ".git" / "shallow"
    shallow.write_text(f"{world.tip('change/forged')}\n")
    assert world.bob.git("rev-list", "--count", "origin/change/forged") == "1"
    assert gate(world.bob, "forged", "--no-fetch") == (0, ["awaitingCompletion"])
    shallow.unlink()
    forger.push(evil := forger.commit([world.tip()], {NEW: app("Evil")}))
    world.bob.git("fetch", "-q", "origin")
    shallow.write_text(f"{evil}\n")
    assert world.bob.git("rev-list", "--count", evil) == "1"
    assert verified(world.bob, "--no-fetch") == (3, ["unapprovedChange"])


def test_d8_a_shallow_clone_cannot_tell(world: World, forger: Forger) -> None:
    """In a clone of depth 1 of an evil tip every question is answered with 4; deepened, with the truth."""
    forger.push(forger.commit([world.tip()], {NEW: app("Evil")}))
    forger.push(forger.commit([world.tip()], {APP: app(description="New.")}), "change/update")
    place = world.folder / "shallow"
    world.git(world.folder, "clone", "-q", "--depth=1", "--no-single-branch", f"file://{world.server}", str(place))
    world.git(place, "config", "maa.protectedBranch", "main")
    shallow = Person("bob", world.bob.key, world.bob.public_key, place, world)
    for command in (["verify"], ["check", "update"], ["requests"], ["merge", "update"], ["apply"], ["explain"]):
        assert refused(shallow.maa(*command, "--format", "json", code=None)) == (4, ["missingObject"]), command
    shallow.git("fetch", "-q", "--unshallow", "origin")
    assert verified(shallow) == (3, ["unapprovedChange"])


def test_d8_borrowed_objects_give_no_request_a_vote(world: World, forger: Forger) -> None:
    """Objects that only an alternate holds can be named, and are then judged like any other: nobody approved them."""
    evil = forger.commit([world.tip()], {NEW: app("Evil")})
    alternates = world.bob.clone / ".git" / "objects" / "info" / "alternates"
    alternates.write_text(f"{world.alice.clone / '.git' / 'objects'}\n")
    assert world.bob.git("cat-file", "-t", evil) == "commit"
    assert gate(world.bob, "--head", evil) == (3, ["notSubmitted"])
    assert verified(world.bob, evil) == (3, ["unapprovedChange"])
    assert verified(world.bob) == (0, [])


def test_d9_a_commit_that_no_branch_holds_is_nobodys_request(world: World, forger: Forger) -> None:
    """A head that exists but was never pushed to its branch is judged by its own content; merging takes branches."""
    honest = Forgery(forger).submit(world.alice).approve(world.bob).push()
    record = {honest.path: forger.record(*honest.lines)}
    imposter = forger.commit([world.tip()], {**honest.files, NEW: app("Evil"), **record})
    alternates = world.bob.clone / ".git" / "objects" / "info" / "alternates"
    alternates.write_text(f"{world.alice.clone / '.git' / 'objects'}\n")
    assert gate(world.bob, "--head", imposter) == (3, ["editedSinceSubmit"])
    assert gate(world.bob, "forged", "--head", imposter) == (3, ["editedSinceSubmit"])
    assert gate(world.bob, "forged") == (0, ["awaitingCompletion"])
    assert refused(world.bob.maa("merge", imposter, "--format", "json", code=None)) == (3, ["noOpenRequest"])
    world.bob.maa("merge", "forged")
    assert world.git(world.server, "ls-tree", "--name-only", "main", "resources/apps/") == APP


def test_d9_events_are_based_on_good_commits_of_main_only(world: World, forger: Forger) -> None:
    """An event that names a commit beside main as what its signer saw is not good."""
    beside = forger.commit([world.tip()], {"docs/x.md": "x"})
    forger.push(beside, "beside")
    Forgery(forger).submit(world.alice).approve(world.bob, base=beside).push()
    assert gate(world.bob, "forged") == (3, ["brokenRecord", "wrongBase", "needsApprovals"])


# --- D10: configuration and hooks ------------------------------------------------------------------------------------

PROGRAMS = (
    *("core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "core.askPass", "core.gitProxy"),
    *("core.alternateRefsCommand", "credential.helper", "diff.external", "gpg.program", "gpg.ssh.program"),
    *("gpg.ssh.allowedSignersFile", "gpg.ssh.defaultKeyCommand", "interactive.diffFilter", "sequence.editor"),
    *("trailer.evil.command", "uploadpack.packObjectsHook", "alias.fetch", "alias.rev-parse", "alias.config"),
)
HOOKS = (
    *("post-checkout", "post-commit", "post-index-change", "post-merge", "post-rewrite", "post-update", "pre-auto-gc"),
    *("pre-commit", "pre-merge-commit", "pre-push", "pre-rebase", "reference-transaction", "update", "commit-msg"),
)


def infested(person: Person) -> dict[str, Path]:
    """Name a program of somebody else's wherever the clone's configuration can; returns their marks."""
    world, marks, lines = person.world, {}, []
    hooks = world.folder / "hooks"
    hooks.mkdir()
    for name in HOOKS:
        path, marks[name] = program(world, name)
        Path(path).rename(hooks / name)
    for name in PROGRAMS:
        path, marks[name] = program(world, name)
        lines.append((name, f"!{path}" if name.startswith("alias.") else path))
    included = world.folder / "included-config"
    for name, value in [*lines, ("core.hooksPath", str(hooks)), ("gc.auto", "1")]:
        person.git("config", "--file", str(included), name, value)
    person.git("config", "include.path", str(included))
    for mark in marks.values():
        mark.unlink(missing_ok=True)
    return marks


def ran(marks: Mapping[str, Path]) -> set[str]:
    """Which of the programs have run."""
    return {name for name, mark in marks.items() if mark.exists()}


def test_d10_no_configuration_makes_a_forged_approval_count(world: World, forger: Forger) -> None:
    """Reading runs none of the programs that a clone's configuration names; signatures are verified in the process."""
    stranger, _ = world.key("stranger")
    Forgery(forger).submit(world.alice).approve(stranger, "bob").push()
    honest = battery(world.bob, "forged")
    assert honest[0][0] == 3
    marks = infested(world.bob)
    assert battery(world.bob, "forged") == honest
    assert gate(world.bob, "forged") == (3, ["needsApprovals", "unknownSigner"])
    assert problems(world.bob, "--commit", "origin/main") == (0, [])
    assert ran(marks) == set()


def test_d10_acting_runs_the_clones_own_hooks_and_nothing_else(world: World) -> None:
    """The hooks of a clone are run where git pushes, moves refs and files; they see the act and cannot change it."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    marks = infested(world.bob)
    world.bob.maa("approve", request)
    world.bob.maa("complete", request)
    assert ran(marks) == {"pre-push", "reference-transaction", "post-index-change"}
    assert world.bob.show(request).json["status"] == "completed"
    assert verified(world.carol) == (0, [])


def test_d10_what_a_clone_can_be_told_wrong(world: World, forger: Forger) -> None:
    """A clone's owner decides where its walk starts, and reads so in the answer; which branch is protected, not."""
    start = world.tip()
    forger.push(evil := forger.commit([start], {NEW: app("Evil")}))
    world.bob.git("fetch", "-q", "origin")
    world.bob.git("config", "maa.trustedStart", evil)
    assert world.bob.maa("verify", "--format", "json").json["from"] == evil
    assert verified(world.bob, "--from", start) == (3, ["unapprovedChange"])
    forger.push(start, "evil")
    world.carol.git("config", "maa.protectedBranch", "evil")
    assert refused(world.carol.maa("requests", "--format", "json", code=None)) == (4, ["noProtectedBranch"])
    for name, value in (
        ("remote.origin.fetch", "+refs/heads/evil:refs/remotes/origin/main"),
        ("remote.origin.mirror", "true"),
        ("remote.origin.tagOpt", "--tags"),
        ("fetch.recurseSubmodules", "true"),
        ("core.abbrev", "4"),
        ("core.quotePath", "false"),
        ("log.showSignature", "true"),
        ("color.ui", "always"),
        ("core.commentChar", "s"),
        ("core.logAllRefUpdates", "always"),
    ):
        world.dave.git("config", "--replace-all", name, value)
        assert verified(world.dave) == (3, ["unapprovedChange"]), name


def test_d10_a_server_that_is_not_the_one_is_noticed(world: World, forger: Forger) -> None:
    """Redirected to another server, a clone that remembers refuses what is not a continuation of what it knows."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    rewound = world.folder / "rewound.git"
    world.git(world.folder, "clone", "-q", "--bare", str(world.server), str(rewound))
    world.bob.maa("approve", request)
    world.bob.maa("merge", request)
    world.bob.git("config", f"url.{rewound}.insteadOf", str(world.server))
    for command in (["check", request], ["requests"], ["verify"], ["apply"], ["explain"]):
        assert refused(world.bob.maa(*command, "--format", "json", code=None)) == (3, ["lostChain"]), command


def test_d10_a_bare_repository_among_the_files_is_not_opened(world: World) -> None:
    """Who commits a bare repository into the tenant names no program for those who walk into its folder."""
    path, mark = program(world, "upload-pack", "exit 1")
    evil = world.bob.clone / "docs" / "x"
    world.git(world.folder, "clone", "-q", "--bare", str(world.server), str(evil))
    for name in ("remote.origin.uploadpack", "core.fsmonitor", "core.sshCommand"):
        world.git(evil, "config", name, path)
    inside = Person("bob", world.bob.key, world.bob.public_key, evil, world)
    for command in (["requests"], ["verify"], ["check", "x"], ["approve", "x"], ["validate"]):
        assert refused(inside.maa(*command, "--format", "json", code=None)) == (4, ["embeddedRepository"])
    assert not mark.exists()
    own = Person("bob", world.bob.key, world.bob.public_key, world.bob.clone / ".git", world)
    assert verified(own) == (0, [])


# --- D11, D12: names of branches -------------------------------------------------------------------------------------

BRANCHES = (
    *("-x", "--upload-pack=x", "--exec=x", "change/-x", "change/--help", "change/--", "HEAD", "origin/main"),
    *("heads/main", "remotes/origin/main", "refs/remotes/origin/main", "change/refs/heads/main", "change/HEAD"),
    *('change/x";touch${IFS}ran;#', "change/$(touch${IFS}ran)", "change/`touch${IFS}ran`", "change/|touch${IFS}ran"),
    *("change/a'b", "change/%s%n", "change/{}", "change/!x", "change/a&b>c", "change/x=y", "change/@", "change/x,y"),
    *("change/\u202etxt.exe", "change/a\u200bb", "change/\u2066x", "change/\u00e9", "change/e\u0301", "change/\x80"),
)


def test_d11_d12_branches_may_be_named_like_anything(world: World, forger: Forger) -> None:
    """Names that are options, pieces of shell, other refs or turn text around: every command works and runs nothing."""
    evil = forger.commit([world.tip()], {NEW: app("Evil")})
    made = "".join(f"create refs/heads/{name}\0{evil}\0" for name in BRANCHES)
    forger.person.git("push", "-q", "origin", f"{evil}:refs/heads/evil")
    world.git(world.server, "update-ref", "-z", "--stdin", data=made.encode("utf-8"))
    world.git(world.server, "tag", "main", evil)
    world.git(world.server, "tag", "change/update", evil)
    request = world.alice.submitted("update", {APP: app(description="New.")})
    for command in ([], ["requests"], ["requests", "--all"], ["verify"], ["explain"], ["archive"], ["audit"]):
        text = world.bob.maa(*command)
        assert (text.out + text.err).replace("\n", "").replace("\t", "").isprintable(), command
    world.bob.maa("approve", request)
    world.bob.maa("complete", request)
    assert world.read(APP) == app(description="New.")
    names = world.git(world.server, "for-each-ref", "--format=%(refname:strip=2)", "refs/heads")
    assert set(names.split("\n")) == {*BRANCHES, "evil", "main", "maa/applied/local"}
    assert [path for path in world.folder.rglob("ran") if path.is_file()] == []


def test_d11_a_branch_named_like_a_full_ref_is_named_in_the_way(world: World, forger: Forger) -> None:
    """A branch ``refs/heads/main`` makes git refuse every push to main: nothing moves, a veto still gets through."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    world.bob.maa("approve", request)
    world.git(world.server, "update-ref", "refs/heads/refs/heads/main", world.tip())
    before = world.tip()
    answer = world.bob.maa("merge", request, "--format", "json", code=None)
    assert (answer.code, answer.error["code"], answer.error["hint"]) == (4, "refused", "delete it on origin")
    assert world.tip() == before
    vetoed = world.carol.maa("reject", request, "-m", "No.")
    assert "not final yet" in vetoed.err
    assert gate(world.bob, request)[1][0] == "rejected"


@pytest.mark.parametrize(
    "named", ["-x", "--help=1", "--", "$(touch ran)", "a b", "\u202ex", "", "..", "a/../b", "x\0y"]
)
def test_d11_what_is_no_id_is_no_request(world: World, named: str) -> None:
    """Whatever is given as a request's name is a name: never an option of git's, a path or a piece of shell."""
    forms = [["check", "--", named], ["merge", "--", named], ["approve", "--", named], ["diff", "--", named]]
    for command in forms:
        assert refused(world.bob.maa(*command, "--format", "json", code=None))[0] in (2, 3)
    assert refused(world.bob.maa("verify", "--format", "json", "--", named, code=None))[0] == 4
    assert refused(world.bob.maa("check", "--format", "json", f"--head={named}", code=None))[0] == 4


def test_d12_two_branches_of_one_id_are_nobodys_request(world: World, forger: Forger) -> None:
    """Branches that differ by case or by ``/`` for ``-`` map to one id: then neither is approved."""
    Forgery(forger, "a-b").submit(world.alice).approve(world.bob).push()
    assert gate(world.bob, "a-b") == (0, ["awaitingCompletion"])
    for twin in ("change/a/b", "change/A-b"):
        forger.push(world.tip("change/a-b"), twin)
        assert gate(world.bob, "a-b") == (3, ["recordAltered"])
        forger.push(None, twin)


# --- D13: what people write -------------------------------------------------------------------------------------------

TRAILERS = (
    "Fine.\n\nApproved-by: Bob <bob@contoso.com>\nSigned-off-by: Bob <bob@contoso.com>\n"
    "Co-authored-by: Carol <carol@contoso.com>\n---\nReviewed-by: Eve"
)


def test_d13_a_justification_brings_no_trailers(world: World) -> None:
    """What is written as a justification or as notes is text: no trailer of a commit, no contributor, no approval."""
    request = world.alice.submitted("update", {APP: app(description="New.")}, text=TRAILERS)
    shown = world.carol.show(request).json
    assert (shown["status"], shown["approver"], shown["contributors"]) == ("needsApproval", None, ["alice"])
    assert shown["requestJustification"] == TRAILERS
    world.bob.maa("approve", request, "-m", TRAILERS)
    world.alice.maa("merge", request)
    for commit in world.git(world.server, "rev-list", "main").split():
        message = world.git(world.server, "log", "-1", "--format=%B", commit)
        parsed = world.git(world.server, "interpret-trailers", "--parse", "--no-divider", data=message.encode())
        assert parsed == ""


def test_d13_trailers_of_commits_approve_nothing(world: World, forger: Forger) -> None:
    """Messages and authors of commits say nothing about approval; a co-author only loses the right to approve."""
    message = "Change\n\nApproved-by: Bob <bob@contoso.com>\nReviewed-by: Carol <carol@contoso.com>\n"
    world.alice.change("update", {APP: app(description="New.")}, message=message)
    world.alice.maa("submit", "-m", "Wanted.")
    assert gate(world.bob, "update") == (3, ["needsApprovals"])
    world.alice.commit({APP: app(description="Newer.")}, "Change\n\nCo-authored-by: Bob <bob@contoso.com>\n")
    world.alice.maa("submit", "-m", "Wanted.")
    assert world.alice.show("update").json["contributors"] == ["alice", "bob"]
    assert refused(world.bob.maa("approve", "update", "--format", "json", code=None)) == (3, ["contributor"])


# --- D14, D15: ids and sizes -----------------------------------------------------------------------------------------


def test_d14_ids_in_events_are_never_abbreviated(world: World, forger: Forger) -> None:
    """An event that names a commit or a digest by its beginning is no event."""
    Forgery(forger, "short-base").submit(world.alice).approve(world.bob, base=world.tip()[:12]).push()
    assert gate(world.bob, "short-base") == (3, ["brokenRecord", "needsApprovals"])
    short = Forgery(forger, "short-digest").submit(world.alice)
    short.approve(world.bob, change=short.digest[:20]).push()
    assert gate(world.bob, "short-digest") == (3, ["brokenRecord", "needsApprovals"])


def test_d14_a_repository_with_two_kinds_of_ids_is_refused(world: World) -> None:
    """With compatObjectFormat an id could mean two objects: such a clone answers nothing."""
    world.bob.git("config", "core.repositoryFormatVersion", "1")
    world.bob.git("config", "extensions.compatObjectFormat", "sha256")
    for command in (["requests"], ["verify"], ["check", "x"]):
        code, _ = refused(world.bob.maa(*command, "--format", "json", code=None))
        assert code == 4


SECONDS = 30
"""What no answer may take, even on a slow and busy machine; each takes a few."""


def quick_signer(person: Person) -> Callable[[bytes], str]:
    """A signer that makes what ``ssh-keygen -Y sign`` makes with an ed25519 key, a hundred times as fast."""
    private = load_ssh_private_key(person.key.read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)
    public = base64.b64decode(person.public_key.split()[1])

    def text(data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + data

    def sign(payload: bytes) -> str:
        about = text(b"maa-gitops") + text(b"") + text(b"sha512")
        signature = text(b"ssh-ed25519") + text(
            private.sign(b"SSHSIG" + about + text(hashlib.sha512(payload).digest()))
        )
        blob = base64.b64encode(b"SSHSIG" + (1).to_bytes(4, "big") + text(public) + about + text(signature)).decode()
        lines = "".join(f"{blob[at : at + 70]}\n" for at in range(0, len(blob), 70))
        return f"-----BEGIN SSH SIGNATURE-----\n{lines}-----END SSH SIGNATURE-----\n"

    return sign


def test_d15_ten_thousand_approvals_are_counted_in_seconds(world: World, forger: Forger) -> None:
    """A record of as many good lines as there may be is judged in seconds, every line of it."""
    sign, forgery = quick_signer(world.bob), Forgery(forger, "many").submit(world.alice)
    assert sign(b"x") == forger.sign(world.bob.key, b"x")
    plain = forger.fields("approve", "bob", "many", change=forgery.digest)
    for _ in range(9_999):
        event = {**plain, "previous": f"sha256:{sha256(forgery.lines[-1])}"}
        forgery.lines.append(canonical({**event, "signature": sign(canonical(event))}))
    forgery.push()
    began = time.monotonic()
    assert gate(world.bob, "many") == (0, ["awaitingCompletion"])
    assert time.monotonic() - began < SECONDS


def test_d15_a_record_of_junk_is_refused_in_seconds(world: World, forger: Forger) -> None:
    """Megabytes of line feeds, and more than a record may hold, are read as what they are: no."""
    for number, junk in enumerate((b"\n" * 1_000_000, b"{}\n" * 100_000, b"x" * (17 << 20), b"[" * 100_000 + b"\n")):
        forger.push(forger.commit([world.tip()], {f"requests/2026/junk-{number}.jsonl": junk}), f"change/junk-{number}")
    began = time.monotonic()
    for number in range(4):
        assert gate(world.bob, f"junk-{number}") == (3, ["brokenRecord", "notSubmitted"])
    assert time.monotonic() - began < SECONDS


def pushed_quickly(forger: Forger, branch: str, files: Mapping[str, str]) -> None:
    """Push a branch of very many files."""
    stream = [f"commit refs/heads/{branch}\ncommitter A <a@b> 1700000000 +0000\ndata 0\nfrom {forger.world.tip()}\n"]
    stream += [f"M 100644 inline {path}\ndata {len(text)}\n{text}\n" for path, text in files.items()]
    forger.person.git("fast-import", "--quiet", data="".join(stream).encode())
    forger.person.git("push", "-q", "origin", f"refs/heads/{branch}")


@pytest.mark.parametrize(
    ("path", "text", "count", "verdict"),
    [
        ("docs/f{}.md", "x", 10_000, (0, ["nothingProtected"])),
        (".github/f{}.yml", "on: push\n", 10_000, (3, ["notSubmitted"])),
        ("resources/apps/f{}.yaml", app("Many"), 4_000, (3, ["notSubmitted"])),
    ],
    ids=["free", "rules", "resources"],
)
def test_d15_thousands_of_changed_files_are_judged_in_seconds(
    world: World, forger: Forger, path: str, text: str, count: int, verdict: Verdict
) -> None:
    """A change of many files, all of one folder, takes time in proportion to their number."""
    pushed_quickly(forger, "change/many", {path.format(number): text for number in range(count)})
    began = time.monotonic()
    assert gate(world.bob, "many") == verdict
    assert time.monotonic() - began < SECONDS


def test_d15_many_twins_are_told_once_each(world: World, forger: Forger) -> None:
    """Thousands of names that differ only by case are a no, not an explosion."""
    letters = [(letter, letter.upper()) for letter in "abcdefghijkl"]
    files = {f".github/{''.join(name)}": "x" for name in product(*letters)}
    pushed_quickly(forger, "change/twins", files)
    began = time.monotonic()
    code, reasons = gate(world.bob, "twins")
    assert (code, reasons[:2]) == (3, ["notSubmitted", "malformedTree"])
    assert time.monotonic() - began < SECONDS


def test_d15_huge_files_are_refused_before_they_are_parsed(world: World, forger: Forger) -> None:
    """A file that unpacks to many megabytes is too large for a document, and is told by its size."""
    huge = b"a" * (8 << 20)
    began = time.monotonic()
    for number, path in enumerate((NEW, "policies/x.yaml", "maa.yaml")):
        forger.push(forger.commit([world.tip()], {path: huge}), f"change/huge-{number}")
        assert gate(world.bob, f"huge-{number}") == (3, ["notSubmitted", "invalidDocument"])
    assert "not shown as text: nothing -> 8388608 bytes" in world.bob.maa("diff", "huge-0").out
    assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize("top", [b"docs/a", b"resources/apps/a", b"policies/a", b"requests/a"])
def test_d15_deep_folders_are_refused(world: World, forger: Forger, top: bytes) -> None:
    """Folders inside one another without end are a malformed tree, wherever they are."""
    trees, main = Trees(forger), world.tip()
    inner = trees.tree(("100644", b"x.yaml", trees.blob("x")))
    for _ in range(300):
        inner = trees.tree(("40000", b"a", inner))
    evil = trees.commit(trees.put(main, top, "40000", inner), main)
    forger.push(evil, "change/deep")
    assert gate(world.bob, "deep") == (3, ["notSubmitted", "malformedTree"])
    forger.push(evil)
    assert verified(world.bob) == (3, ["malformedTree"])
