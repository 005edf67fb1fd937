"""Names that point at commits: their form, and moving several of them at once by compare-and-swap."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from maa_gitops.errors import MaaError, RemoteError, RepositoryError
from maa_gitops.git.objects import Oid, is_oid
from maa_gitops.git.program import Git

_FULL_NAME = re.compile(r"refs/[^\x00-\x20\x7f~^:?*\[\\]+")
_NONE = "0" * 40
LOST_RACE = re.compile(r"but expected|reference already exists|unable to resolve reference|File exists")
"""What git says, here or on the server, of a ref that was moved by somebody else; not of a name that cannot be."""


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """A ref to move from ``old`` to ``new``; None means that it is absent. ``ref`` is the full name.

    Raises:
        RepositoryError: ``invalidRef``; so that no name can pass for an option, a pattern or two names.
    """

    ref: str
    old: Oid | None
    new: Oid | None

    def __post_init__(self) -> None:
        if not is_full_name(self.ref):
            raise RepositoryError(f"{self.ref!r} is not the full name of a ref", code="invalidRef")
        if not all(oid is None or is_oid(oid) for oid in (self.old, self.new)):
            raise RepositoryError(f"{self.ref} can only move between full commit ids", code="invalidRef")


def is_full_name(name: str) -> bool:
    """Whether this is a ref's full name as far as its characters go; git itself has the last word."""
    return _FULL_NAME.fullmatch(name) is not None


def update_refs(git: Git, updates: Sequence[RefUpdate], message: str) -> None:
    """Move the refs in one transaction, all or none.

    Raises:
        RemoteError: ``lostRace``, one of them was elsewhere.
        RepositoryError: git refuses for another reason.
    """
    commands = "".join(f"update {u.ref}\0{u.new or _NONE}\0{u.old or _NONE}\0" for u in updates)
    script = f"start\0{commands}prepare\0commit\0"
    done = git.run(
        *("update-ref", "--no-deref", "-m", message, "-z", "--stdin"),
        input=script.encode("utf-8", "surrogateescape"),
    )
    if done.returncode:
        raise _failed_update(done.last_words)


def _failed_update(said: str) -> MaaError:
    if LOST_RACE.search(said):
        return RemoteError(
            f"another process moved a branch of this clone in the meantime: {said}",
            retry=True,
            hint="run the command again",
            code="lostRace",
        )
    return RepositoryError(f"git does not move the branches: {said}", code="gitFailed")
