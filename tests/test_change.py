"""A change: what differs between two trees, its digest, and merging on whole files."""

import hashlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from maa_gitops.canonical import change_digest
from maa_gitops.change import between, differences, held, merged_onto, put_in_place
from maa_gitops.errors import RepositoryError
from maa_gitops.git import Entry, Repository
from maa_gitops.git.program import Git
from maa_gitops.model import BUILT_IN_TYPES, FileChange, Held, ObjectId, ProfileType
from tests.support import APP, Forger, World, app, sha256, stamp
from tests.support.forgery import Forgery

SCRIPT = "resources/scripts/set-time-zone.yaml"
TEXT = "resources/scripts/set-time-zone.ps1"

File = str | bytes | tuple[str, str | bytes]
"""A file's content, or its mode and content; of a submodule the commit."""


class Counting(Repository):
    """A repository that counts how often a tree is asked for."""

    reads = 0

    def tree(self, oid: str) -> tuple[Entry, ...]:
        """Read a tree, and count it."""
        self.reads += 1
        return super().tree(oid)


@dataclass(frozen=True)
class Ground:
    """A bare repository in which trees are made with git plumbing."""

    folder: Path
    blobs: dict[str | bytes, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """An environment that reaches nothing of the developer's own."""
        own = {"HOME": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        return {"PATH": os.environ["PATH"], **own}

    @property
    def repository(self) -> "Counting":
        """The repository, freshly opened."""
        return Counting(Git.find(self.variables, self.folder), self.folder, None, self.variables)

    def git(self, *arguments: str, data: bytes = b"") -> str:
        """Run git in it."""
        environment = {**self.variables, "GIT_INDEX_FILE": str(self.folder / "made-by-tests")}
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments], input=data, capture_output=True, env=environment, check=True
        )
        return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    def blob(self, content: str | bytes) -> str:
        """Store a file's content."""
        if content not in self.blobs:
            data = content.encode() if isinstance(content, str) else content
            self.blobs[content] = self.git("hash-object", "-w", "--stdin", data=data)
        return self.blobs[content]

    def tree(self, files: Mapping[str, File]) -> str:
        """Store a tree with these files."""
        if not files:
            return self.raw_tree()
        lines = []
        for path, file in files.items():
            mode, content = file if isinstance(file, tuple) else ("100644", file)
            oid = str(content) if mode == "160000" else self.blob(content)
            lines.append(f"{mode} {oid}\t{path}\0".encode("utf-8", "surrogateescape"))
        (self.folder / "made-by-tests").unlink(missing_ok=True)
        self.git("update-index", "-z", "--index-info", data=b"".join(lines))
        return self.git("write-tree")

    def raw_tree(self, *entries: tuple[str, str, str]) -> str:
        """Store a tree that git would not write, from (mode, name, object) as they come."""
        data = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(oid) for mode, name, oid in entries)
        return self.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", data=data)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """One repository for all tests: what they make never collides."""
    folder = tmp_path_factory.mktemp("ground")
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True, capture_output=True)
    return Ground(folder)


def changed(ground: Ground, old: Mapping[str, File], new: Mapping[str, File]) -> tuple[FileChange, ...]:
    """The changes between two sets of files."""
    return between(ground.repository, ground.tree(old), ground.tree(new), BUILT_IN_TYPES).changes


# --- what a change is ------------------------------------------------------------------------------------------------


def test_a_file_of_a_change_is_its_path_mode_and_the_hashes_of_its_old_and_new_bytes(ground: Ground) -> None:
    """A creation has no old content, a deletion neither mode nor new content."""
    old = {"docs/edit.md": "a", "docs/gone.md": "b", "docs/same.md": "c"}
    new = {"docs/edit.md": "A", "docs/new.md": "d", "docs/same.md": "c"}
    assert changed(ground, old, new) == (
        FileChange("docs/edit.md", "100644", sha256(b"a"), sha256(b"A")),
        FileChange("docs/gone.md", None, sha256(b"b"), None),
        FileChange("docs/new.md", "100644", None, sha256(b"d")),
    )


def test_changes_are_sorted_by_the_bytes_of_their_paths(ground: Ground) -> None:
    """By UTF-8 bytes over the whole path: neither by folder nor by UTF-16 units."""
    paths = ["Z", "a-b", "a.b", "a/b", "b", "\u00e9", "\uff5e", "\U0001f511"]
    assert [change.path for change in changed(ground, {}, dict.fromkeys(reversed(paths), "x"))] == paths


def test_records_are_no_part_of_a_change(ground: Ground) -> None:
    """What differs under requests/ is kept apart."""
    tree = ground.tree({"requests/2026/update.jsonl": "x\n", "requests/README.md": "x", "docs/requests/a": "x"})
    found = between(ground.repository, ground.tree({}), tree, BUILT_IN_TYPES)
    assert [change.path for change in found.changes] == ["docs/requests/a"]
    assert sorted(found.records) == ["requests/2026/update.jsonl", "requests/README.md"]


def test_a_rename_is_a_deletion_and_a_creation(ground: Ground) -> None:
    """Both paths are there, so that neither escapes the policies of its place."""
    found = changed(ground, {"resources/apps/a.yaml": "x"}, {"docs/a.yaml": "x"})
    assert found == (
        FileChange("docs/a.yaml", "100644", None, sha256(b"x")),
        FileChange("resources/apps/a.yaml", None, sha256(b"x"), None),
    )


def test_content_is_hashed_as_it_is_stored(ground: Ground) -> None:
    """No filter, line ending or encoding of .gitattributes has a say."""
    attributes = "* text eol=lf ident working-tree-encoding=UTF-16\n"
    found = changed(ground, {".gitattributes": attributes}, {".gitattributes": attributes, "a": b"$Id$\r\n\xff"})
    assert found == (FileChange("a", "100644", None, sha256(b"$Id$\r\n\xff")),)


@pytest.mark.parametrize(("mode", "content"), [("100755", "#!/bin/sh\n"), ("120000", "../target"), ("100644", "x")])
def test_h15_modes_of_unprotected_files_are_part_of_the_change(ground: Ground, mode: str, content: str) -> None:
    """Executable files and links are allowed there; the text of a link is its content."""
    found = between(ground.repository, ground.tree({}), ground.tree({"bin/x": (mode, content)}), BUILT_IN_TYPES)
    assert found.changes == (FileChange("bin/x", mode, None, sha256(content.encode())),)
    assert found.problems == ()


def test_h15_a_change_of_the_mode_alone_is_a_change(ground: Ground) -> None:
    """The content before and after is the same, the mode is the new one."""
    found = changed(ground, {"bin/x": "x"}, {"bin/x": ("100755", "x")})
    assert found == (FileChange("bin/x", "100755", sha256(b"x"), sha256(b"x")),)


@pytest.mark.parametrize("path", ["docs/sub", "resources/apps/sub", "policies/sub.yaml"])
def test_h15_a_submodule_is_refused_wherever_it_stands(ground: Ground, path: str) -> None:
    """Nobody could sign what is in it. Taking one away is fine."""
    with_one, without = ground.tree({path: ("160000", "1" * 40)}), ground.tree({})
    added = between(ground.repository, without, with_one, BUILT_IN_TYPES)
    assert [(reason.code, reason.message.split(":")[0]) for reason in added.problems] == [("malformedTree", path)]
    removed = between(ground.repository, with_one, without, BUILT_IN_TYPES)
    assert removed.problems == ()
    assert [(change.path, change.mode, change.new) for change in removed.changes] == [(path, None, None)]


@pytest.mark.parametrize("mode", ["100755", "120000"])
@pytest.mark.parametrize(
    "path", [APP, TEXT, "maa.yaml", "policies/apps.yaml", ".github/workflows/gate.yml", ".gitattributes"]
)
def test_d5_protected_files_are_regular_ones(ground: Ground, path: str, mode: str) -> None:
    """No links, no executable bits under the tool's own paths."""
    found = between(ground.repository, ground.tree({path: "x"}), ground.tree({path: (mode, "x")}), BUILT_IN_TYPES)
    assert [(reason.code, reason.message.split(":")[0]) for reason in found.problems] == [("malformedTree", path)]


