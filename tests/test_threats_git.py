"""Git content tricks: whatever git can be made to hold or to say, only what was signed lands."""

from collections.abc import Mapping

import pytest

from tests.support import APP, Answer, Forger, Person, World, access_policy, app
from tests.support.forgery import Forgery

NEW = "resources/apps/new.yaml"
LIST = ("ls-tree", "-r", "--name-only")
Verdict = tuple[int, list[str]]
"""An exit code, and the codes of reasons, violations or problems."""


def gate(person: Person, *named: str) -> Verdict:
    """What ``check`` says."""
    answer = person.maa("check", *named, "--format", "json", code=None)
    return answer.code, answer.reasons if "reasons" in answer.json else [f"error {answer.error['code']}"]


def verified(person: Person, *arguments: str) -> Verdict:
    """What ``verify`` says; a violation that was healed is marked."""
    answer = person.maa("verify", *arguments, "--format", "json", code=None)
    if "error" in answer.json:
        return answer.code, [f"error {answer.error['code']}"]
    found = answer.json["violations"]
    assert answer.json["good"] is (answer.code == 0)
    return answer.code, [("healed " if violation["healedBy"] else "") + violation["code"] for violation in found]


def refused(answer: Answer) -> Verdict:
    """Why a command was refused."""
    return answer.code, [answer.error["code"]]


def completed(forger: Forger, files: Mapping[str, str | bytes | None] | None = None) -> Forgery:
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

SHAPES: dict[str, tuple[str, str, list[str], list[str]]] = {
    "a file as it should be": (NEW, "100644", ["awaitingCompletion"], []),
    "exec bit on a resource": (NEW, "100755", ["malformedTree", "invalidDocument"], ["malformedTree", "unapprovedChange"]),
    "symlink as a resource": (NEW, "120000", ["malformedTree", "invalidDocument"], ["malformedTree", "unapprovedChange"]),
    "symlink as a policy": (
        "policies/x.yaml",
        "120000",
        ["malformedTree"],
        ["malformedTree", *["invalidDocument"], "unapprovedChange"],
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
    content = app("New")
    tree = trees.put(main, path.encode(), mode, trees.blob(content))
    changes = [forger.change(path, None, content, mode)]
    assert (gate_of(trees, tree, agreed(forger, "evil", changes), world)) == (3 if "awaiting" not in reasons[0] and "nothing" not in reasons[0] else 0, reasons)
    forger.push(trees.commit(with_record(trees, tree, agreed(forger, "evil", changes, landed=True)), main))
    assert verified(world.bob) == (3 if violations else 0, violations)
