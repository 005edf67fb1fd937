"""Changes between two trees, and merging them on whole files.

Work is proportional to the change: trees are walked together and equal ids skipped. What a change means is judged
in ``evaluate`` and ``history``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from maa_gitops.canonical import content_hash
from maa_gitops.errors import RepositoryError
from maa_gitops.git import Entry, Repository
from maa_gitops.model import FileChange, Held, ObjectId, ProfileType, Reason, ReasonCode
from maa_gitops.tenant.paths import RECORDS, Kind, Place, entry_problem, place
from maa_gitops.tenant.resources import object_files

_SUBMODULE = "160000"
_DEPTH_LIMIT = 64
"""How deep folders may nest where they changed."""

_DIFFERENCE_LIMIT = 200_000
"""Files that differ, and folders on the way to them: a few kilobytes of trees can name more than anybody can list."""

_PATH_LIMIT = 4096
"""Characters of a path that can be signed."""

Difference = tuple[Entry | None, Entry | None]
"""A file before and after; None: absent."""


@dataclass(frozen=True)
class ChangeSet:
    """What differs between two trees, without records.

    ``changes`` are sorted by the path's bytes and include the unchanged files of every touched object.
    ``differences`` hold the tree entries of what really differs. ``records`` are the paths under ``requests/`` that
    differ. ``troubles`` say, by path, what no request may hold; ``new_troubles`` leave out what the old tree had.
    """

    changes: tuple[FileChange, ...]
    differences: Mapping[str, Difference]
    records: Mapping[str, Difference]
    places: Mapping[str, Place]
    troubles: Mapping[str, str]
    new_troubles: Mapping[str, str]

    @property
    def problems(self) -> tuple[Reason, ...]:
        """The troubles as reasons, sorted by path."""
        return tuple(
            Reason(ReasonCode.MALFORMED_TREE, f"{path}: {text}") for path, text in sorted(self.troubles.items())
        )

    @property
    def is_utf8(self) -> bool:
        """Whether every name can be written into a signed list."""
        return all(_is_utf8(change.path) for change in self.changes)

    @cached_property
    def objects(self) -> tuple[ObjectId, ...]:
        """The governed objects that it touches, sorted."""
        return tuple(sorted({found.governed for found in self.places.values() if found.governed is not None}))


def differences(repository: Repository, old: str, new: str) -> dict[str, Difference]:
    """Files that differ between two trees, by path; a file that became a folder is a deletion and creations.

    Raises:
        RepositoryError: ``malformedTree``, if a tree on the way is malformed or nests too deeply.
    """
    found: dict[str, Difference] = {}
    waiting: list[tuple[str, str | None, str | None]] = [("", old, new)]
    folders = 0
    while waiting:
        prefix, old_tree, new_tree = waiting.pop()
        folders += 1
        if folders + len(found) > _DIFFERENCE_LIMIT:
            raise RepositoryError(
                f"more than {_DIFFERENCE_LIMIT:,} files and folders differ", code=ReasonCode.MALFORMED_TREE
            )
        if prefix.count("/") > _DEPTH_LIMIT:
            raise RepositoryError(f"{prefix}: folders are nested too deeply", code=ReasonCode.MALFORMED_TREE)
        before = {entry.name: entry for entry in repository.tree(old_tree)} if old_tree else {}
        after = {entry.name: entry for entry in repository.tree(new_tree)} if new_tree else {}
        for name in before.keys() | after.keys():
            was, becomes = before.get(name), after.get(name)
            if was == becomes:
                continue
            path = prefix + name
            old_folder = was.oid if was is not None and was.is_folder else None
            new_folder = becomes.oid if becomes is not None and becomes.is_folder else None
            if (old_folder or new_folder) and old_folder != new_folder:
                waiting.append((path + "/", old_folder, new_folder))
            old_file = was if was is not None and not was.is_folder else None
            new_file = becomes if becomes is not None and not becomes.is_folder else None
            if old_file != new_file:
                found[path] = (old_file, new_file)
    return found


def between(repository: Repository, old: str, new: str, types: Sequence[ProfileType]) -> ChangeSet:
    """The changes from one tree to another."""
    return change_set(repository, old, differences(repository, old, new), types)


def merged_onto(
    repository: Repository, good: str, tip: str, request: ChangeSet, types: Sequence[ProfileType]
) -> ChangeSet:
    """The changes from G's tree to the tip's tree with a request's new content put in place, without writing it."""
    found = differences(repository, good, tip) if good != tip else {}
    for path, (_, new) in request.differences.items():
        held = repository.entry(good, path)
        held = held if held is not None and not held.is_folder else None
        if held == new:
            found.pop(path, None)
        else:
            found[path] = (held, new)
    return change_set(repository, good, found, types)