@pytest.mark.parametrize(
    "path",
    ["resources/x.yaml", "resources/unknown/x.yaml", "resources/apps/X.yaml", "resources/apps/-x.yaml",
     "resources/apps/x.d/y.yaml", "Resources/apps/x.yaml", "MAA.yaml", "Policies/x.yaml", "accounts",
     ".GitHub/x.yml", ".gitAttributes", "\u017fchemas/x.json"],
)  # fmt: skip
def test_d6_names_out_of_place_are_refused(ground: Ground, path: str) -> None:
    """Nothing stands beside the types' folders, and no name equals a reserved one but for case."""
    found = between(ground.repository, ground.tree({}), ground.tree({path: "x"}), BUILT_IN_TYPES)
    assert [(reason.code, reason.message.split(":")[0]) for reason in found.problems] == [("malformedTree", path)]


def test_h15_a_path_that_is_not_utf8_cannot_be_signed(ground: Ground) -> None:
    """It is told, not written in some other spelling."""
    tree = ground.tree({"docs/\udcff": "x"})
    found = between(ground.repository, ground.tree({}), tree, BUILT_IN_TYPES)
    assert not found.is_utf8
    assert [reason.code for reason in found.problems] == ["malformedTree"]


def test_a_file_that_becomes_a_folder_is_a_deletion_and_creations(ground: Ground) -> None:
    """And the other way round."""
    file, folder = {"docs/a": "x"}, {"docs/a/b": "y", "docs/a/c/d": "z"}
    assert [(c.path, c.new is None) for c in changed(ground, file, folder)] == [
        ("docs/a", True), ("docs/a/b", False), ("docs/a/c/d", False),
    ]  # fmt: skip
    assert [(c.path, c.new is None) for c in changed(ground, folder, file)] == [
        ("docs/a", False), ("docs/a/b", True), ("docs/a/c/d", True),
    ]  # fmt: skip


