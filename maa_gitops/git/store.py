"""The objects of a repository, read and written as raw bytes through libgit2; no names, no git program."""

import functools
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from maa_gitops.errors import RepositoryError
from maa_gitops.git.objects import (
    FOLDER,
    Commit,
    Entry,
    Identity,
    Oid,
    encode_commit,
    encode_tree,
    is_oid,
    malformed_tree,
    parse_commit,
    parse_tree,
)

if TYPE_CHECKING:
    import pygit2

Files = Mapping[str, tuple[str, Oid] | None]
"""Files to put in place, by path, as (mode, blob); None takes one away."""

_COMMIT, _TREE, _BLOB = 1, 2, 3  # git's numbers for the kinds of objects
_KINDS = {_COMMIT: "commit", _TREE: "tree", _BLOB: "file"}
_DEEPEST_PATH = 200


class ObjectStore:
    """Commits, trees and files by their ids.

    Their bytes are read raw, so replace refs, grafts and shallow lists have no say. Not for several threads at once.
    """

    def __init__(self, git_dir: Path) -> None:
        self._libgit2 = _open_libgit2(git_dir)
        self._odb = self._libgit2.odb
        self._commits: dict[Oid, Commit] = {}
        self._tree = functools.lru_cache(maxsize=4096)(self._read_tree)
        self._by_name = functools.lru_cache(maxsize=256)(self._read_names)

    def commit(self, oid: Oid) -> Commit:
        """Read a commit.

        Raises:
            RepositoryError: ``missingObject``, ``malformedCommit``.
        """
        if oid not in self._commits:
            self._commits[oid] = parse_commit(oid, self._read(oid, _COMMIT))
        return self._commits[oid]

    def has(self, oid: Oid) -> bool:
        """Whether the object, of whatever kind, is here."""
        return is_oid(oid) and self._odb.exists(oid)

    def tree(self, oid: Oid) -> tuple[Entry, ...]:
        """Read a tree, in git's order.

        Raises:
            RepositoryError: ``missingObject``; ``malformedTree``, also where it is no tree at all.
        """
        return self._tree(oid)

    def blob(self, oid: Oid) -> bytes:
        """Read a file's content, as stored: no filter, no line endings changed."""
        return self._read(oid, _BLOB)

    def blob_size(self, oid: Oid) -> int:
        """How many bytes ``blob`` would return, without reading them."""
        with translated(f"object {oid}"):
            kind, size = self._odb.read_header(_full(oid))
        _expect(oid, kind, _BLOB)
        return size

    def entry(self, tree: Oid, path: str) -> Entry | None:
        """What a tree holds at a path; None if nothing."""
        *folders, name = path.split("/")
        for folder in folders:
            found = self._by_name(tree).get(folder)
            if found is None or not found.is_folder:
                return None
            tree = found.oid
        return self._by_name(tree).get(name)

    def _read(self, oid: Oid, kind: int) -> bytes:
        with translated(f"object {oid}"):
            found, raw = self._odb.read(_full(oid))
        _expect(oid, found, kind)
        return raw

    def _read_tree(self, oid: Oid) -> tuple[Entry, ...]:
        return parse_tree(oid, self._read(oid, _TREE))

    def _read_names(self, oid: Oid) -> Mapping[str, Entry]:
        return {entry.name: entry for entry in self.tree(oid)}

    def write_blob(self, data: bytes) -> Oid:
        """Store a file's content."""
        return self._write(_BLOB, data)

    def write_tree(self, entries: Iterable[Entry]) -> Oid:
        """Store a tree; the entries may come in any order, and be none.

        Raises:
            RepositoryError: ``malformedTree``, if they would make a tree that ``tree`` refuses.
        """
        return self._write(_TREE, encode_tree(entries))

    def write_commit(self, *, tree: Oid, parents: Sequence[Oid], message: str, identity: Identity, at: datetime) -> Oid:
        """Store a commit, in UTC; what of the identity could break its header is left out."""
        return self._write(_COMMIT, encode_commit(tree, parents, message, identity, at))

    def _write(self, kind: int, data: bytes) -> Oid:
        with translated("what is to be written"):
            return str(self._odb.write(kind, data))

    def replace_paths(self, tree: Oid, changes: Files) -> Oid:
        """A tree with files put in place as (mode, blob) or, where it is None, taken away.

        A file takes the place of a folder and a folder that of a file; an emptied folder goes. Taking away what is
        not there, or is a folder, changes nothing. Work is proportional to the changes.

        Raises:
            RepositoryError: ``malformedTree``, for a path that no tree can hold.
        """
        for path in changes:
            if path.count("/") > _DEEPEST_PATH:
                raise malformed_tree(tree, f"a path of more than {_DEEPEST_PATH} folders")
        return self._replaced(tree, changes) or self.write_tree(())

    def _replaced(self, tree: Oid | None, changes: Files) -> Oid | None:
        entries = {entry.name: entry for entry in self.tree(tree)} if tree else {}
        folders: dict[str, dict[str, tuple[str, Oid] | None]] = {}
        for path, file in changes.items():
            name, slash, below = path.partition("/")
            if slash:
                folders.setdefault(name, {})[below] = file
            elif file is not None:
                entries[name] = Entry(name, *file)
            elif name in entries and not entries[name].is_folder:
                del entries[name]
        for name, inside in folders.items():
            self._replace_folder(entries, name, inside, is_put=changes.get(name) is not None)
        return self.write_tree(entries.values()) if entries else None

    def _replace_folder(self, entries: dict[str, Entry], name: str, changes: Files, *, is_put: bool) -> None:
        """Bring one entry to what the changes below it make of it; ``is_put``: the same changes put a file there."""
        old = entries.get(name)
        if old is not None and not old.is_folder:
            if not any(changes.values()):
                return
            if is_put:
                raise malformed_tree("to be written", f"{name!r} cannot be a file and a folder")
        new = self._replaced(old.oid if old is not None and old.is_folder else None, changes)
        if new is not None:
            entries[name] = Entry(name, FOLDER, new)
        elif old is not None:
            del entries[name]


