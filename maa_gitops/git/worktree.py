"""Work trees: what is uncommitted in one, and bringing one from an old commit to a new one without losing anything."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from maa_gitops.errors import RepositoryError
from maa_gitops.git.objects import Oid
from maa_gitops.git.program import Git

# How many fields stand before the path in a record of `git status --porcelain=v2`, by the record's first letter.
_FIELDS_BEFORE_PATH = {"1": 8, "u": 10, "?": 1}


def checked_out(git: Git) -> Mapping[str, Path]:
    """The full names of the branches that are checked out, each with its work tree. Folders that are gone are not."""
    found: dict[str, Path] = {}
    for stanza in git.read("worktree", "list", "--porcelain").split("\n\n"):
        fields = dict(line.partition(" ")[::2] for line in stanza.splitlines())
        folder = Path(fields.get("worktree", ""))
        if "branch" in fields and folder.is_dir():
            found[fields["branch"]] = folder
    return found


def dirty_paths(git: Git, work_tree: Path) -> tuple[str, ...]:
    """The paths that differ from the commit that is checked out, untracked ones included, ignored ones not."""
    records = _paths(
        git, work_tree, "status", "--porcelain=v2", "-z", "--untracked-files=all", "--no-renames", "--no-ahead-behind"
    )
    return tuple(sorted(record.split(" ", _FIELDS_BEFORE_PATH[record[0]])[-1] for record in records))


def would_overwrite(git: Git, work_tree: Path, old: Oid, new: Oid) -> tuple[str, ...]:
    """The uncommitted paths that stand in the way of going from ``old`` to ``new``; wherever HEAD is by now.

    Ignored files stand in the way too: git would overwrite them without a word.
    """
    git.run("update-index", "-q", "--refresh", cwd=work_tree)
    tracked = {*_changed(git, work_tree, "diff-index", "--cached", old), *_changed(git, work_tree, "diff-files")}
    touched = _changed(git, work_tree, "diff-tree", "-r", old, new)
    arriving = {path for path, status in touched.items() if status == "A"}
    leaving = {path for path, status in touched.items() if status == "D"}
    in_the_way = {path for path in tracked if path in touched or _nests(path, arriving)}
    for path in arriving:
        in_the_way.update(_obstacles(work_tree, path, leaving))
    return tuple(sorted(in_the_way))


def advance(git: Git, work_tree: Path, old: Oid, new: Oid) -> None:
    """Bring index and files from ``old`` to ``new``, touching only the paths that differ between the two.

    Raises:
        RepositoryError: ``dirtyWorkTree``, something uncommitted would be lost; nothing is changed then.
    """
    blocked = would_overwrite(git, work_tree, old, new)
    done = None if blocked else git.run("read-tree", "-m", "-u", old, new, cwd=work_tree)
    if done is None or done.returncode:
        reason = ", ".join(blocked) if done is None else done.last_words
        raise RepositoryError(
            f"uncommitted work in {work_tree} would be overwritten: {reason}",
            hint="commit or stash it, then run the command again",
            code="dirtyWorkTree",
        )


def _changed(git: Git, work_tree: Path, *command: str) -> dict[str, str]:
    """Path to status letter, of a plumbing diff command."""
    name, *rest = command
    fields = _paths(git, work_tree, name, "-z", "--name-status", "--no-renames", *rest)
    return dict(zip(fields[1::2], fields[::2], strict=True))


def _paths(git: Git, work_tree: Path, *command: str) -> list[str]:
    """The fields of a command that ends each with a NUL."""
    return git.read(*command, cwd=work_tree).split("\0")[:-1]


def _nests(path: str, arriving: set[str]) -> bool:
    """Whether the path is a folder of one that arrives, or lies below one."""
    return any(other.startswith(f"{path}/") or path.startswith(f"{other}/") for other in arriving)


def _obstacles(work_tree: Path, path: str, leaving: set[str]) -> Iterator[str]:
    """What on disk, beyond the files that leave, has the place of a file that arrives or of one of its folders."""
    parts = path.split("/")
    for depth in range(1, len(parts)):
        folder = "/".join(parts[:depth])
        place = work_tree / folder
        if os.path.lexists(place) and (place.is_symlink() or not place.is_dir()):
            if folder not in leaving:
                yield folder
            return
    place = work_tree / path
    if place.is_dir() and not place.is_symlink():
        for folder, folders, names in os.walk(place):
            inside = [Path(folder) / name for name in [*folders, *names]]
            files = {
                file.relative_to(work_tree).as_posix() for file in inside if file.is_symlink() or not file.is_dir()
            }
            yield from files - leaving
    elif os.path.lexists(place):
        yield path