def test_d6_trees_that_two_readers_could_read_differently_are_refused(ground: Ground) -> None:
    """Duplicates, names of git's own and wrong order end the reading."""
    blob, other = ground.blob("x"), ground.blob("y")
    empty = ground.tree({})
    for entries in (
        [("100644", "a", blob), ("100644", "a", other)],
        [("100644", ".git", blob)],
        [("100644", ".GIT", blob)],
        [("100644", "..", blob)],
        [("100644", "a/b", blob)],
        [("100644", "b", blob), ("100644", "a", blob)],
        [("100600", "a", blob)],
    ):
        below = ground.raw_tree(("40000", "policies", ground.raw_tree(*entries)))
        with pytest.raises(RepositoryError) as caught:
            between(ground.repository, empty, below, BUILT_IN_TYPES)
        assert caught.value.code == "malformedTree"


def test_d15_folders_nested_without_end_are_refused(ground: Ground) -> None:
    """A tree of a thousand levels costs nothing and is not walked."""
    deep = ground.tree({"/".join(["a"] * 1000): "x"})
    with pytest.raises(RepositoryError) as caught:
        between(ground.repository, ground.tree({}), deep, BUILT_IN_TYPES)
    assert caught.value.code == "malformedTree"


# --- the files of an object ------------------------------------------------------------------------------------------


def test_h14_every_file_of_a_touched_object_is_listed(ground: Ground) -> None:
    """Unchanged ones too, with the same content before and after; other objects and companions are not."""
    old: dict[str, File] = {
        SCRIPT: "doc",
        TEXT: "text",
        "resources/scripts/set-time-zone.more.ps1": "more",
        "resources/scripts/set-time.yaml": "another object",
        "resources/scripts/set-time-zone-2.yaml": "another object",
        "resources/scripts/set-time-zone/x.yaml": "another object",
        "resources/scripts/sub/set-time-zone.yaml": "another object",
        "resources/apps/set-time-zone.yaml": "another object",
        "resources/scripts/README.md": "companion",
    }
    assert changed(ground, old, {**old, TEXT: "edited"}) == (
        FileChange("resources/scripts/set-time-zone.more.ps1", "100644", sha256(b"more"), sha256(b"more")),
        FileChange(TEXT, "100644", sha256(b"text"), sha256(b"edited")),
        FileChange(SCRIPT, "100644", sha256(b"doc"), sha256(b"doc")),
    )


