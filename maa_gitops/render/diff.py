"""A change as a person reads it: unified diffs of whole files, script text included."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from maa_gitops.git import Entry, Repository
from maa_gitops.model import ObjectId, Operation
from maa_gitops.render.escape import safe, safe_line
from maa_gitops.workflow.requests import Request

_SHOWN_LIMIT = 1024 * 1024
"""Bytes of a file up to which it is shown as text."""


@dataclass(frozen=True, slots=True)
class FileDiff:
    """One changed file. ``old`` and ``new`` are SHA-256 of its content, None: absent; ``text`` is a unified diff."""

    path: str
    governed: ObjectId | None
    operation: Operation | None
    old: str | None
    new: str | None
    text: str


def request_diffs(repository: Repository, request: Request) -> tuple[FileDiff, ...]:
    """What a request changes, file by file, in path order. Unchanged files of its objects are left out."""
    if request.changes is None:
        return ()
    hashes = {change.path: change for change in request.changes.changes}
    diffs = []
    for path, (old, new) in sorted(request.changes.differences.items()):
        governed = request.changes.places[path].governed
        text = file_diff(path, _content(repository, old), _content(repository, new), _modes(old, new))
        change = hashes[path]
        operation = request.operations.get(governed) if governed is not None else None
        diffs.append(FileDiff(path, governed, operation, change.old, change.new, text))
    return tuple(diffs)


def _modes(old: Entry | None, new: Entry | None) -> tuple[str | None, str | None]:
    return (old.mode if old is not None else None, new.mode if new is not None else None)


def _content(repository: Repository, entry: Entry | None) -> bytes | None:
    if entry is None:
        return None
    if entry.mode == "160000":
        return f"submodule at {entry.oid}\n".encode()
    return repository.blob(entry.oid)


def file_diff(path: str, old: bytes | None, new: bytes | None, modes: tuple[str | None, str | None]) -> str:
    """A unified diff of one file; files that are not text are told by their sizes."""
    shown = safe_line(path)
    lines = [
        f"--- {'a/' + shown if old is not None else '/dev/null'}",
        f"+++ {'b/' + shown if new is not None else '/dev/null'}",
    ]
    if None not in modes and modes[0] != modes[1]:
        lines.append(f"mode {modes[0]} -> {modes[1]}")
    before, after = _lines(old), _lines(new)
    if before is None or after is None:
        sizes = [f"{len(data)} bytes" if data is not None else "nothing" for data in (old, new)]
        lines.append(f"not shown as text: {sizes[0]} -> {sizes[1]}")
    else:
        lines += list(_unified(before, after))
    return "\n".join(lines) + "\n"


def _lines(data: bytes | None) -> list[str] | None:
    """The lines of a file, escaped; None if it is no text."""
    if data is None:
        return []
    if len(data) > _SHOWN_LIMIT or b"\0" in data:
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if not text:
        return []
    lines = text.split("\n")
    ended = lines[-1] == ""
    shown = [safe(line) for line in (lines[:-1] if ended else lines)]
    return shown if ended else [*shown[:-1], shown[-1] + " \\ no newline at end"]


def _unified(before: list[str], after: list[str]) -> Iterator[str]:
    """The hunks of a unified diff, without its two lines of file names."""
    return islice(difflib.unified_diff(before, after, lineterm="", n=3), 2, None)
