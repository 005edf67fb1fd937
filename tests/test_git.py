"""The git adapter against real repositories; attacks are built with git's own plumbing."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maa_gitops.errors import RemoteError, RepositoryError
from maa_gitops.git import Entry, Identity, RefUpdate, Repository

ZERO = "0" * 40
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ALICE = Identity("Alice Nguyen", "alice@contoso.com")
GIT = shutil.which("git") or "git"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder in which a test runs git as a person would."""

    path: Path
    env: Mapping[str, str]

    def git(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        """Run git, which must succeed."""
        done = subprocess.run(
            [GIT, *arguments],
            cwd=self.path,
            env={**self.env, **(env or {})},
            input=stdin,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().rstrip("\n")

    def open(self, **variables: str) -> Repository:
        """The adapter on this folder."""
        return Repository.open(self.path, {**self.env, **variables})

    def write(self, path: str, text: str) -> None:
        """Write a file of the work tree."""
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def commit(self, files: Mapping[str, str | None], message: str = "step") -> str:
        """Commit files; None deletes."""
        for path in (path for path, text in files.items() if text is None):
            (self.path / path).unlink()
            if not any((self.path / path).parent.iterdir()):
                (self.path / path).parent.rmdir()
        for path, text in files.items():
            if text is not None:
                self.write(path, text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def raw(self, kind: str, data: bytes) -> str:
        """Store an object that git itself would not write."""
        return self.git("hash-object", "-t", kind, "-w", "--stdin", "--literally", stdin=data)

    def blob(self, text: str) -> str:
        """Store a file's content."""
        return self.git("hash-object", "-w", "--stdin", stdin=text.encode())

    def tree(self, *lines: str) -> str:
        """Store a tree from ``mode oid path`` lines, however deep the paths."""
        index = {"GIT_INDEX_FILE": str(self.path / ".git" / "index-of-the-test")}
        self.git("read-tree", "--empty", env=index)
        self.git("update-index", "--index-info", env=index, stdin="".join(_index_line(x) for x in lines).encode())
        return self.git("write-tree", env=index)

    def script(self, path: str, *lines: str) -> Path:
        """Write something executable."""
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        file.chmod(0o755)
        return file


def _index_line(line: str) -> str:
    mode, oid, path = line.split(" ", 2)
    return f"{mode} {oid}\t{path}\n"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment that cannot reach the developer's own settings."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "gitconfig").write_text("[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n")
    person = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in _ALICE.items()}
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        **person,
    }


_ALICE = {"NAME": ALICE.name, "EMAIL": ALICE.email}


@pytest.fixture
def place(tmp_path: Path, env: dict[str, str]) -> Place:
    """A repository with one file, without a remote."""
    folder = tmp_path / "repository"
    folder.mkdir()
    made = Place(folder, env)
    made.git("init", "--quiet")
    made.commit({"readme": "hello\n"}, "start")
    return made


@pytest.fixture
def server(tmp_path: Path, env: dict[str, str], place: Place) -> Place:
    """A bare repository with the place's history."""
    place.git("clone", "--quiet", "--bare", ".", str(tmp_path / "server"))
    return Place(tmp_path / "server", env)


@pytest.fixture
def clone(tmp_path: Path, env: dict[str, str], server: Place) -> Callable[[str], Place]:
    """Make a clone of the server."""

    def make(name: str, *options: str) -> Place:
        server.git("clone", "--quiet", *options, f"file://{server.path}", str(tmp_path / name))
        return Place(tmp_path / name, env)

    return make


def code_of(error: pytest.ExceptionInfo[RepositoryError] | pytest.ExceptionInfo[RemoteError]) -> str | None:
    """The code of a caught error."""
    return error.value.code


# Opening


def test_importing_the_adapter_does_not_import_pygit2() -> None:
    """``maa --version`` stays instant."""
    program = "import sys, maa_gitops.git; sys.exit('pygit2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_repository_is_found_upwards(place: Place) -> None:
    """A command may be run in any folder of the tenant repository."""
    place.write("policies/deep/x", "")
    found = Repository.open(place.path / "policies" / "deep", place.env)
    assert (found.git_dir, found.work_tree) == (place.path / ".git", place.path)


def test_a_bare_repository_has_no_work_tree(server: Place) -> None:
    """A server's repository can be read."""
    found = server.open()
    assert (found.git_dir, found.work_tree, found.current_branch()) == (server.path, None, "main")
    assert found.resolve("HEAD") == found.ref("refs/heads/main")


def test_a_linked_work_tree_shares_refs_and_objects(place: Place, tmp_path: Path) -> None:
    """Opened from a linked work tree, the git directory is the common one and HEAD is the work tree's own."""
    place.git("worktree", "add", "--quiet", "-b", "change/x", str(tmp_path / "linked"))
    found = Repository.open(tmp_path / "linked", place.env)
    assert (found.git_dir, found.work_tree) == (place.path / ".git", tmp_path / "linked")
    assert found.current_branch() == "change/x"
    assert found.ref("refs/heads/main") == place.git("rev-parse", "refs/heads/main")


def test_a_folder_outside_any_repository_is_an_error_with_a_hint(tmp_path: Path, env: dict[str, str]) -> None:
    """It says what to do."""
    with pytest.raises(RepositoryError) as error:
        Repository.open(tmp_path, env)
    assert (code_of(error), error.value.hint) == ("noRepository", "git init -b main, or maa -C DIR")


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path, env: dict[str, str]) -> None:
    """No OSError leaves the adapter."""
    with pytest.raises(RepositoryError, match="cannot be started in"):
        Repository.open(tmp_path / "missing", env)


def test_git_must_be_there(place: Place, tmp_path: Path) -> None:
    """Without git on the environment's PATH nothing starts."""
    with pytest.raises(RepositoryError) as error:
        place.open(PATH=str(tmp_path))
    assert code_of(error) == "gitMissing"


@pytest.mark.parametrize("said", ["git version 2.33.9", "git version 1.99", "something else 3.1"])
def test_git_must_be_new_enough(place: Place, said: str) -> None:
    """An old git, or a program that is not git, is refused before it is asked anything."""
    place.script("bin/git", f"echo '{said}'")
    with pytest.raises(RepositoryError) as error:
        place.open(PATH=str(place.path / "bin"))
    assert code_of(error) == "gitTooOld"


def test_git_must_be_a_program(place: Place) -> None:
    """No OSError leaves the adapter."""
    place.script("bin/git").write_bytes(b"\0")
    with pytest.raises(RepositoryError, match="cannot be started"):
        place.open(PATH=str(place.path / "bin"))


def test_a_repository_of_somebody_else_is_refused_with_the_command_to_trust_it(place: Place) -> None:
    """Git's own check of the owner holds."""
    place.script("bin/git", f'GIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec "{GIT}" "$@"')
    with pytest.raises(RepositoryError) as error:
        place.open(PATH=str(place.path / "bin"))
    assert code_of(error) == "notOwned"
    assert error.value.hint == f"git config --global --add safe.directory {place.path}"


def test_a_sha256_repository_is_refused(tmp_path: Path, env: dict[str, str]) -> None:
    """It cannot be read, and says so."""
    Place(tmp_path, env).git("init", "--quiet", "--object-format=sha256", "other")
    with pytest.raises(RepositoryError, match="SHA-256") as error:
        Repository.open(tmp_path / "other", env)
    assert code_of(error) == "unsupportedRepository"


def test_a_partial_clone_is_refused(server: Place, clone: Callable[..., Place]) -> None:
    """A clone that lacks objects would answer from what happens to be there."""
    server.git("config", "uploadpack.allowFilter", "true")
    with pytest.raises(RepositoryError, match="partial clone") as error:
        clone("partial", "--filter=blob:none").open()
    assert code_of(error) == "unsupportedRepository"


