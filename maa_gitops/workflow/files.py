"""Moving this clone's own branches, and after them the index and files of those that are checked out.

git moves a ref and a work tree in two steps. What is under way is noted first, so that the next command ends what a
kill left in between. Whether a branch may move is not decided here.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from maa_gitops.errors import RepositoryError
from maa_gitops.git import RefUpdate, Repository


def move(repository: Repository, updates: Sequence[RefUpdate], message: str) -> None:
    """Move branches of this clone, all or none, then their files, which must have been found clean.

    Raises:
        RemoteError: ``lostRace``, one of them was elsewhere; nothing moved.
        RepositoryError: the branches moved and files could not, because somebody changed them just now.
    """
    note = _note(repository)
    with suppress(OSError):  # without a note a kill leaves more to do by hand
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps([[update.ref, update.old, update.new] for update in updates]), encoding="utf-8")
    repository.update_refs(updates, message)
    for update in updates:
        _bring_files(repository, update)
    with suppress(OSError):
        note.unlink(missing_ok=True)


def settle(repository: Repository) -> None:
    """End what a killed command left: branches that have moved without their index and files."""
    note = _note(repository)
    if not note.exists():
        return
    with suppress(OSError, ValueError, TypeError, RepositoryError):  # a note that does not read, files that moved on
        for update in (RefUpdate(*fields) for fields in json.loads(note.read_text(encoding="utf-8"))):
            if repository.ref(update.ref) == update.new:
                _bring_files(repository, update)
    with suppress(OSError):
        note.unlink(missing_ok=True)


def _bring_files(repository: Repository, update: RefUpdate) -> None:
    work_tree = repository.checked_out().get(update.ref)
    if work_tree is not None and update.old is not None and update.new is not None:
        repository.advance_work_tree(work_tree, update.old, update.new)


def _note(repository: Repository) -> Path:
    return repository.git_dir / "maa" / "moving.json"