def test_deleting_one_file_of_an_object_lists_the_others(ground: Ground) -> None:
    """What stays is part of what is signed."""
    assert changed(ground, {SCRIPT: "doc", TEXT: "text"}, {SCRIPT: "doc"}) == (
        FileChange(TEXT, None, sha256(b"text"), None),
        FileChange(SCRIPT, "100644", sha256(b"doc"), sha256(b"doc")),
    )


def test_the_objects_of_a_change_are_told_by_paths_alone(ground: Ground) -> None:
    """A rule is its path, a resource its name in its type; what is not governed is no object."""
    types = (*BUILT_IN_TYPES, ProfileType("compliancePolicy", "compliance-policies"))
    new = {
        "policies/apps.yaml": "x",
        "policies/README.md": "x",
        "resources/apps/finance/payroll.yaml": "x",
        "resources/compliance-policies/baseline.yaml": "x",
        "resources/apps/README.md": "x",
        "docs/a.md": "x",
        TEXT: "x",
    }
    found = between(ground.repository, ground.tree({}), ground.tree(new), types)
    assert found.objects == (
        ObjectId("accessPolicy", "policies/README.md"),
        ObjectId("accessPolicy", "policies/apps.yaml"),
        ObjectId("app", "finance/payroll"),
        ObjectId("compliancePolicy", "baseline"),
        ObjectId("script", "set-time-zone"),
    )


def test_the_files_of_a_rule_are_by_themselves(ground: Ground) -> None:
    """A policy has no siblings."""
    old = {"policies/apps.yaml": "a", "policies/scripts.yaml": "b"}
    assert [c.path for c in changed(ground, old, {**old, "policies/apps.yaml": "A"})] == ["policies/apps.yaml"]


# --- the digest ------------------------------------------------------------------------------------------------------


def test_the_digest_is_that_of_one_spelling_of_changes_and_tenant(ground: Ground) -> None:
    """Computed here by hand, from the bytes."""
    old: dict[str, File] = {APP: "old", "docs/gone.md": "x"}
    new: dict[str, File] = {APP: "new", "bin/\u00fc": ("100755", "y")}
    x, y, before, after = (hashlib.sha256(text).hexdigest() for text in (b"x", b"y", b"old", b"new"))
    spelled = (
        '{"changes":['
        f'{{"mode":"100755","new":"{y}","old":null,"path":"bin/\u00fc"}},'
        f'{{"mode":null,"new":null,"old":"{x}","path":"docs/gone.md"}},'
        f'{{"mode":"100644","new":"{after}","old":"{before}","path":"resources/apps/company-portal.yaml"}}'
        '],"tenant":"contoso"}'
    )
    expected = "sha256:" + hashlib.sha256(spelled.encode("utf-8")).hexdigest()
    assert change_digest(changed(ground, old, new), "contoso") == expected


def test_the_digest_of_a_request_is_the_one_that_others_compute(world: World, forger: Forger) -> None:
    """What the command line shows and what approvers sign: computed by hand from the files."""
    request = world.alice.submitted("update", {APP: app(description="New."), "docs/note.md": "Why.\n"})
    changes = [
        forger.change("docs/note.md", None, "Why.\n"),
        forger.change(APP, app(), app(description="New.")),
    ]
    assert world.bob.show(request).json["change"] == forger.digest(changes)


def test_any_difference_gives_another_digest(ground: Ground) -> None:
    """One byte of content, the mode, the path, the old content, a file more, the tenant."""
    base: dict[str, File] = {"docs/a": "x"}
    variants: list[tuple[dict[str, File], dict[str, File], str]] = [
        (base, {"docs/a": "y"}, "contoso"),
        (base, {"docs/a": "y"}, "fabrikam"),
        (base, {"docs/a": "z"}, "contoso"),
        (base, {"docs/a": ("100755", "y")}, "contoso"),
        ({"docs/a": "w"}, {"docs/a": "y"}, "contoso"),
        ({"docs/b": "x"}, {"docs/b": "y"}, "contoso"),
        ({}, {"docs/a": "y"}, "contoso"),
        (base, {}, "contoso"),
        (base, {"docs/a": "y", "docs/b": "x"}, "contoso"),
    ]
    digests = {change_digest(changed(ground, old, new), tenant) for old, new, tenant in variants}
    assert len(digests) == len(variants)