def test_a_reftable_repository_is_refused(place: Place) -> None:
    """Whether git knows reftables or not, the answer is a clear error."""
    place.git("config", "core.repositoryFormatVersion", "1")
    place.git("config", "extensions.refStorage", "reftable")
    with pytest.raises(RepositoryError, match=r"ref.?table|refstorage") as error:
        place.open()
    assert code_of(error) == "unsupportedRepository"


def test_a_repository_that_only_git_can_read_is_refused(place: Place) -> None:
    """An extension that libgit2 does not know is an error of ours, not its."""
    place.git("config", "core.repositoryFormatVersion", "1")
    place.git("config", "extensions.noop-v1", "true")
    with pytest.raises(RepositoryError, match="cannot be opened") as error:
        place.open()
    assert code_of(error) == "unsupportedRepository"


def test_d10_variables_that_redirect_git_are_ignored(place: Place, server: Place) -> None:
    """GIT_DIR and its kin, as a hook or an attacker sets them, change nothing."""
    place.git("commit", "--quiet", "--allow-empty", "-m", "only here")
    redirected = place.open(
        GIT_DIR=str(server.path),
        GIT_WORK_TREE=str(server.path),
        GIT_INDEX_FILE="/nowhere/index",
        GIT_OBJECT_DIRECTORY=str(server.path / "objects"),
        GIT_COMMON_DIR=str(server.path),
        GIT_NAMESPACE="other",
        GIT_CONFIG="/nowhere/config",
        GIT_CEILING_DIRECTORIES=str(place.path.parent),
    )
    assert redirected.git_dir == place.path / ".git"
    assert redirected.resolve("HEAD") == place.git("rev-parse", "HEAD")
    assert redirected.dirty_paths(place.path) == ()


# Configuration


def test_configuration_is_what_git_itself_would_use(place: Place) -> None:
    """Variables such as GIT_CONFIG_COUNT count, which libgit2 overlooks."""
    place.git("config", "maa.protectedBranch", "main")
    repository = place.open(GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="maa.protectedBranch", GIT_CONFIG_VALUE_0="release")
    assert repository.config("maa.protectedBranch") == "release"
    assert place.open().config("maa.protectedBranch") == "main"


def test_an_unset_name_is_none_and_an_empty_value_is_not(place: Place) -> None:
    """The two are told apart."""
    place.git("config", "maa.empty", "")
    repository = place.open()
    assert (repository.config("maa.unset"), repository.config("maa.empty")) == (None, "")


def test_paths_are_expanded(place: Place) -> None:
    """``~`` is the home folder of the environment."""
    place.git("config", "user.signingKey", "~/.ssh/id")
    repository = place.open()
    assert repository.config_path("user.signingKey") == Path(place.env["HOME"]) / ".ssh" / "id"
    assert repository.config_path("user.other") is None


def test_setting_a_value_is_for_this_clone(place: Place) -> None:
    """A value may look like an option; the person's own file stays as it is."""
    repository = place.open()
    before = Path(place.env["GIT_CONFIG_GLOBAL"]).read_text()
    repository.set_config("maa.trustedStart", "--global")
    assert repository.config("maa.trustedStart") == "--global"
    assert Path(place.env["GIT_CONFIG_GLOBAL"]).read_text() == before


def test_a_setting_that_cannot_be_is_an_error(place: Place) -> None:
    """Git's own words say why."""
    with pytest.raises(RepositoryError, match="key does not contain") as error:
        place.open().set_config("maa", "x")
    assert code_of(error) == "gitFailed"


def test_broken_configuration_is_an_error(place: Place) -> None:
    """Unreadable is not unset."""
    repository = place.open()
    (place.path / ".git" / "config").write_text("[broken")
    with pytest.raises(RepositoryError) as error:
        repository.config("maa.protectedBranch")
    assert code_of(error) == "gitFailed"


def test_identity_is_git_s(place: Place) -> None:
    """Variables win over configuration, as in git."""
    assert place.open().identity() == ALICE
    nobody = {name: value for name, value in place.env.items() if "AUTHOR" not in name}
    place.git("config", "user.name", "Bob")
    place.git("config", "user.email", "bob@contoso.com")
    assert Repository.open(place.path, nobody).identity() == Identity("Bob", "bob@contoso.com")


def test_an_unset_identity_is_one_clear_error(place: Place) -> None:
    """A name guessed from the machine is nobody's."""
    nobody = {name: value for name, value in place.env.items() if "AUTHOR" not in name and "COMMITTER" not in name}
    with pytest.raises(RepositoryError) as error:
        Repository.open(place.path, {**nobody, "EMAIL": "root@machine.example"}).identity()
    assert code_of(error) == "identityMissing"


# Objects


def test_reading_what_git_wrote(place: Place) -> None:
    """Commit, tree and file, by their ids."""
    oid = place.commit({"policies/apps.yaml": "a: 1\n"}, "Protect apps\n\nSecond paragraph.")
    repository = place.open()
    commit = repository.commit(oid)
    assert commit.parents == (place.git("rev-parse", "HEAD~1"),)
    assert (commit.author, commit.committer) == (ALICE, ALICE)
    assert commit.message == "Protect apps\n\nSecond paragraph.\n"
    assert [(entry.name, entry.mode) for entry in repository.tree(commit.tree)] == [
        ("policies", "040000"),
        ("readme", "100644"),
    ]
    file = repository.entry(commit.tree, "policies/apps.yaml")
    assert file is not None
    assert repository.blob(file.oid) == b"a: 1\n"
    assert repository.blob_size(file.oid) == 5


def test_entry_of_a_path_that_is_not_there(place: Place) -> None:
    """A file is no folder, and a missing folder holds nothing."""
    place.commit({"policies/apps.yaml": "a: 1\n"})
    repository = place.open()
    tree = place.git("rev-parse", "HEAD^{tree}")
    paths = ["policies/none", "none/apps.yaml", "policies/apps.yaml/x", "", "policies/", "/policies"]
    assert [repository.entry(tree, path) for path in paths] == [None] * len(paths)


def test_d14_ids_are_never_abbreviated(place: Place) -> None:
    """An abbreviation is no object, though libgit2 would find one."""
    repository = place.open()
    oid = place.git("rev-parse", "HEAD")
    assert repository.has(oid)
    assert not repository.has(oid[:10])
    for short in (oid[:10], oid.upper(), ""):
        with pytest.raises(RepositoryError) as error:
            repository.commit(short)
        assert code_of(error) == "missingObject"


def test_a_missing_object_is_an_error_that_names_the_likely_cause(place: Place) -> None:
    """Whatever was asked of it."""
    repository = place.open()
    for read in (repository.commit, repository.tree, repository.blob, repository.blob_size):
        with pytest.raises(RepositoryError, match="shallow clone") as error:
            read("1" * 40)
        assert (code_of(error), error.value.hint) == ("missingObject", "git fetch --unshallow")


def test_an_object_of_another_kind_is_refused(place: Place) -> None:
    """A tree may claim that a commit is a file."""
    repository = place.open()
    commit, tree = place.git("rev-parse", "HEAD"), place.git("rev-parse", "HEAD^{tree}")
    wrong = [
        (repository.commit, tree),
        (repository.tree, commit),
        (repository.blob, tree),
        (repository.blob_size, tree),
    ]
    codes = []
    for read, oid in wrong:
        with pytest.raises(RepositoryError) as error:
            read(oid)
        codes.append(code_of(error))
    assert codes == ["malformedCommit", "malformedTree", "malformedTree", "malformedTree"]


