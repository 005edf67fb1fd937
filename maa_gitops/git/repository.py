"""One open repository: its objects, names, work trees and remote, behind plain values."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from maa_gitops.errors import RepositoryError
from maa_gitops.git import remote, worktree
from maa_gitops.git.objects import Identity, Oid, is_oid, parse_identity
from maa_gitops.git.program import CompletedGit, Git
from maa_gitops.git.refs import RefUpdate, is_full_name, update_refs
from maa_gitops.git.snapshot import snapshot
from maa_gitops.git.store import ObjectStore, translated, trust

if TYPE_CHECKING:
    import pygit2

_WHOLE_HISTORY = {"GIT_SHALLOW_FILE": os.devnull, "GIT_GRAFT_FILE": os.devnull}


class Repository(ObjectStore):
    """An object store with names that point into it, and with the work trees and the remote around it."""

    git_dir: Path
    """The git directory that all work trees share: where refs and objects live."""
    work_tree: Path | None
    """The top of the work tree that it was opened from; None in a bare repository."""

    def __init__(self, git: Git, git_dir: Path, work_tree: Path | None, environment: Mapping[str, str]) -> None:
        super().__init__(git_dir)
        self.git_dir = git_dir
        self.work_tree = work_tree
        self._git = git
        self.environment = environment

    @classmethod
    def open(cls, directory: Path, environment: Mapping[str, str]) -> "Repository":
        """Open the repository that the folder lies in; variables that redirect git are ignored.

        Raises:
            RepositoryError: there is none, or it is of a kind that cannot be read, or git itself is not there.
        """
        git = Git.find(environment, directory)
        found = git.run(
            *("rev-parse", "--path-format=absolute", "--is-inside-work-tree", "--show-object-format"),
            "--git-common-dir",
        )
        if found.returncode:
            raise _not_opened(directory, found)
        inside, object_format, git_dir = found.text.split("\n", 2)
        work_tree = Path(git.read("rev-parse", "--show-toplevel")) if inside == "true" else None
        if work_tree is None:
            _refuse_embedded(git, Path(git_dir))
        git = replace(git, directory=work_tree or Path(git_dir))
        _refuse_unsupported(git, object_format)
        return cls(git, Path(git_dir), work_tree, environment)

    # Configuration

    def config(self, name: str) -> str | None:
        """The value that git itself would use; None if it is unset."""
        return self._config(name)

    def config_path(self, name: str) -> Path | None:
        """The value as a path, ``~`` expanded."""
        value = self._config(name, "--type=path")
        return None if value is None else Path(value)

    def _config(self, name: str, *options: str) -> str | None:
        done = self._git.run("config", "--null", *options, "--get", "--", name)
        if done.returncode > 1:
            raise RepositoryError(f"git's setting {name} cannot be read: {done.last_words}", code="gitFailed")
        return done.text.removesuffix("\0") if done.returncode == 0 else None

    def set_config(self, name: str, value: str) -> None:
        """Set it in this clone only."""
        self._git.read("config", "--local", "--", name, value)

    # Names

    def identity(self) -> Identity:
        """Who commits here, as configured; git's guess from the machine's name does not count.

        Raises:
            RepositoryError: name or address is not set.
        """
        done = self._git.run("-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT")
        found = parse_identity(done.stdout.strip()) if done.returncode == 0 else None
        if found is None or not found.name or not found.email:
            raise RepositoryError(
                "git does not know your name and e-mail address",
                hint='git config --global user.name "Your Name" && git config --global user.email you@example.com',
                code="identityMissing",
            )
        return found

    def resolve(self, revision: str) -> Oid | None:
        """The commit that a person means; None if there is none.

        Raises:
            RepositoryError: ``ambiguousRevision``, a tag and a branch of one name, say.
        """
        if "\0" in revision:
            return None
        done = self._git.run(
            *("-c", "core.warnAmbiguousRefs=true", "rev-parse", "--verify", "--end-of-options"),
            f"{revision}^{{commit}}",
        )
        if "is ambiguous" in done.stderr and not is_oid(revision):
            raise RepositoryError(
                f"{revision!r} could mean several things",
                hint=f"write the full name, such as refs/heads/{revision}",
                code="ambiguousRevision",
            )
        return done.text if done.returncode == 0 else None

    def ref(self, name: str) -> Oid | None:
        """The commit that a ref points at, by its full name; None if there is no such ref.

        Raises:
            RepositoryError: ``invalidRef``, the name is not a full one, or the ref points at another ref.
        """
        if not name.startswith("refs/"):
            raise RepositoryError(f"{name!r} is not the full name of a ref", code="invalidRef")
        if not is_full_name(name):
            return None
        with translated(name):
            found = self._libgit2.references.get(name)
            if found is None:
                return None
            if not isinstance(found.target, str):
                return self._peeled(found)
        raise RepositoryError(f"{name} points at another ref, {found.target}", code="invalidRef")

    def refs(self, prefix: str) -> dict[str, Oid]:
        """Full names with that beginning and their commits. Refs that point at other refs are left out."""
        found = {}
        with translated(prefix):
            for reference in self._libgit2.references.iterator():
                name = reference.raw_name.decode("utf-8", "surrogateescape")
                if name.startswith(prefix) and not isinstance(reference.target, str):
                    found[name] = self._peeled(reference)
        return dict(sorted(found.items()))

    def _peeled(self, reference: "pygit2.Reference") -> Oid:
        """The commit that a ref, or the tag that it points at, means.

        A commit is not read here: one that cannot be read must not hide the other refs.
        """
        import pygit2

        kind, _ = self._libgit2.odb.read_header(reference.target)
        if kind == pygit2.enums.ObjectType.COMMIT:
            return str(reference.target)
        return str(reference.peel(pygit2.Commit).id)

    def merge_bases(self, a: Oid, b: Oid) -> tuple[Oid, ...]:
        """All best common ancestors, sorted; none if the histories are unrelated.

        Raises:
            RepositoryError: ``missingObject``, the history is not all here.
        """
        return tuple(sorted(self._history("merge-base", "--all", self.commit(a).oid, self.commit(b).oid)))

    def commits_between(self, good: Oid, head: Oid) -> tuple[Oid, ...]:
        """The commits that can be reached from ``head`` and not from ``good``, newest first.

        Raises:
            RepositoryError: ``missingObject``, the history is not all here.
        """
        return self._history("rev-list", self.commit(head).oid, f"^{self.commit(good).oid}")

    def _history(self, *command: str) -> tuple[Oid, ...]:
        """Ask about ancestry with nothing between git and the commits themselves.

        A parent that is absent makes git 2.39's merge-base print a complaint and answer "none": that is an error here.
        """
        done = self._git.run(
            *("-c", "core.commitGraph=false", "-c", "advice.graftFileDeprecated=false", *command, "--"),
            extra=_WHOLE_HISTORY,
        )
        if done.returncode > 1 or re.search(r"^(error|fatal): ", done.stderr, re.MULTILINE):
            raise RepositoryError(
                f"history is not all here, which may be because this is a shallow clone: {done.last_words}",
                hint="git fetch --unshallow",
                code="missingObject",
            )
        return tuple(done.text.split())

    def update_refs(self, updates: Sequence[RefUpdate], message: str) -> None:
        """Move refs of this clone in one transaction, all or none; the message is for the reflog.

        Raises:
            RemoteError: ``lostRace``, one of them was elsewhere.
            RepositoryError: git refuses for another reason.
        """
        update_refs(self._git, updates, message)

    # Work trees

    def current_branch(self) -> str | None:
        """The short name of the branch that is checked out here, also before its first commit; None if detached."""
        done = self._git.run("symbolic-ref", "--quiet", "HEAD")
        return done.text.removeprefix("refs/heads/") if done.text.startswith("refs/heads/") else None

    def checked_out(self) -> Mapping[str, Path]:
        """The full names of all branches that are checked out, each with its work tree."""
        return worktree.checked_out(self._git)

    def dirty_paths(self, work_tree: Path) -> tuple[str, ...]:
        """The paths with uncommitted changes, untracked ones included, ignored ones not; sorted."""
        return worktree.dirty_paths(self._git, work_tree)

    def snapshot(self) -> Oid:
        """The tree that committing everything in the work tree would make; neither index nor branch changes.

        Raises:
            RepositoryError: there is no work tree, or git refuses.
        """
        if self.work_tree is None:
            raise RepositoryError("a bare repository has no files to look at", hint="name a commit with --commit REV")
        return snapshot(self._git, self.work_tree)

    def would_overwrite(self, work_tree: Path, old: Oid, new: Oid) -> tuple[str, ...]:
        """The uncommitted paths that ``advance_work_tree`` would stop at; none when it is safe."""
        return worktree.would_overwrite(self._git, work_tree, old, new)

    def advance_work_tree(self, work_tree: Path, old: Oid, new: Oid) -> None:
        """Bring index and files from ``old`` to ``new``, once the branch has moved, touching only what differs.

        Raises:
            RepositoryError: ``dirtyWorkTree``, something uncommitted would be lost; nothing is changed then.
        """
        worktree.advance(self._git, work_tree, old, new)

    # The remote

    def remote(self) -> str | None:
        """``origin`` if there is such a remote."""
        return remote.NAME if self.config(f"remote.{remote.NAME}.url") is not None else None

    def fetch(self) -> None:
        """Bring the branches of the remote here, under ``refs/remotes/origin/``.

        Raises:
            RemoteError: it cannot be done now.
        """
        remote.fetch(self._git)

    def push(self, updates: Sequence[RefUpdate]) -> None:
        """Move branches of the remote, all or none, each from the commit where it is believed to be.

        Raises:
            RemoteError: ``lostRace``, ``refused`` or ``pushFailed``.
        """
        remote.push(self._git, updates)

    def remote_head(self) -> str | None:
        """The short name of the branch that the remote calls its own.

        Raises:
            RemoteError: it has to be asked and does not answer.
        """
        return remote.head(self._git)

    # Running git, and git's editor

    def run(self, *arguments: str, cwd: Path | None = None, input: bytes | None = None) -> CompletedGit:  # noqa: A002 - subprocess's own word
        """Run another git command to its end; a failure is a return code."""
        return self._git.run(*arguments, cwd=cwd, input=input)

    def edit_text(self, template: str) -> str:
        """Let the person write, in git's editor; lines that begin with ``#`` are left out.

        Raises:
            RepositoryError: there is no editor, or it fails.
        """
        editor = self._git.read("var", "GIT_EDITOR")
        with tempfile.TemporaryDirectory(prefix="maa-", dir=self.git_dir) as folder:
            file = Path(folder) / "MAA_EDITMSG"
            file.write_text(template, encoding="utf-8")
            try:
                # As git does it: the editor is a piece of shell that its user configured; the path is an argument.
                ended = subprocess.run(
                    [shutil.which("sh") or "/bin/sh", "-c", f'{editor} "$@"', editor, str(file)],
                    env=self.environment,
                    check=False,
                )
                text = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise RepositoryError(f"the editor {editor!r} left no text: {error}", code="editorFailed") from error
        if ended.returncode:
            raise RepositoryError(f"the editor {editor!r} ended with {ended.returncode}", code="editorFailed")
        return "\n".join(line for line in text.split("\n") if not line.startswith("#")).strip()


def _not_opened(directory: Path, found: CompletedGit) -> RepositoryError:
    """The error for a folder whose repository git does not find, or does not want to read."""
    if "dubious ownership" in found.stderr or "unsafe repository" in found.stderr:
        message = f"the repository at {directory} is not owned by the current user"
        return RepositoryError(message, hint=trust(directory), code="notOwned")
    if "not a git repository" in found.stderr:
        message = f"{directory} is not in a git repository"
        return RepositoryError(message, hint="git init -b main, or maa -C DIR", code="noRepository")
    said = " ".join(found.stderr.removeprefix("fatal: ").split())
    return RepositoryError(f"git cannot read the repository at {directory}: {said}", code="unsupportedRepository")


def _refuse_embedded(git: Git, git_dir: Path) -> None:
    """Refuse a bare repository among the files of another one: whoever wrote those files also wrote its configuration.

    git would run programs that are named there. The git directory of the other repository itself is none of its files.
    """
    parent = str(git_dir.parent)
    around = git.run("-C", parent, "rev-parse", "--path-format=absolute", "--is-inside-work-tree", "--git-common-dir")
    inside, _, other = around.text.partition("\n")
    if around.returncode == 0 and inside == "true" and Path(other) != git_dir:
        raise RepositoryError(
            f"the bare repository {git_dir} lies among the files of the repository {other}",
            hint="leave that folder, or move the bare repository elsewhere",
            code="embeddedRepository",
        )


def _refuse_unsupported(git: Git, object_format: str) -> None:
    """Refuse the kinds of repositories that libgit2 cannot read, or would read incompletely."""
    found = git.run("config", "--null", "--get-regexp", r"^(extensions\.|remote\..*\.promisor$)")
    settings = dict(line.partition("\n")[::2] for line in found.text.split("\0") if line)
    promisors = [name for name in settings if name.endswith(".promisor") and settings[name] != "false"]
    reason, hint = None, None
    if object_format != "sha1" or "extensions.compatobjectformat" in settings:
        reason, hint = "uses SHA-256 object ids", "git init --object-format=sha1"
    elif settings.get("extensions.refstorage", "files") != "files":
        reason, hint = "keeps its refs in a reftable", "git refs migrate --ref-format=files"
    elif promisors or "extensions.partialclone" in settings:
        reason, hint = "is a partial clone", "git clone, without --filter"
    if reason:
        message = f"the repository at {git.directory} {reason}, which maa cannot read"
        raise RepositoryError(message, hint=hint, code="unsupportedRepository")