# --- as properties ---------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "a.b", "c-d", "a0", "\u00fc"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
FILES = st.dictionaries(
    PATHS, st.tuples(st.sampled_from(["100644", "100755", "120000"]), st.sampled_from(["", "x", "y"])), max_size=6
)
PROPERTY = hypothesis_settings(deadline=None, database=None, max_examples=25)


def without_clashes(files: Mapping[str, tuple[str, str]]) -> dict[str, File]:
    """Leave out what would have to be a file and a folder."""
    return {path: file for path, file in files.items() if not any(other.startswith(f"{path}/") for other in files)}


@PROPERTY
@given(old=FILES, new=FILES)
def test_differences_are_those_that_git_sees(
    ground: Ground, old: dict[str, tuple[str, str]], new: dict[str, tuple[str, str]]
) -> None:
    """The same paths, modes and objects as ``git diff-tree -r --no-renames``."""
    trees = [ground.tree(without_clashes(files)) for files in (old, new)]
    fields = ground.git("diff-tree", "-r", "-z", "--no-renames", *trees).split("\0")[:-1]
    expected = {}
    for told, path in zip(fields[::2], fields[1::2], strict=True):
        old_mode, new_mode, old_oid, new_oid, _ = told.removeprefix(":").split()
        expected[path] = ((old_mode, old_oid), (new_mode, new_oid))
    nothing = ("000000", "0" * 40)
    assert {
        path: tuple((entry.mode, entry.oid) if entry is not None else nothing for entry in pair)
        for path, pair in differences(ground.repository, *trees).items()
    } == expected


@PROPERTY
@given(old=FILES, new=FILES)
def test_putting_a_change_in_place_gives_what_was_signed(
    ground: Ground, old: dict[str, tuple[str, str]], new: dict[str, tuple[str, str]]
) -> None:
    """On the tree that it was made against the result is the other tree, to the byte."""
    before, after = (ground.tree(without_clashes(files)) for files in (old, new))
    repository = ground.repository
    request = between(repository, before, after, BUILT_IN_TYPES)
    assert put_in_place(repository, before, request) == after
    assert merged_onto(repository, before, before, request, BUILT_IN_TYPES) == request


# --- merging ---------------------------------------------------------------------------------------------------------


def test_the_result_is_the_tips_tree_with_each_new_file_in_place_and_the_record(ground: Ground) -> None:
    """What else the tip holds stays as it is, also in the same folder."""
    base: dict[str, File] = {APP: "old", "resources/apps/gone.yaml": "x", "docs/a.md": "a"}
    head: dict[str, File] = {APP: "new", "docs/a.md": "a", "bin/x": ("100755", "run")}
    tip: dict[str, File] = {**base, "docs/b.md": "b", "resources/apps/other.yaml": "o"}
    repository = ground.repository
    request = between(repository, ground.tree(base), ground.tree(head), BUILT_IN_TYPES)
    result = put_in_place(repository, ground.tree(tip), request, ("requests/2026/update.jsonl", b"line\n"))
    assert result == ground.tree(
        {
            APP: "new",
            "docs/a.md": "a",
            "docs/b.md": "b",
            "bin/x": ("100755", "run"),
            "resources/apps/other.yaml": "o",
            "requests/2026/update.jsonl": "line\n",
        }
    )