def test_a_corrupt_object_is_an_error(place: Place) -> None:
    """Bytes that do not make the id are not taken for the object."""
    oid, other = place.blob("right"), place.blob("wrong")
    objects = place.path / ".git" / "objects"
    target = objects / oid[:2] / oid[2:]
    target.chmod(0o644)
    target.write_bytes((objects / other[:2] / other[2:]).read_bytes())
    with pytest.raises(RepositoryError) as error:
        place.open().blob(oid)
    assert code_of(error) == "corruptObject"


def test_objects_that_git_adds_or_packs_later_are_seen(place: Place) -> None:
    """The git program fetches and repacks while the repository is open."""
    repository = place.open()
    assert not repository.has("1" * 40)
    first = place.commit({"a": "1"})
    assert repository.commit(first).oid == first
    place.git("repack", "-adq")
    second = place.commit({"a": "2"})
    place.git("repack", "-adq")
    place.git("prune-packed")
    assert repository.commit(second).parents == (first,)
    assert repository.blob_size(place.git("rev-parse", "HEAD:a")) == 1
    assert repository.has(place.git("rev-parse", "HEAD^{tree}"))


def _entry(mode: str, name: str, oid: str) -> bytes:
    return f"{mode} {name}".encode() + b"\0" + bytes.fromhex(oid)


BLOB = "ce013625030ba8dba906f756967f9e9ca394464a"  # "hello\n", in every repository of these tests
MALFORMED_TREES = {
    "duplicates": _entry("100644", "p.yml", BLOB) + _entry("100644", "p.yml", "1" * 40),
    "file_and_folder": _entry("100644", "a", BLOB) + _entry("100644", "a.b", BLOB) + _entry("40000", "a", "1" * 40),
    "wrong_order": _entry("100644", "b", BLOB) + _entry("100644", "a", BLOB),
    "folder_sorted_as_file": _entry("40000", "a", "1" * 40) + _entry("100644", "a.b", BLOB),
    "dot_git": _entry("40000", ".git", "1" * 40),
    "dot_git_in_another_case": _entry("100644", ".gIt", BLOB),
    "dot_dot": _entry("40000", "..", "1" * 40),
    "dot": _entry("40000", ".", "1" * 40),
    "slash": _entry("100644", "a/b", BLOB),
    "empty_name": _entry("100644", "", BLOB),
    "group_writable": _entry("100664", "a", BLOB),
    "padded_mode": _entry("040000", "a", "1" * 40),
    "no_mode": b"a\0" + bytes(20),
    "cut_off_id": _entry("100644", "a", BLOB)[:-1],
    "no_id": b"100644 a",
}


@pytest.mark.parametrize("case", sorted(MALFORMED_TREES))
def test_d6_malformed_trees_are_refused(place: Place, case: str) -> None:
    """Where two readers of git objects could see different files, nothing is read."""
    assert place.git("rev-parse", "HEAD:readme") == BLOB
    oid = place.raw("tree", MALFORMED_TREES[case])
    repository = place.open()
    for read in (repository.tree, lambda oid: repository.entry(oid, "p.yml")):
        with pytest.raises(RepositoryError, match=oid) as error:
            read(oid)
        assert code_of(error) == "malformedTree"


@pytest.mark.parametrize(
    "entries",
    [
        [Entry(".git", "100644", BLOB)],
        [Entry("a", "100644", BLOB), Entry("a", "040000", BLOB)],
        [Entry("a/b", "100644", BLOB)],
        [Entry("a\0b", "100644", BLOB)],
        [Entry("a", "100600", BLOB)],
        [Entry("a", "100644", BLOB[:-1])],
        [Entry("a", "100644", BLOB.upper())],
    ],
)
def test_d6_malformed_trees_are_not_written(place: Place, entries: list[Entry]) -> None:
    """What would not be read is not written either."""
    with pytest.raises(RepositoryError) as error:
        place.open().write_tree(entries)
    assert code_of(error) == "malformedTree"


def test_names_that_are_not_utf_8_survive_reading_and_writing(place: Place) -> None:
    """Latin-1 names are odd, not malformed."""
    oid = place.raw("tree", b"100644 caf\xe9\0" + bytes.fromhex(BLOB))
    repository = place.open()
    entries = repository.tree(oid)
    assert entries[0].name == "caf\udce9"
    assert repository.write_tree(entries) == oid


def test_written_trees_are_git_s(place: Place) -> None:
    """Any order of entries gives the tree that git makes."""
    names = ["a", "a.b", "a-b", "ab", "B"]
    folder = place.tree(f"100644 {BLOB} x")
    entries = [Entry(name, "100755", BLOB) for name in names[1:]] + [Entry("a", "040000", folder)]
    expected = place.tree(f"100644 {BLOB} a/x", *(f"100755 {BLOB} {name}" for name in names[1:]))
    repository = place.open()
    assert repository.write_tree(entries) == repository.write_tree(reversed(entries)) == expected
    assert repository.write_tree(()) == place.git("hash-object", "-t", "tree", "/dev/null")
    assert repository.write_blob(b"hello\n") == BLOB


HEAD = f"tree {BLOB}\n"
WHO = "Mallory <m@x.example> 1 +0000\n"
MALFORMED_COMMITS = {
    "two_trees": f"{HEAD}{HEAD}author {WHO}committer {WHO}\nx",
    "tree_at_the_end": f"{HEAD}author {WHO}committer {WHO}{HEAD}\nx",
    "two_authors": f"{HEAD}author {WHO}author {WHO}committer {WHO}\nx",
    "two_committers": f"{HEAD}author {WHO}committer {WHO}committer {WHO}\nx",
    "late_parent": f"{HEAD}author {WHO}committer {WHO}parent {BLOB}\n\nx",
    "parent_among_others": f"{HEAD}author {WHO}committer {WHO}encoding x\nparent {BLOB}\n\nx",
    "no_tree": f"author {WHO}committer {WHO}\nx",
    "no_author": f"{HEAD}committer {WHO}\nx",
    "committer_first": f"{HEAD}committer {WHO}author {WHO}\nx",
    "short_parent": f"{HEAD}parent {BLOB[:-1]}\nauthor {WHO}committer {WHO}\nx",
    "upper_case": f"{HEAD.upper()}author {WHO}committer {WHO}\nx",
    "two_addresses": f"{HEAD}author A <a@x> <b@x> 1 +0000\ncommitter {WHO}\nx",
    "no_address": f"{HEAD}author A 1 +0000\ncommitter {WHO}\nx",
    "no_time": f"{HEAD}author A <a@x>\ncommitter {WHO}\nx",
    "nul": f"{HEAD}author A\0 <a@x> 1 +0000\ncommitter {WHO}\nx",
    "no_blank_line": f"{HEAD}author {WHO}committer {WHO}",
    "empty": "",
}


@pytest.mark.parametrize("case", sorted(MALFORMED_COMMITS))
def test_a10_malformed_commits_are_refused(place: Place, case: str) -> None:
    """One tree, then parents, one author, one committer; anything else could be read in two ways."""
    oid = place.raw("commit", MALFORMED_COMMITS[case].encode())
    with pytest.raises(RepositoryError) as error:
        place.open().commit(oid)
    assert code_of(error) == "malformedCommit"


def test_further_headers_do_not_matter(place: Place) -> None:
    """Signatures, encodings and text in other encodings are in order."""
    raw = f"{HEAD}parent {BLOB}\nparent {BLOB}\nauthor <a@x.example> -1 +0000\ncommitter J\xfcrgen <j@x> 1 -0330\n"
    raw += "gpgsig -----BEGIN\n \n tree in the signature\nencoding latin-1\n\n\ntree is a word\n"
    commit = place.open().commit(place.raw("commit", raw.encode("latin-1")))
    assert commit.parents == (BLOB, BLOB)
    assert commit.author == Identity("", "a@x.example")
    assert commit.committer == Identity("J\N{REPLACEMENT CHARACTER}rgen", "j@x")
    assert commit.message == "\ntree is a word\n"