def change_set(
    repository: Repository, old: str, found: Mapping[str, Difference], types: Sequence[ProfileType]
) -> ChangeSet:
    """Complete differences from a tree to a ChangeSet: hashes, siblings, objects, problems."""
    records = {path: pair for path, pair in found.items() if path.split("/", 1)[0] == RECORDS}
    files = {path: pair for path, pair in found.items() if path not in records}
    places = {path: place(path, types) for path in files}
    touched = {
        where.governed for where in places.values() if where.kind is Kind.RESOURCE and where.governed is not None
    }
    siblings = {
        path: entry
        for governed in touched
        for path, entry in object_files(repository, old, governed, types).items()
        if path not in files
    }
    pairs = {**files, **{path: (entry, entry) for path, entry in siblings.items()}}
    places.update({path: place(path, types) for path in siblings})
    troubles = {path: text for path, (_, new) in pairs.items() if (text := _trouble(path, new, places[path]))}
    new_troubles = {
        path: text
        for path, text in troubles.items()
        if pairs[path][0] is None or _trouble(path, pairs[path][0], places[path]) != text
    }
    changes = [_file_change(repository, path, old_entry, new_entry) for path, (old_entry, new_entry) in pairs.items()]
    return ChangeSet(
        changes=tuple(sorted(changes, key=lambda change: change.path.encode("utf-8", "surrogateescape"))),
        differences=files,
        records=records,
        places=places,
        troubles=troubles,
        new_troubles=new_troubles,
    )


def _file_change(repository: Repository, path: str, old: Entry | None, new: Entry | None) -> FileChange:
    return FileChange(
        path=path,
        mode=new.mode if new is not None else None,
        old=_hash(repository, old),
        new=_hash(repository, new),
    )


def _hash(repository: Repository, entry: Entry | None) -> str | None:
    if entry is None:
        return None
    if entry.mode == _SUBMODULE:
        return content_hash(entry.oid.encode())  # refused in any request; it only has to differ when it differs
    return _blob_hash(repository, entry.oid)


@lru_cache(maxsize=4096)
def _blob_hash(repository: Repository, oid: str) -> str:
    """Hash a file's content once, however many lists it stands in."""
    return content_hash(repository.blob(oid))


def _trouble(path: str, new: Entry | None, where: Place) -> str | None:
    if not _is_utf8(path):
        return "the name is not UTF-8"
    if len(path) > _PATH_LIMIT:
        return f"the path has more than {_PATH_LIMIT:,} characters"
    if new is None:
        return None  # taking away what should never have been there is always fine
    if where.kind is Kind.REFUSED:
        return where.why
    if new.mode == _SUBMODULE:
        return "submodules cannot be part of a request"
    return entry_problem(path, new.mode, where.kind)


def _is_utf8(path: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in path)


def held(repository: Repository, tree: str, paths: Iterable[str]) -> dict[str, Held]:
    """What a tree holds at each of the paths; a path that holds no file is left out."""
    found = {}
    for path in paths:
        entry = repository.entry(tree, path)
        if entry is not None and not entry.is_folder:
            content = _hash(repository, entry)
            if content is not None:
                found[path] = Held(entry.mode, content)
    return found


def put_in_place(repository: Repository, tip: str, request: ChangeSet, record: tuple[str, bytes] | None = None) -> str:
    """Write the tip's tree with each new file of the request in place, and its record; whole files, never lines."""
    replaced: dict[str, tuple[str, str] | None] = {
        path: (new.mode, new.oid) if new is not None else None for path, (_, new) in request.differences.items()
    }
    if record is not None:
        path, data = record
        replaced[path] = ("100644", repository.write_blob(data))
    return repository.replace_paths(tip, replaced)
