"""The files of a backup: which there are, and what they hold; links are not followed, whatever they lead to."""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from maa_gitops.documents.foreign import SIZE_LIMIT, read_foreign
from maa_gitops.errors import DocumentError
from maa_gitops.importing.values import LeftOut

OBJECT_ENDINGS = (".json", ".yaml")

TOTAL_LIMIT = 1024 * 1024 * 1024
"""Bytes of all files of a backup together: ten thousand apps with their icons."""

_LINK = "it is a link, or no regular file"


@dataclass(frozen=True, slots=True)
class BackupFile:
    """A file of a backup that holds one object. ``path`` is below the backup's folder, with slashes."""

    path: str
    data: dict[str, object]

    @property
    def folder(self) -> str:
        """The folder that it is in; empty for the top."""
        return self.path.rpartition("/")[0]

    @property
    def stem(self) -> str:
        """Its name without what it ends in."""
        return PurePosixPath(self.path).stem


def object_files(folder: Path, passed_over: Collection[str]) -> Iterator[BackupFile | LeftOut]:
    """Read the objects of a backup, sorted by path; folders of these names, and hidden ones, are passed over.

    A file that holds none is told, and a folder that is not looked into.
    """
    room = TOTAL_LIMIT
    for path, trouble in sorted(_paths(folder, passed_over)):
        try:
            content = _bytes(folder / path, path, trouble)
            room -= len(content)
            if room < 0:
                raise DocumentError(f"just {TOTAL_LIMIT} bytes of a backup are read, and it is beyond", path=path)
            data = read_foreign(content, path)
        except DocumentError as error:
            yield LeftOut(path, PurePosixPath(path).stem, error.message)
            continue
        if isinstance(data, dict):
            yield BackupFile(path, data)
        else:
            yield LeftOut(path, PurePosixPath(path).stem, "it holds no object")


def _paths(folder: Path, passed_over: Collection[str]) -> Iterator[tuple[str, str]]:
    """The files that may hold an object, each with what is in the way of reading it, and such folders; else empty."""
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(folder / below) as found:
                entries = list(found)
        except OSError as error:
            yield below, f"the folder cannot be read: {error.strerror}"
            continue
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            if entry.name.endswith(OBJECT_ENDINGS) and not entry.is_dir(follow_symlinks=False):
                yield path, ""
            elif entry.name in passed_over or entry.name.startswith("."):
                continue
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            elif entry.is_symlink() and entry.is_dir():
                yield path, _LINK


def _bytes(file: Path, path: str, trouble: str) -> bytes:
    if trouble:
        raise DocumentError(trouble, path=path)
    try:
        if file.is_symlink() or not file.is_file():
            raise DocumentError(_LINK, path=path)
        return _beginning(file)
    except OSError as error:
        raise DocumentError(f"it cannot be read: {error.strerror}", path=path) from error


def _beginning(file: Path) -> bytes:
    """The bytes of a file, however large it says that it is: just one more than it may have."""
    with file.open("rb") as opened:
        return opened.read(SIZE_LIMIT + 1)


def file_bytes(folder: Path, path: str) -> bytes | None:
    """The bytes of a file that may be there; None: it is not, is too large, cannot be read, or a link leads to it."""
    place = folder
    try:
        for part in path.split("/"):
            place /= part
            if place.is_symlink():
                return None
        data = _beginning(place) if place.is_file() else None
    except (OSError, ValueError):
        return None
    return data if data is not None and len(data) <= SIZE_LIMIT else None