def test_written_commits_are_git_s(place: Place) -> None:
    """The same facts give the same id as git's own commit."""
    tree, parent = place.git("rev-parse", "HEAD^{tree}"), place.git("rev-parse", "HEAD")
    date = {"GIT_AUTHOR_DATE": f"{int(NOON.timestamp())} +0000", "GIT_COMMITTER_DATE": f"{int(NOON.timestamp())} +0000"}
    expected = place.git("commit-tree", tree, "-p", parent, "-m", "Complete ünïcode", env=date)
    written = place.open().write_commit(
        tree=tree, parents=[parent], message="Complete ünïcode", identity=ALICE, at=NOON
    )
    assert written == expected


def test_d13_an_identity_cannot_add_headers(place: Place) -> None:
    """Line feeds, angle brackets and invisible characters of a name are left out; fsck finds nothing."""
    tree = place.git("rev-parse", "HEAD^{tree}")
    mallory = Identity("Mal\nparent 1 <x>\u202e", "m@x>\0 1 +0000\nauthor")
    repository = place.open()
    oid = repository.write_commit(tree=tree, parents=[], message="a\0b\n\n", identity=mallory, at=NOON)
    commit = repository.commit(oid)
    assert (commit.parents, commit.message) == ((), "ab\n")
    assert commit.author == commit.committer == Identity("Malparent 1 x", "m@x 1 +0000author")
    place.git("fsck", "--strict")


def test_malformed_commits_are_not_written(place: Place) -> None:
    """What would not be read is not written either."""
    with pytest.raises(RepositoryError) as error:
        place.open().write_commit(tree="HEAD", parents=[], message="x", identity=ALICE, at=NOON)
    assert code_of(error) == "malformedCommit"


# Changing trees

BASE = ["a/b/one", "a/b/two", "a/three", "d", "e/f", "x.y", "x/y"]
X = ("100644", BLOB)
CHANGES: dict[str, Mapping[str, tuple[str, str] | None]] = {
    "nothing": {},
    "edit": {"a/b/one": X},
    "mode": {"d": ("100755", BLOB)},
    "new_folders": {"n/e/w": X, "a/b/c/d": X},
    "delete": {"a/three": None},
    "delete_last_of_a_folder": {"e/f": None},
    "delete_all_below": {"a/b/one": None, "a/b/two": None, "a/three": None},
    "delete_everything": dict.fromkeys(BASE),
    "delete_what_is_not_there": {"none": None, "no/ne": None, "a/none": None, "d/below": None},
    "folder_to_file": {"a/b/one": None, "a/b/two": None, "a/b": X},
    "file_to_folder": {"d": None, "d/new": X},
    "folder_to_file_untold": {"a": X},
    "file_to_folder_untold": {"d/new/er": X},
    "order_of_folders_and_files": {"x-y": X, "x0": X, "x/z": X},
    "move": {"a/three": None, "e/three": X},
}


@pytest.mark.parametrize("case", sorted(CHANGES))
def test_replace_paths_gives_the_tree_that_git_s_index_gives(place: Place, case: str) -> None:
    """Git's index is the model for files, folders and one taking the other's place."""
    base = place.tree(*(f"100644 {place.blob(path)} {path}" for path in BASE))
    index = {"GIT_INDEX_FILE": str(place.path / ".git" / "index-of-the-test")}
    lines = [f"0 {ZERO}\t{path}\n" for path, file in CHANGES[case].items() if file is None]
    lines += [f"{file[0]} {file[1]}\t{path}\n" for path, file in CHANGES[case].items() if file is not None]
    place.git("read-tree", base, env=index)
    place.git("update-index", "--replace", "--index-info", env=index, stdin="".join(lines).encode())
    expected = place.git("write-tree", env=index)
    repository = place.open()
    backwards = dict(reversed(list(CHANGES[case].items())))
    assert repository.replace_paths(base, CHANGES[case]) == expected
    assert repository.replace_paths(base, backwards) == expected


def test_replace_paths_leaves_a_folder_where_a_file_is_taken_away(place: Place) -> None:
    """Taking away a file that is not there must not take a folder with others' files."""
    base = place.tree(f"100644 {BLOB} a/b")
    assert place.open().replace_paths(base, {"a": None}) == base


def test_replace_paths_reads_only_what_it_touches(place: Place) -> None:
    """An unreadable folder elsewhere is no obstacle."""
    base = place.raw("tree", _entry("40000", "broken", "1" * 40) + _entry("100644", "file", BLOB))
    other = place.blob("other")
    expected = place.raw("tree", _entry("40000", "broken", "1" * 40) + _entry("100644", "file", other))
    assert place.open().replace_paths(base, {"file": ("100644", other)}) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"a": X, "a/b": X},
        {".git/config": X},
        {"a/../b": X},
        {"a//b": X},
        {"/a": X},
        {"": X},
        {"a": ("040755", BLOB)},
        {"/".join("a" * 5000): X},
    ],
)
def test_replace_paths_refuses_paths_that_no_tree_can_hold(
    place: Place, changes: Mapping[str, tuple[str, str] | None]
) -> None:
    """Neither traversal nor endless depth gets into a tree."""
    with pytest.raises(RepositoryError) as error:
        place.open().replace_paths(place.git("rev-parse", "HEAD^{tree}"), changes)
    assert code_of(error) == "malformedTree"


# Names


def test_refs_are_read_by_their_full_names(place: Place) -> None:
    """Loose or packed, made before or after opening."""
    repository = place.open()
    head = place.git("rev-parse", "HEAD")
    place.git("branch", "change/a")
    place.git("pack-refs", "--all")
    place.git("branch", "change/b")
    place.git("branch", "changes")
    assert repository.refs("refs/heads/change/") == {"refs/heads/change/a": head, "refs/heads/change/b": head}
    assert repository.ref("refs/heads/change/a") == head
    assert repository.ref("refs/heads/none") is None
    for name in ("refs/heads/a..b", "refs/heads/ ", "refs/heads/x\n", "refs/heads/*"):
        assert repository.ref(name) is None


@pytest.mark.parametrize("name", ["main", "HEAD", "heads/main", ""])
def test_b3_short_names_are_no_names(place: Place, name: str) -> None:
    """What could be a tag is never looked up."""
    with pytest.raises(RepositoryError) as error:
        place.open().ref(name)
    assert code_of(error) == "invalidRef"


def test_b3_a_tag_named_like_the_branch_is_never_picked(place: Place) -> None:
    """Full names find the branch; a short one that could be either is an error."""
    tip = place.commit({})
    place.git("tag", "main", "HEAD~1")
    repository = place.open()
    assert repository.ref("refs/heads/main") == repository.resolve("refs/heads/main") == tip
    for revision in ("main", "main~0"):
        with pytest.raises(RepositoryError) as error:
            repository.resolve(revision)
        assert code_of(error) == "ambiguousRevision"


def test_a_ref_that_points_at_a_ref_is_refused(place: Place) -> None:
    """One branch must not move when another does."""
    place.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    repository = place.open()
    with pytest.raises(RepositoryError) as error:
        repository.ref("refs/heads/alias")
    assert code_of(error) == "invalidRef"
    assert list(repository.refs("refs/heads/")) == ["refs/heads/main"]


def test_a_ref_that_cannot_be_read_is_not_absent(place: Place) -> None:
    """Nonsense in its file, or a commit that is gone."""
    heads = place.path / ".git" / "refs" / "heads"
    (heads / "broken").write_text("nonsense\n")
    (heads / "dangling").write_text("1" * 40 + "\n")
    repository = place.open()
    for name, code in (("broken", "corruptObject"), ("dangling", "missingObject")):
        with pytest.raises(RepositoryError, match=name) as error:
            repository.ref(f"refs/heads/{name}")
        assert code_of(error) == code
    with pytest.raises(RepositoryError):
        repository.refs("refs/heads/")