@pytest.mark.parametrize(
    ("good", "tip", "is_the_same"),
    [
        ({"docs/a": "old"}, {"docs/a": "old"}, True),
        ({"docs/a": "old"}, {"docs/a": "new"}, True),
        ({"docs/a": "old"}, {"docs/a": "old", "docs/b": "x"}, False),
        ({"docs/a": "old", "docs/b": "x"}, {"docs/a": "old", "docs/b": "x"}, True),
        ({"docs/a": "new"}, {"docs/a": "new"}, False),
        ({"docs/a": "other"}, {"docs/a": "other"}, False),
    ],
)
def test_the_step_from_the_good_commit_to_the_result_is_computed_without_writing(
    ground: Ground, good: dict[str, File], tip: dict[str, File], is_the_same: bool
) -> None:
    """It is the signed change exactly if the good commit holds the old content and the tip brings nothing more."""
    repository = ground.repository
    request = between(repository, ground.tree({"docs/a": "old"}), ground.tree({"docs/a": "new"}), BUILT_IN_TYPES)
    step = merged_onto(repository, ground.tree(good), ground.tree(tip), request, BUILT_IN_TYPES)
    assert (step.changes == request.changes) is is_the_same
    result = put_in_place(repository, ground.tree(tip), request)
    assert step == between(repository, ground.tree(good), result, BUILT_IN_TYPES)


def test_held_says_mode_and_content_of_files_only(ground: Ground) -> None:
    """A folder or nothing at all at a path is left out."""
    tree = ground.tree({"docs/a": "x", "bin/x": ("100755", "y")})
    assert held(ground.repository, tree, ["docs/a", "bin/x", "docs", "docs/a/b", "none"]) == {
        "docs/a": Held("100644", sha256(b"x")),
        "bin/x": Held("100755", sha256(b"y")),
    }


def lands(world: World, request: str) -> str:
    """Approve and merge a request; returns the commit."""
    world.bob.maa("approve", request)
    world.carol.maa("merge", request)
    return world.tip()


def test_the_parents_of_the_merge_are_the_tip_and_then_the_change_branch(world: World) -> None:
    """And its tree is the tip's with the new file and the record."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    world.bob.maa("approve", request)
    tip, head = world.tip(), world.tip("change/update")
    world.carol.maa("merge", request)
    commit = world.tip()
    assert world.git(world.server, "rev-list", "--parents", "-n1", commit) == f"{commit} {tip} {head}"
    told = world.git(world.server, "diff-tree", "-r", "--name-status", tip, commit).split("\n")
    assert [line.split("\t") for line in told] == [["A", f"requests/{stamp()[:4]}/update.jsonl"], ["M", APP]]
    assert world.read(APP) == app(description="New.")


def test_what_landed_in_the_meantime_stays(world: World, forger: Forger) -> None:
    """Unprotected work beside the request neither blocks it nor is undone by it."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    forger.push(forger.commit([world.tip()], {"docs/note.md": "Meanwhile.\n"}))
    lands(world, request)
    assert (world.read(APP), world.read("docs/note.md")) == (app(description="New."), "Meanwhile.\n")


def test_there_is_no_text_merge(world: World) -> None:
    """Two requests on different lines of one file: git would merge them, here the second is outdated."""
    first = app(extra="notes: one\n")
    settled = Forgery(Forger(world, world.alice), "first", {APP: first})
    second = Forgery(Forger(world, world.alice), "second", {APP: app(name="Renamed")})
    for forged in (settled, second):
        forged.submit(world.alice).approve(world.bob).push()
    assert [forged.check()[1] for forged in (settled, second)] == ["approved", "approved"]
    world.carol.maa("merge", "first")
    assert second.check() == (3, "needsApproval", ["outdated"])
    assert world.carol.maa("merge", "second", "--format", "json", code=3).error["code"] == "outdated"
    assert world.read(APP) == first