@contextmanager
def translated(subject: str) -> Iterator[None]:
    """Turn what libgit2 raises about an object or a ref into our errors."""
    import pygit2

    try:
        yield
    except KeyError as error:
        raise RepositoryError(
            f"{subject} is not in this repository, which may be a shallow clone",
            hint="git fetch --unshallow",
            code="missingObject",
        ) from error
    except (pygit2.GitError, ValueError, OSError) as error:
        raise RepositoryError(
            f"{subject} cannot be used: {error}", hint="git fsck --full", code="corruptObject"
        ) from error


def _full(oid: Oid) -> Oid:
    """The id itself, and nothing for an abbreviation, which libgit2 would complete."""
    if not is_oid(oid):
        raise KeyError(oid)
    return oid


def _expect(oid: Oid, found: int, wanted: int) -> None:
    """Refuse an object of another kind than its name was given for."""
    if found != wanted:
        code = "malformedCommit" if wanted == _COMMIT else "malformedTree"
        raise RepositoryError(f"object {oid} is not a {_KINDS[wanted]}", code=code)


def _open_libgit2(git_dir: Path) -> "pygit2.Repository":
    import pygit2

    try:
        return pygit2.Repository(str(git_dir), pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
    except (pygit2.GitError, KeyError, ValueError, OSError) as error:
        hint = trust(git_dir) if "not owned" in str(error) else None
        message = f"the repository {git_dir} cannot be opened: {error}"
        raise RepositoryError(message, hint=hint, code="notOwned" if hint else "unsupportedRepository") from error


def trust(directory: Path) -> str:
    """The command by which a person trusts a repository that belongs to somebody else."""
    return f"git config --global --add safe.directory {shlex.quote(str(directory))}"