def test_tags_are_peeled_and_what_is_no_commit_is_refused(place: Place) -> None:
    """A ref's value is a commit or an error."""
    place.git("tag", "-a", "-m", "one", "v1")
    place.git("update-ref", "refs/maa/blob", BLOB)
    repository = place.open()
    assert repository.ref("refs/tags/v1") == place.git("rev-parse", "HEAD")
    with pytest.raises(RepositoryError) as error:
        repository.ref("refs/maa/blob")
    assert code_of(error) == "corruptObject"


def test_resolving_what_a_person_types(place: Place) -> None:
    """Names, abbreviations and expressions, as in git; options and nonsense are nothing."""
    tip = place.commit({})
    place.git("tag", tip[:39] + ("0" if tip[39] != "0" else "1"), "HEAD~1")
    place.git("update-ref", f"refs/tags/{tip}", "HEAD~1")
    repository = place.open()
    assert [repository.resolve(x) for x in ("HEAD", "main", tip, tip[:10], "@")] == [tip] * 5
    assert repository.resolve("HEAD^") == place.git("rev-parse", "HEAD~1")
    for nonsense in ("none", "", "--all", "-h", "HEAD..main", "HEAD\0", "HEAD:readme", "1" * 40, "\udcff"):
        assert repository.resolve(nonsense) is None


def test_d11_a_branch_that_looks_like_an_option_is_a_branch(place: Place, server: Place) -> None:
    """It is moved, fetched and deleted like any other."""
    head = place.git("rev-parse", "HEAD")
    place.git("remote", "add", "origin", f"file://{server.path}")
    repository = place.open()
    for name in ("refs/heads/-x", "refs/heads/--upload-pack=touch pwned".replace(" ", "-")):
        repository.update_refs([RefUpdate(name, None, head)], "--stdin")
        repository.push([RefUpdate(name, None, head)])
        assert repository.ref(name) == server.open().ref(name) == head
        repository.push([RefUpdate(name, head, None)])
        assert server.open().ref(name) is None


# History


def _fork(place: Place) -> tuple[str, str, str]:
    """Two branches from one commit: (base, left, right), all with a commit of their own."""
    base = place.commit({"base": "1"})
    left = place.commit({"left": "1"})
    place.git("switch", "--quiet", "-c", "right", base)
    return base, left, place.commit({"right": "1"})


def test_merge_bases_and_commits_between(place: Place) -> None:
    """None, one, and two in a criss-cross."""
    base, left, right = _fork(place)
    tree = place.git("rev-parse", f"{base}^{{tree}}")
    one = place.git("commit-tree", tree, "-p", left, "-p", right, "-m", "one")
    two = place.git("commit-tree", tree, "-p", right, "-p", left, "-m", "two")
    alone = place.git("commit-tree", tree, "-m", "alone")
    repository = place.open()
    assert repository.merge_bases(left, right) == (base,)
    assert repository.merge_bases(one, two) == tuple(sorted([left, right]))
    assert repository.merge_bases(left, alone) == ()
    assert set(repository.commits_between(left, one)) == {one, right}
    assert repository.commits_between(one, left) == ()


def test_d11_questions_about_history_take_ids_only(place: Place) -> None:
    """Neither an option nor a name gets to git."""
    repository = place.open()
    head = place.git("rev-parse", "HEAD")
    for ask in (repository.merge_bases, repository.commits_between):
        for other in ("--all", "main", head[:10]):
            for pair in ((head, other), (other, head)):
                with pytest.raises(RepositoryError) as error:
                    ask(*pair)
                assert code_of(error) == "missingObject"


def test_d8_replace_refs_have_no_say(place: Place) -> None:
    """A replaced commit is read as it was signed for."""
    base, left, right = _fork(place)
    repository = place.open()
    before = repository.commit(left)
    place.git("replace", left, place.git("rev-parse", f"{base}~1"))
    again = place.open()
    assert again.commit(left) == before
    assert again.merge_bases(left, right) == (base,)
    assert again.resolve("main") == left
    assert again.commits_between(base, left) == (left,)


def test_d8_grafts_have_no_say(place: Place) -> None:
    """A history cut or lengthened by a graft is the one of the commits themselves."""
    base, left, right = _fork(place)
    grafts = place.path / ".git" / "info" / "grafts"
    grafts.write_text(f"{left}\n{right} {left}\n")
    repository = place.open()
    assert repository.commit(left).parents == (base,)
    assert repository.merge_bases(left, right) == (base,)
    assert set(repository.commits_between(left, right)) == {right}


def test_d8_a_commit_graph_has_no_say(place: Place) -> None:
    """Parents known only to git's cache are absent."""
    base, left, right = _fork(place)
    place.git("commit-graph", "write", "--reachable")
    (place.path / ".git" / "objects" / base[:2] / base[2:]).unlink()
    repository = place.open()
    for ask in (repository.merge_bases, repository.commits_between):
        with pytest.raises(RepositoryError) as error:
            ask(left, right)
        assert code_of(error) == "missingObject"


def test_h26_a_shallow_clone_says_so(place: Place, server: Place, clone: Callable[..., Place]) -> None:
    """A named parent that is absent is an error, never a beginning."""
    _, left, right = _fork(place)
    place.git("push", "--quiet", str(server.path), "main", "right")
    shallow = clone("shallow", "--depth", "1", "--no-single-branch")
    repository = shallow.open()
    assert repository.ref("refs/remotes/origin/right") == right
    parent = repository.commit(right).parents[0]
    for ask in (
        lambda: repository.commit(parent),
        lambda: repository.merge_bases(left, right),
        lambda: repository.commits_between(left, right),
    ):
        with pytest.raises(RepositoryError, match="shallow clone") as error:
            ask()
        assert (code_of(error), error.value.hint) == ("missingObject", "git fetch --unshallow")


def test_h26_an_emptied_shallow_list_changes_nothing(place: Place, clone: Callable[..., Place]) -> None:
    """Forging the list in a full clone cuts nothing off."""
    base, left, right = _fork(place)
    (place.path / ".git" / "shallow").write_text(f"{left}\n{right}\n")
    repository = place.open()
    assert repository.commit(left).parents == (base,)
    assert repository.merge_bases(left, right) == (base,)


# Moving refs


def test_update_refs_creates_moves_and_deletes_at_once(place: Place) -> None:
    """One transaction, noted in the reflog."""
    old, new = place.git("rev-parse", "HEAD"), place.commit({})
    place.git("branch", "gone")
    place.git("branch", "moved", old)
    repository = place.open()
    repository.update_refs(
        [
            RefUpdate("refs/heads/gone", new, None),
            RefUpdate("refs/heads/moved", old, new),
            RefUpdate("refs/maa/verified/main", None, new),
        ],
        "maa: complete\nrefs/heads/evil",
    )
    assert repository.refs("refs/") == {
        "refs/heads/main": new,
        "refs/heads/moved": new,
        "refs/maa/verified/main": new,
    }
    assert "maa: complete refs/heads/evil" in place.git("reflog", "show", "moved")


def test_f1_update_refs_moves_nothing_if_one_is_elsewhere(place: Place) -> None:
    """A moved, a missing and an already existing ref are each a lost race, to be tried again."""
    old, new = place.git("rev-parse", "HEAD"), place.commit({})
    repository = place.open()
    good = RefUpdate("refs/heads/a", None, new)
    for stale in (
        RefUpdate("refs/heads/main", old, new),
        RefUpdate("refs/heads/main", None, new),
        RefUpdate("refs/heads/none", old, new),
        RefUpdate("refs/heads/main", old, None),
    ):
        with pytest.raises(RemoteError) as error:
            repository.update_refs([good, stale], "race")
        assert (code_of(error), error.value.retry) == ("lostRace", True)
        assert repository.refs("refs/") == {"refs/heads/main": new}