def test_an_outdated_request_is_merged_with_the_protected_branch_and_submitted_again(world: World) -> None:
    """As the hint says; the new round needs new approvals."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    world.bob.maa("approve", request)
    other = Forgery(Forger(world, world.bob), "other", {APP: app(extra="notes: one\n")})
    other.submit(world.bob).approve(world.alice).push()
    world.carol.maa("merge", "other")
    world.alice.git("fetch", "-q", "origin")
    refused = world.alice.maa("submit", "-m", "Again.", "--format", "json", code=3).error
    assert (refused["code"], refused["hint"]) == ("outdated", "git merge origin/main, then submit again")
    world.alice.git("merge", "-q", "origin/main", check=False)
    world.alice.commit({APP: app(description="New.", extra="notes: one\n")}, "Merge")
    world.alice.maa("submit", "-m", "Again.")
    assert world.alice.maa("check", request, "--format", "json", code=3).reasons == ["needsApprovals"]
    lands(world, request)
    assert world.read(APP) == app(description="New.", extra="notes: one\n")


def test_h14_a_sibling_that_arrived_since_makes_the_request_outdated(world: World, forger: Forger) -> None:
    """A file of the same object on the protected branch was never seen by those who signed."""
    request = Forgery(forger, "edit", {APP: app(description="New.")}).submit(world.alice).approve(world.bob).push()
    sibling = Forgery(forger, "sibling", {"resources/apps/company-portal.txt": "x\n"})
    sibling.changes.append(forger.change(APP, app(), app()))
    sibling.submit(world.alice).approve(world.bob).event("complete", world.alice)
    sibling.land()
    assert world.carol.maa("verify", "--format", "json").json["good"] is True
    assert request.check() == (3, "needsApproval", ["outdated"])


def branch_with(forger: Forger, request: Forgery, parents: list[str]) -> None:
    """Push a request's files and record on other parents."""
    record = {request.path: forger.record(*request.lines)}
    commit = forger.commit(parents, {**request.files, **record}, tree_of=request.start)
    forger.push(commit, f"change/{request.request}", force=True)


def test_no_merge_base_is_outdated(world: World, forger: Forger) -> None:
    """A branch that shares no history has no change that could be told."""
    request = Forgery(forger).submit(world.alice).approve(world.bob)
    branch_with(forger, request, [])
    assert request.check() == (3, "needsApproval", ["outdated"])


def test_several_merge_bases_are_outdated(world: World, forger: Forger) -> None:
    """Criss-cross history lets a change be told in two ways, so it is told in none; one base is the control."""
    start = world.tip()
    left, right = (forger.commit([start], {f"docs/{side}.md": "x\n"}) for side in ("left", "right"))
    both = {"docs/left.md": "x\n", "docs/right.md": "x\n"}
    forger.push(forger.commit([left, right], both))
    request = Forgery(forger).submit(world.alice).approve(world.bob)
    branch_with(forger, request, [forger.commit([right, left], both)])
    assert request.check() == (3, "needsApproval", ["outdated"])
    branch_with(forger, request, [world.tip()])
    assert request.check()[:2] == (0, "approved")


# --- the cost --------------------------------------------------------------------------------------------------------


def spread(files: int) -> dict[str, File]:
    """Many resources in folders of twenty, and the tool's own files."""
    apps: Iterator[str] = (f"resources/apps/f{number // 20:03}/a{number:04}.yaml" for number in range(files))
    return {"maa.yaml": "x", "policies/apps.yaml": "x", **dict.fromkeys(apps, "x")}


def tree_reads(ground: Ground, files: int) -> dict[str, int]:
    """How many trees each piece of work reads in a repository of so many files, for the same small change."""
    base = spread(files)
    edited: dict[str, File] = {**base, "resources/apps/f003/a0063.yaml": "y", "docs/new.md": "z"}
    old, new, tip = ground.tree(base), ground.tree(edited), ground.tree({**base, "bin/x": "x"})
    counts = {}
    repository = ground.repository
    request = between(repository, old, new, BUILT_IN_TYPES)
    assert len(request.differences) == 2
    counts["between"] = repository.reads
    repository = ground.repository
    merged_onto(repository, old, tip, request, BUILT_IN_TYPES)
    counts["merged_onto"] = repository.reads
    repository = ground.repository
    put_in_place(repository, tip, request)
    counts["put_in_place"] = repository.reads
    repository = ground.repository
    held(repository, tip, [change.path for change in request.changes])
    counts["held"] = repository.reads
    return counts


def test_work_is_proportional_to_the_change_not_to_the_repository(ground: Ground) -> None:
    """Ten times the files: the same number of trees is read, a handful."""
    small, large = tree_reads(ground, 200), tree_reads(ground, 2000)
    assert small == large
    assert max(large.values()) <= 20
