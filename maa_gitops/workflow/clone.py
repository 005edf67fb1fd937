"""A clone as one command sees it: the protected branch, its last good commit, the change branches.

Opening it fetches, judges what is new on the protected branch and remembers the last good commit.
"""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from maa_gitops.errors import RepositoryError
from maa_gitops.git import Repository
from maa_gitops.history import (
    History,
    Memory,
    chain,
    oldest_with_settings,
    recall,
    remember,
    remembered_commit,
    walk,
)
from maa_gitops.model import Tenant
from maa_gitops.workflow import files

CHANGE_PREFIX = "change/"
"""Every change branch is named ``change/<name>``."""

Progress = Callable[[int, int], None]


def no_progress(_done: int, _all: int) -> None:
    """Show nothing."""


@dataclass(frozen=True, slots=True)
class Clone:
    """The state that one command works on. ``now`` is read once."""

    repository: Repository
    branch: str
    has_remote: bool
    history: History
    now: datetime

    @property
    def tip(self) -> str:
        """The commit at the tip of the protected branch."""
        return self.history.tip

    @property
    def good(self) -> str:
        """G, the last good commit of the protected branch."""
        return self.history.good.commit

    @property
    def tenant(self) -> Tenant:
        """The rules at G."""
        return self.history.good.tenant

    @property
    def shown_branch(self) -> str:
        """The protected branch as git's own commands name it here."""
        return f"origin/{self.branch}" if self.has_remote else self.branch

    def tree(self, commit: str) -> str:
        """The tree of a commit."""
        return self.repository.commit(commit).tree

    def branch_ref(self, branch: str) -> str:
        """Where this clone reads a shared branch from: the remote's copy, or its own branch if there is no remote."""
        return shared_ref(branch, has_remote=self.has_remote)

    def change_branches(self) -> Mapping[str, str]:
        """Every change branch and its head, by name."""
        prefix = self.branch_ref(CHANGE_PREFIX)
        return {CHANGE_PREFIX + ref.removeprefix(prefix): head for ref, head in self.repository.refs(prefix).items()}


def shared_ref(branch: str, *, has_remote: bool) -> str:
    """The full name of the ref by which a shared branch is known here."""
    return f"refs/remotes/origin/{branch}" if has_remote else f"refs/heads/{branch}"


def protected_branch(repository: Repository) -> str:
    """Name the protected branch: git config ``maa.protectedBranch``, else the remote's HEAD; never from the change.

    Raises:
        RepositoryError: neither says it.
    """
    configured = repository.config("maa.protectedBranch")
    if configured:
        return configured
    found = repository.remote_head() if repository.remote() is not None else None
    if found is None:
        raise RepositoryError(
            "this clone does not say which branch is protected",
            hint="git config maa.protectedBranch main, or in a new repository: maa init --tenant NAME",
            code="noProtectedBranch",
        )
    return found


def open_clone(repository: Repository, now: datetime, *, fetch: bool = True, progress: Progress = no_progress) -> Clone:
    """Fetch, find G and remember it.

    Raises:
        RepositoryError: the question cannot be answered here (no protected branch, shallow, broken rules).
        NotAllowedError: ``lostChain``, history was rewritten.
        RemoteError: the remote does not answer.
    """
    files.settle(repository)
    has_remote = repository.remote() is not None
    if has_remote and fetch:
        repository.fetch()
    branch = protected_branch(repository)
    tip = tip_of(repository, branch, has_remote=has_remote)
    history = judged(repository, branch, tip, now, progress)
    refuse_other_branch(history, branch)
    remember(repository, branch, history)
    return Clone(repository, branch, has_remote, history, now)


def refuse_other_branch(history: History, branch: str) -> None:
    """Hold the clone's protected branch to what the settings at G say.

    Raises:
        RepositoryError: ``noProtectedBranch``, they name another one.
    """
    named = history.good.tenant.settings.protected_branch
    if named != branch:
        raise RepositoryError(
            f"maa.yaml says that '{named}' is the protected branch, this clone says '{branch}'",
            hint=f"git config maa.protectedBranch {named}, if maa.yaml is right",
            code="noProtectedBranch",
        )


def tip_of(repository: Repository, branch: str, *, has_remote: bool) -> str:
    """The tip of the protected branch.

    Raises:
        RepositoryError: there is no such branch.
    """
    tip = repository.ref(shared_ref(branch, has_remote=has_remote))
    if tip is None:
        where = "on the remote" if has_remote else "here"
        raise RepositoryError(f"there is no branch '{branch}' {where}", hint="maa init --tenant NAME")
    return tip


def judged(repository: Repository, branch: str, tip: str, now: datetime, progress: Progress) -> History:
    """Judge the protected branch from what this clone remembers, else from the trusted start."""
    memory, put_back = recall(repository, branch), command_to_put_back(repository, branch)
    if memory is None:
        seen = remembered_commit(repository, branch)
        if seen is not None:
            chain(repository, seen, tip, put_back)
        memory = Memory(trusted_start(repository, tip))
    return walk(repository, memory, tip, now, progress, put_back=put_back)


def command_to_put_back(repository: Repository, branch: str) -> str:
    """The command that puts a lost commit back onto a shared branch, with ``{commit}`` in it."""
    named = shlex.quote(branch).replace("{", "{{").replace("}", "}}")
    if repository.remote() is None:
        return f"git branch --force {named} {{commit}}"
    return f"git push --force origin {{commit}}:{named}"


def trusted_start(repository: Repository, tip: str, revision: str | None = None) -> str:
    """The commit that the walk starts from: ``revision``, else git config ``maa.trustedStart``, else the oldest one.

    Raises:
        RepositoryError: the named commit is not there, or no commit holds ``maa.yaml``.
    """
    named = revision or repository.config("maa.trustedStart")
    if not named:
        return oldest_with_settings(repository, tip)
    commit = repository.resolve(named)
    if commit is None:
        raise RepositoryError(f"the trusted start {named} is not in this clone", hint="git fetch --unshallow")
    return commit