def test_f1_an_update_can_pin_a_ref_that_does_not_move(place: Place) -> None:
    """From a commit to the same commit: it must be there for the others to move."""
    old, new = place.git("rev-parse", "HEAD"), place.commit({})
    repository = place.open()
    repository.update_refs([RefUpdate("refs/heads/main", new, new), RefUpdate("refs/heads/a", None, new)], "pin")
    with pytest.raises(RemoteError) as error:
        repository.update_refs([RefUpdate("refs/heads/main", old, old), RefUpdate("refs/heads/b", None, new)], "pin")
    assert code_of(error) == "lostRace"
    assert repository.refs("refs/") == {"refs/heads/a": new, "refs/heads/main": new}


def test_a_ref_that_points_at_a_ref_does_not_drag_it_along(place: Place) -> None:
    """The transaction is about the names given, and no others."""
    old, new = place.git("rev-parse", "HEAD"), place.commit({})
    place.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    place.open().update_refs([RefUpdate("refs/heads/alias", new, old)], "alias")
    assert place.open().refs("refs/") == {"refs/heads/alias": old, "refs/heads/main": new}


def test_a_name_that_cannot_be_is_no_lost_race(place: Place) -> None:
    """A branch below a branch, or an object that is not here: trying again would not help."""
    head = place.git("rev-parse", "HEAD")
    repository = place.open()
    for update in (RefUpdate("refs/heads/main/x", None, head), RefUpdate("refs/heads/y", None, "1" * 40)):
        with pytest.raises(RepositoryError) as error:
            repository.update_refs([update], "no")
        assert code_of(error) == "gitFailed"


@pytest.mark.parametrize(
    "ref",
    ["main", "HEAD", "refs/heads/a b", "refs/heads/a:b", "refs/heads/*", "refs/heads/a\nb", "refs/heads/a\0", "-x"],
)
def test_d12_a_name_of_several_meanings_is_refused(ref: str) -> None:
    """Neither refspec, pattern nor command line can be made of a name."""
    with pytest.raises(RepositoryError) as error:
        RefUpdate(ref, None, "1" * 40)
    assert code_of(error) == "invalidRef"


def test_d14_refs_move_between_full_ids_only() -> None:
    """An abbreviation or a name in place of an id is refused."""
    for oid in ("1234567", "HEAD", "", "1" * 40 + "\n"):
        with pytest.raises(RepositoryError) as error:
            RefUpdate("refs/heads/x", oid, None)
        assert code_of(error) == "invalidRef"


# Work trees


def test_current_branch(place: Place, tmp_path: Path) -> None:
    """Also before its first commit; none when detached."""
    repository = place.open()
    assert repository.current_branch() == "main"
    place.git("switch", "--quiet", "--orphan", "change/new")
    assert repository.current_branch() == "change/new"
    place.git("switch", "--quiet", "--detach", "main")
    assert repository.current_branch() is None


def test_checked_out_over_all_work_trees(place: Place, tmp_path: Path) -> None:
    """Detached ones and folders that are gone are left out."""
    place.git("worktree", "add", "--quiet", "-b", "change/x", str(tmp_path / "with space"))
    place.git("worktree", "add", "--quiet", "-b", "change/gone", str(tmp_path / "gone"))
    place.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "detached"))
    shutil.rmtree(tmp_path / "gone")
    expected = {"refs/heads/main": place.path, "refs/heads/change/x": tmp_path / "with space"}
    assert place.open().checked_out() == expected
    assert Repository.open(tmp_path / "with space", place.env).checked_out() == expected


def test_dirty_paths(place: Place) -> None:
    """Changed, staged, deleted, renamed and untracked paths by their real names; ignored ones are not dirty."""
    place.commit({".gitignore": "ignored\n", "deleted": "1", "renamed": "2\n" * 9, "staged": "3", "same": "4"})
    place.write("ignored", "")
    place.write("readme", "changed")
    place.write("staged", "changed")
    place.git("add", "staged")
    place.git("mv", "renamed", "new name")
    (place.path / "deleted").unlink()
    place.write('folder/tab\tünd "quote"', "")
    assert place.open().dirty_paths(place.path) == (
        "deleted",
        'folder/tab\tünd "quote"',
        "new name",
        "readme",
        "renamed",
        "staged",
    )


def test_dirty_paths_during_a_conflict(place: Place) -> None:
    """An unmerged path is dirty."""
    _fork(place)
    place.commit({"left": "2"})
    subprocess.run([GIT, "merge", "main"], cwd=place.path, env=place.env, capture_output=True, check=False)
    assert place.open().dirty_paths(place.path) == ("left",)


def test_d10_no_file_system_monitor_is_started(place: Place) -> None:
    """A program named in the repository's configuration does not run on a look at the work tree."""
    place.script("monitor", f"touch '{place.path}/ran'")
    place.git("config", "core.fsmonitor", str(place.path / "monitor"))
    repository = place.open()
    assert repository.dirty_paths(place.path) == ("monitor",)
    assert not (place.path / "ran").exists()


def _step(place: Place, files: Mapping[str, str | None]) -> tuple[str, str]:
    """A commit (old, new) to advance over, with the work tree left at old and the branch at new."""
    old = place.git("rev-parse", "HEAD")
    new = place.commit(files)
    place.git("reset", "--quiet", "--hard", old)
    place.git("update-ref", "refs/heads/main", new)
    return old, new


def test_advancing_keeps_unrelated_work(place: Place) -> None:
    """Edited, staged, untracked and ignored files elsewhere stay exactly as they are."""
    place.commit({"a": "1", "b": "1", "c": "1", "kept": "1", "kept2": "1", ".gitignore": "ignored\n"})
    old, new = _step(place, {"a": "2", "b": None, "d/new": "2"})
    place.write("kept", "mine")
    place.write("kept2", "mine")
    place.git("add", "kept2")
    place.write("ignored", "mine")
    place.write("untracked", "mine")
    os.utime(place.path / "a", (0, 0))
    repository = place.open()
    assert repository.would_overwrite(place.path, old, new) == ()
    repository.advance_work_tree(place.path, old, new)
    assert (place.path / "a").read_text() == (place.path / "d/new").read_text() == "2"
    assert not (place.path / "b").exists()
    assert repository.dirty_paths(place.path) == ("kept", "kept2", "untracked")
    assert [(place.path / x).read_text() for x in ("kept", "kept2", "untracked", "ignored")] == ["mine"] * 4


def _edit(place: Place) -> None:
    place.write("a", "mine")


def _stage(place: Place) -> None:
    place.write("a", "mine")
    place.git("add", "a")
    place.write("a", "1")


def _delete_edited(place: Place) -> None:
    place.write("gone", "mine")


def _untracked(place: Place) -> None:
    place.write("new", "mine")


def _ignored(place: Place) -> None:
    place.write("ignored", "mine")


def _file_for_folder(place: Place) -> None:
    place.write("folder", "mine")


def _link_for_folder(place: Place) -> None:
    (place.path / "folder").symlink_to("elsewhere")


def _inside_folder(place: Place) -> None:
    place.write("swap/mine", "mine")


def _link_inside_folder(place: Place) -> None:
    (place.path / "swap" / "mine").symlink_to(place.path / ".git")


def _staged_folder(place: Place) -> None:
    place.write("folder", "mine")
    place.git("add", "folder")
    (place.path / "folder").unlink()


OBSTACLES = [
    (_edit, "a"),
    (_stage, "a"),
    (_delete_edited, "gone"),
    (_untracked, "new"),
    (_ignored, "ignored"),
    (_file_for_folder, "folder"),
    (_link_for_folder, "folder"),
    (_inside_folder, "swap/mine"),
    (_link_inside_folder, "swap/mine"),
    (_staged_folder, "folder"),
]


