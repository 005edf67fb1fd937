"""The files of a backup: which there are, and what they hold; links are not followed."""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from maa_gitops.documents.foreign import read_foreign
from maa_gitops.errors import DocumentError
from maa_gitops.importing.values import LeftOut

OBJECT_ENDINGS = (".json", ".yaml")


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

    A file that holds none is told.
    """
    for path in sorted(_paths(folder, passed_over)):
        try:
            data = read_foreign(_bytes(folder / path, path), path)
        except DocumentError as error:
            yield LeftOut(path, PurePosixPath(path).stem, error.message)
            continue
        if isinstance(data, dict):
            yield BackupFile(path, data)
        else:
            yield LeftOut(path, PurePosixPath(path).stem, "it holds no object")


def _paths(folder: Path, passed_over: Collection[str]) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in passed_over and not name.startswith(".")]
        below = Path(place).relative_to(folder).as_posix()
        for name in names:
            if name.endswith(OBJECT_ENDINGS):
                yield name if below == "." else f"{below}/{name}"


def _bytes(file: Path, path: str) -> bytes:
    if file.is_symlink() or not file.is_file():
        raise DocumentError("it is a link, or no regular file", path=path)
    try:
        return file.read_bytes()
    except OSError as error:
        raise DocumentError(f"it cannot be read: {error.strerror}", path=path) from error


def file_bytes(file: Path) -> bytes | None:
    """The bytes of a file that may be there; None: it is not, or cannot be read."""
    try:
        return file.read_bytes() if file.is_file() and not file.is_symlink() else None
    except OSError:
        return None
