"""Moving shared branches, and this clone's own branches and files after them.

With a remote an act is one atomic push, and the clone's own branches follow where that is safe. Without one the
branches here are the shared ones: a branch that is checked out moves together with its index and files, or not at all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from maa_gitops.errors import MaaError, RemoteError, RepositoryError
from maa_gitops.git import RefUpdate, Repository
from maa_gitops.workflow import files
from maa_gitops.workflow.clone import Clone

ATTEMPTS = 8
"""How often something is tried again after somebody else was faster."""

T = TypeVar("T")


def after_lost_races(reopen: Callable[[], Clone], clone: Clone, once: Callable[[Clone], T]) -> T:
    """Do something with the clone; when somebody was faster, look again and do it anew.

    Raises:
        RemoteError: ``lostRace``, others were faster every time; or the remote failed or refused.
    """
    for _ in range(ATTEMPTS):
        try:
            return once(clone)
        except RemoteError as error:
            if error.code != "lostRace":
                raise
        clone = reopen()
    raise RemoteError("others were faster every time", retry=True, hint="try again in a moment", code="lostRace")


@dataclass(frozen=True, slots=True)
class Move:
    """A shared branch goes from one commit to another; None: absent."""

    branch: str
    old: str | None
    new: str | None

    @property
    def update(self) -> RefUpdate:
        """The same as git's ref names have it."""
        return RefUpdate(f"refs/heads/{self.branch}", self.old, self.new)


def publish(clone: Clone, moves: Sequence[Move], message: str) -> tuple[str, ...]:
    """Move shared branches, all or none; returns what the person should know about their own copies.

    Raises:
        RemoteError: ``lostRace`` (somebody was faster), ``refused``, or the remote failed; nothing moved.
        RepositoryError: ``dirtyWorkTree``, a checked-out branch has uncommitted changes in the way; nothing moved.
    """
    if clone.has_remote:
        clone.repository.push([move.update for move in moves])
        return tuple(note for move in moves for note in _follow(clone.repository, move, message))
    return _move_here(clone.repository, moves, message)


def _move_here(repository: Repository, moves: Sequence[Move], message: str) -> tuple[str, ...]:
    checked_out = repository.checked_out()
    kept = tuple(move for move in moves if move.new is None and move.update.ref in checked_out)
    moving = [move for move in moves if move not in kept]
    for move in moving:
        _refuse_dirty(repository, move)
    files.move(repository, [move.update for move in moving], message)
    return tuple(f"branch {move.branch} is checked out, so it stays; delete it when you have left it" for move in kept)


def _refuse_dirty(repository: Repository, move: Move) -> None:
    work_tree = repository.checked_out().get(move.update.ref)
    if work_tree is None or move.old is None or move.new is None:
        return
    in_the_way = repository.would_overwrite(work_tree, move.old, move.new)
    if in_the_way:
        raise RepositoryError(
            f"{move.branch} is checked out in {work_tree} with uncommitted changes in {', '.join(in_the_way)}",
            hint="commit or stash them, then try again",
            code="dirtyWorkTree",
        )


def _follow(repository: Repository, move: Move, message: str) -> tuple[str, ...]:
    """Bring this clone's own copy of a branch to what was pushed, if that loses nothing."""
    own = repository.ref(move.update.ref)
    if own is None or move.new is None or own == move.new:
        return ()
    if not _is_ancestor(repository, own, move.new):
        return (f"your {move.branch} has commits of its own; bring them together with: git pull",)
    here = Move(move.branch, own, move.new)
    work_tree = repository.checked_out().get(move.update.ref)
    if work_tree is not None and repository.would_overwrite(work_tree, own, move.new):
        return (f"your {move.branch} has uncommitted changes in the way; when they are gone: git pull",)
    try:
        files.move(repository, [here.update], message)
    except MaaError as error:  # what was pushed stands all the same
        return (f"your {move.branch} does not follow: {error.message}; when that is settled: git pull",)
    return ()


def _is_ancestor(repository: Repository, older: str, newer: str) -> bool:
    return repository.merge_bases(older, newer) == (older,)