@pytest.mark.parametrize(("obstruct", "path"), OBSTACLES)
def test_advancing_over_uncommitted_work_is_refused(place: Place, obstruct: Callable[[Place], None], path: str) -> None:
    """Whatever stands in the way is named, before the branch moves and after, and nothing is touched."""
    old = place.commit({"a": "1", "gone": "1", "swap/x": "1", ".gitignore": "ignored\n"})
    for name in ("new", "folder/x", "swap2", "ignored"):
        place.write(name, "2")
    place.git("add", "--force", "ignored")
    new = place.commit({"a": "2", "gone": None, "swap/x": None, "swap": "2"})
    place.git("reset", "--quiet", "--hard", old)
    obstruct(place)
    repository = place.open()
    before = place.git("status", "--porcelain", "--ignored")
    assert repository.would_overwrite(place.path, old, new) == (path,)
    place.git("update-ref", "refs/heads/main", new)
    assert repository.would_overwrite(place.path, old, new) == (path,)
    with pytest.raises(RepositoryError, match=path) as error:
        repository.advance_work_tree(place.path, old, new)
    assert code_of(error) == "dirtyWorkTree"
    place.git("update-ref", "refs/heads/main", old)
    assert place.git("status", "--porcelain", "--ignored") == before


def test_advancing_swaps_files_and_folders(place: Place) -> None:
    """A file may become a folder and a folder a file; modes and links come along."""
    old = place.commit({"file": "1", "folder/x": "1", "folder/y/z": "1", "script": "1", "link": "1"})
    (place.path / "file").unlink()
    shutil.rmtree(place.path / "folder")
    (place.path / "link").unlink()
    (place.path / "link").symlink_to("readme")
    (place.path / "script").chmod(0o755)
    new = place.commit({"file/x": "2", "folder": "2"})
    place.git("reset", "--quiet", "--hard", old)
    place.git("update-ref", "refs/heads/main", new)
    repository = place.open()
    assert repository.would_overwrite(place.path, old, new) == ()
    repository.advance_work_tree(place.path, old, new)
    assert repository.dirty_paths(place.path) == ()
    assert (place.path / "link").is_symlink()
    assert (place.path / "script").stat().st_mode & stat.S_IXUSR


def test_advancing_another_work_tree(place: Place, tmp_path: Path) -> None:
    """The work tree that has the branch is moved, also seen from a bare repository."""
    place.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare"))
    bare = Place(tmp_path / "bare", place.env)
    bare.git("worktree", "add", "--quiet", str(tmp_path / "linked"), "main")
    old, linked = bare.git("rev-parse", "main"), Place(tmp_path / "linked", place.env)
    new = linked.commit({"readme": "2"})
    linked.git("reset", "--quiet", "--hard", old)
    repository = bare.open()
    where = repository.checked_out()["refs/heads/main"]
    repository.update_refs([RefUpdate("refs/heads/main", old, new)], "move")
    repository.advance_work_tree(where, old, new)
    assert where == linked.path
    assert (linked.path / "readme").read_text() == "2"
    assert repository.dirty_paths(where) == ()


# The remote


def test_remote_is_origin_or_nothing(place: Place, server: Place) -> None:
    """Other remotes do not count."""
    repository = place.open()
    place.git("remote", "add", "upstream", str(server.path))
    assert repository.remote() is None
    place.git("remote", "add", "origin", str(server.path))
    assert repository.remote() == "origin"


def test_fetch_brings_branches_and_forgets_deleted_ones(server: Place, clone: Callable[..., Place]) -> None:
    """No tags; whatever the clone's own refspec is."""
    here = clone("here", "--single-branch")
    repository = here.open()
    head = server.git("rev-parse", "main")
    server.git("branch", "change/x", "main")
    server.git("tag", "main", "main")
    repository.fetch()
    remote = "refs/remotes/origin"
    assert repository.refs(f"{remote}/") == {f"{remote}/change/x": head, f"{remote}/main": head}
    assert repository.refs("refs/tags/") == {}
    server.git("branch", "-D", "change/x")
    repository.fetch()
    assert repository.refs(f"{remote}/") == {f"{remote}/main": head}


def test_fetch_from_nowhere_may_be_tried_again(server: Place, clone: Callable[..., Place]) -> None:
    """The message is git's own reason, not its advice."""
    repository = clone("here").open()
    shutil.rmtree(server.path)
    with pytest.raises(RemoteError, match="does not appear to be a git repository") as error:
        repository.fetch()
    assert error.value.retry


def _written(place: Place, parent: str, message: str) -> str:
    """A commit on top of another, no branch moved."""
    return place.git("commit-tree", f"{parent}^{{tree}}", "-p", parent, "-m", message)


def test_push_creates_moves_and_deletes_at_once(server: Place, clone: Callable[..., Place]) -> None:
    """The remote-tracking refs follow, also in a clone of one branch."""
    here = clone("here", "--single-branch")
    repository = here.open()
    old = here.git("rev-parse", "HEAD")
    new = _written(here, old, "new")
    server.git("branch", "gone", old)
    repository.fetch()
    repository.push(
        [
            RefUpdate("refs/heads/main", old, new),
            RefUpdate("refs/heads/made", None, new),
            RefUpdate("refs/heads/gone", old, None),
        ]
    )
    assert server.open().refs("refs/") == {"refs/heads/made": new, "refs/heads/main": new}
    tracked = {"refs/remotes/origin/made": new, "refs/remotes/origin/main": new}
    assert repository.refs("refs/remotes/origin/") == tracked


def test_f3_one_stale_lease_moves_nothing(server: Place, clone: Callable[..., Place]) -> None:
    """A moved, an unexpectedly there and an unexpectedly absent branch are each a lost race."""
    here = clone("here")
    repository = here.open()
    old = here.git("rev-parse", "HEAD")
    new, other = _written(here, old, "new"), _written(here, old, "other")
    here.git("push", "--quiet", "origin", f"{other}:refs/heads/moved")
    before = server.open().refs("refs/")
    for stale in (
        RefUpdate("refs/heads/moved", old, new),
        RefUpdate("refs/heads/moved", None, new),
        RefUpdate("refs/heads/moved", old, None),
        RefUpdate("refs/heads/absent", old, new),
        RefUpdate("refs/heads/absent", old, None),
    ):
        with pytest.raises(RemoteError, match=f"moved {stale.ref.removeprefix('refs/heads/')} on origin") as error:
            repository.push([RefUpdate("refs/heads/main", old, new), stale])
        assert (code_of(error), error.value.retry) == ("lostRace", True)
        assert server.open().refs("refs/") == before


def test_f1_a_push_can_pin_a_branch_that_does_not_move(server: Place, clone: Callable[..., Place]) -> None:
    """From a commit to the same commit: it must be there for the others to move."""
    here = clone("here")
    repository = here.open()
    old = here.git("rev-parse", "HEAD")
    new = _written(here, old, "new")
    pin, made = RefUpdate("refs/heads/main", old, old), RefUpdate("refs/heads/made", None, new)
    repository.push([pin, made])
    here.git("push", "--quiet", "origin", f"{new}:refs/heads/main", ":refs/heads/made")
    with pytest.raises(RemoteError) as error:
        repository.push([pin, made])
    assert code_of(error) == "lostRace"
    assert server.open().refs("refs/") == {"refs/heads/main": new}


def test_f4_a_push_whose_answer_was_lost_can_be_repeated(server: Place, clone: Callable[..., Place]) -> None:
    """What has arrived already is done, not lost."""
    here = clone("here")
    repository = here.open()
    old = here.git("rev-parse", "HEAD")
    update = RefUpdate("refs/heads/main", old, _written(here, old, "new"))
    repository.push([update])
    repository.push([update])
    assert server.open().ref("refs/heads/main") == update.new


