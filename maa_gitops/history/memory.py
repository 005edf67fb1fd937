"""What a clone remembers of the protected branch: the last good commit that it has seen."""

import json
from pathlib import Path

from maa_gitops import record
from maa_gitops.errors import MaaError
from maa_gitops.git import RefUpdate, Repository
from maa_gitops.history.walking import History, Memory
from maa_gitops.model import timestamp


def recall(repository: Repository, branch: str) -> Memory | None:
    """What this clone remembers of the protected branch; None where commit and time do not belong together."""
    commit = repository.ref(_memory_ref(branch))
    if commit is None:
        return None
    try:
        plain = json.loads(_memory_file(repository, branch).read_text(encoding="utf-8"))
        time = record.parse_moment(plain["time"]) if plain["time"] is not None else None
        remembered = Memory(plain["commit"], time, frozenset(plain["bad"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return remembered if remembered.commit == commit else None


def remembered_commit(repository: Repository, branch: str) -> str | None:
    """The last good commit that this clone has seen, which every new tip must have on its first-parent chain."""
    return repository.ref(_memory_ref(branch))


def remember(repository: Repository, branch: str, history: History) -> None:
    """Keep the last good commit in this clone, the file before the ref: a kill in between only costs a longer walk.

    Of a history that is not settled the commit alone is kept, so that the next walk is a whole one.
    """
    good = history.good
    plain = {
        "commit": good.commit,
        "time": timestamp(good.time) if good.time is not None else None,
        "bad": sorted(history.bad),
    }
    path = _memory_file(repository, branch)
    old = repository.ref(_memory_ref(branch))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if history.is_settled:
            path.write_text(json.dumps(plain) + "\n", encoding="utf-8")
        else:
            path.unlink(missing_ok=True)
        if old != good.commit:
            repository.update_refs([RefUpdate(_memory_ref(branch), old, good.commit)], "maa: last good commit")
    except (OSError, MaaError):
        return  # a read-only clone can be judged too; it only forgets


def _memory_ref(branch: str) -> str:
    return f"refs/maa/verified/{branch}"


def _memory_file(repository: Repository, branch: str) -> Path:
    return repository.git_dir / "maa" / "verified" / f"{branch.replace('/', '%2F')}.json"