def test_f1_of_two_clones_that_race_one_wins(server: Place, clone: Callable[..., Place]) -> None:
    """The loser is told to try again, and can after a fetch."""
    one, two = clone("one"), clone("two")
    old = one.git("rev-parse", "HEAD")
    first, second = _written(one, old, "first"), _written(two, old, "second")
    one.open().push([RefUpdate("refs/heads/main", old, first)])
    loser = two.open()
    with pytest.raises(RemoteError) as error:
        loser.push([RefUpdate("refs/heads/main", old, second)])
    assert code_of(error) == "lostRace"
    loser.fetch()
    seen = loser.ref("refs/remotes/origin/main")
    assert seen == first
    loser.push([RefUpdate("refs/heads/main", seen, _written(two, seen, "again"))])


def test_f1_a_branch_that_moves_while_the_push_is_under_way(server: Place, clone: Callable[..., Place]) -> None:
    """The server's own comparison decides, after the client's has passed."""
    here = clone("here")
    old = here.git("rev-parse", "HEAD")
    new, other = _written(here, old, "new"), _written(server, old, "other")
    server.script("hooks/pre-receive", "unset GIT_QUARANTINE_PATH", f"git update-ref refs/heads/main {other}")
    with pytest.raises(RemoteError) as error:
        here.open().push([RefUpdate("refs/heads/main", old, new), RefUpdate("refs/heads/record", None, new)])
    assert (code_of(error), error.value.retry) == ("lostRace", True)
    assert server.open().refs("refs/") == {"refs/heads/main": other}


def test_a_push_that_the_server_s_hook_refuses(server: Place, clone: Callable[..., Place]) -> None:
    """The server's words are passed on in one line; trying again does not help."""
    here = clone("here")
    old = here.git("rev-parse", "HEAD")
    server.script("hooks/pre-receive", "echo 'cannot lock ref: not approved' >&2", "echo 'ask bob' >&2", "exit 1")
    with pytest.raises(RemoteError, match="refused the push: cannot lock ref: not approved ask bob") as error:
        here.open().push([RefUpdate("refs/heads/main", old, _written(here, old, "new"))])
    assert (code_of(error), error.value.retry) == ("refused", False)
    assert server.open().ref("refs/heads/main") == old


def test_a_push_that_an_update_hook_refuses_for_one_branch_moves_none(
    server: Place, clone: Callable[..., Place]
) -> None:
    """All or none, also when the server refuses only one of them."""
    here = clone("here")
    old = here.git("rev-parse", "HEAD")
    new = _written(here, old, "new")
    server.script("hooks/update", '[ "$1" != refs/heads/main ]')
    with pytest.raises(RemoteError) as error:
        here.open().push([RefUpdate("refs/heads/main", old, new), RefUpdate("refs/heads/x", None, new)])
    assert code_of(error) == "refused"
    assert server.open().refs("refs/") == {"refs/heads/main": old}


def test_a_push_that_can_never_succeed_is_not_to_be_tried_again(server: Place, clone: Callable[..., Place]) -> None:
    """A branch below a branch; a server that knows no atomic push."""
    here = clone("here")
    old = here.git("rev-parse", "HEAD")
    repository = here.open()
    with pytest.raises(RemoteError, match="cannot create") as error:
        repository.push([RefUpdate("refs/heads/main/x", None, old)])
    assert (code_of(error), error.value.retry) == ("refused", False)
    server.git("config", "receive.advertiseAtomic", "false")
    with pytest.raises(RemoteError, match="does not support --atomic") as error:
        repository.push([RefUpdate("refs/heads/x", None, old)])
    assert (code_of(error), error.value.retry) == ("pushFailed", False)


def test_a_push_that_the_clone_s_own_hook_refuses(server: Place, clone: Callable[..., Place]) -> None:
    """The person's hooks run, and their no is a no."""
    here = clone("here")
    old = here.git("rev-parse", "HEAD")
    here.script(".git/hooks/pre-push", "echo 'tests fail' >&2", "exit 1")
    with pytest.raises(RemoteError, match="pre-push hook refused the push: tests fail") as error:
        here.open().push([RefUpdate("refs/heads/main", old, _written(here, old, "new"))])
    assert (code_of(error), error.value.retry) == ("refused", False)


def test_a_push_to_nowhere_may_be_tried_again(server: Place, clone: Callable[..., Place]) -> None:
    """A remote that does not answer has not refused."""
    here = clone("here")
    old = here.git("rev-parse", "HEAD")
    shutil.rmtree(server.path)
    with pytest.raises(RemoteError, match="does not appear to be a git repository") as error:
        here.open().push([RefUpdate("refs/heads/main", old, _written(here, old, "new"))])
    assert (code_of(error), error.value.retry) == ("pushFailed", True)


def test_remote_head(server: Place, clone: Callable[..., Place]) -> None:
    """Known here, else asked; none where the remote has none."""
    server.git("branch", "team/trunk", "main")
    server.git("symbolic-ref", "HEAD", "refs/heads/team/trunk")
    here = clone("here")
    repository = here.open()
    assert repository.remote_head() == "team/trunk"
    here.git("remote", "set-head", "origin", "--delete")
    assert repository.remote_head() == "team/trunk"
    server.git("update-ref", "--no-deref", "HEAD", "main")
    assert repository.remote_head() is None
    shutil.rmtree(server.path)
    with pytest.raises(RemoteError) as error:
        repository.remote_head()
    assert error.value.retry


# Running git, and its editor


def test_run_gives_everything_back(place: Place) -> None:
    """Return code, output, complaints and input, in the folder asked for."""
    repository = place.open()
    failed = repository.run("rev-parse", "--verify", "none")
    assert (failed.returncode, failed.last_words) == (128, "fatal: Needed a single revision")
    assert repository.run("hash-object", "--stdin", input=b"hello\n").text == BLOB
    place.write("below/x", "")
    assert repository.run("rev-parse", "--show-prefix", cwd=place.path / "below").stdout == b"below/\n"


def test_git_s_messages_are_read_in_one_language(place: Place) -> None:
    """Whatever the person's is."""
    repository = place.open(LC_ALL="de_DE.UTF-8", LANGUAGE="de")
    assert repository.run("-c", "alias.locale=!echo $LC_ALL $LANGUAGE", "locale").text == "C.UTF-8"


def test_edit_text_starts_git_s_editor(place: Place) -> None:
    """With its arguments; comment lines and blank ends are dropped, nothing is left behind."""
    place.script(
        "my editor", '[ "$1" = --wait ] && grep -q template "$2" && printf "\\nwhy\\n# no\\n\\nso\\n\\n" >>"$2"'
    )
    place.git("config", "core.editor", f"'{place.path}/my editor' --wait")
    repository = place.open()
    before = sorted(repository.git_dir.iterdir())
    assert repository.edit_text("# template\n") == "why\n\nso"
    assert sorted(repository.git_dir.iterdir()) == before


def test_the_editor_speaks_the_person_s_language(place: Place) -> None:
    """The locale that git's messages are read in is not the editor's."""
    assert place.open(LC_ALL="de_DE.UTF-8", GIT_EDITOR="echo $LC_ALL >").edit_text("") == "de_DE.UTF-8"


def test_an_editor_that_fails_gives_no_text(place: Place) -> None:
    """Leaving with an error, or bytes that are no text, is not an empty justification."""
    for editor in ("false", "printf '\\377' >", "rm"):
        with pytest.raises(RepositoryError) as error:
            place.open(GIT_EDITOR=editor).edit_text("")
        assert code_of(error) == "editorFailed"
