"""What this clone keeps for itself in its git directory: its id, the newest receipt that it has seen, a run's lock."""

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from maa_gitops.errors import RemoteError, RepositoryError
from maa_gitops.model import timestamp
from maa_gitops.receipt import Receipt
from maa_gitops.record import parse_moment

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def clone_id(git_dir: Path, new_id: Callable[[], str]) -> str:
    """The random id of this clone, made when it is first asked for.

    Raises:
        RepositoryError: it cannot be kept.
    """
    path = git_dir / "maa" / "clone-id"
    with _translated(path):
        kept = path.read_text(encoding="utf-8").strip() if path.exists() else ""
        if not _ID.fullmatch(kept):
            kept = new_id()
            _replace(path, kept + "\n")
    return kept


def remember(git_dir: Path, newest: Receipt | None) -> None:
    """Keep the newest receipt of a target that this clone has seen.

    Raises:
        RepositoryError: it cannot be kept.
    """
    if newest is not None:
        path = _memory(git_dir, newest.target)
        with _translated(path):
            _replace(path, json.dumps({"at": timestamp(newest.at), "receipt": newest.digest}) + "\n")


def refuse_rollback(git_dir: Path, target: str, receipts: Sequence[Receipt]) -> None:
    """Refuse a chain that does not go on from the newest receipt seen: neither holds it nor was begun after it.

    Raises:
        RepositoryError: ``receiptsRolledBack``.
    """
    path = _memory(git_dir, target)
    with _translated(path):
        if not path.exists():
            return
        plain = json.loads(path.read_text(encoding="utf-8"))
        seen, at = plain["receipt"], parse_moment(plain["at"])
    begun_later = bool(receipts) and receipts[0].at > at
    if not begun_later and seen not in {receipt.digest for receipt in receipts}:
        raise RepositoryError(
            f"the receipts of {target} have lost the one of {timestamp(at)}, which this clone has seen",
            hint="find out who wrote there; to start a new chain of receipts: maa apply --rebuild",
            code="receiptsRolledBack",
        )


@contextmanager
def only_run(git_dir: Path, target: str) -> Iterator[None]:
    """Hold the lock of a target's runs in this clone.

    It is a lock of SQLite's: every system has them, and lets go of them when the process ends, however it ends.

    Raises:
        RemoteError: another process holds it.
        RepositoryError: there can be no lock.
    """
    path = git_dir / "maa" / "applied" / f"{target}.lock"
    with _translated(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    with closing(connection):
        with _translated(path):
            is_free = _took(connection)
        if not is_free:
            message = f"another maa apply to {target} is under way in this clone"
            raise RemoteError(message, retry=True, hint="wait until it has ended", code="applyRunning")
        yield


def _took(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            return False
        raise
    return True


def _memory(git_dir: Path, target: str) -> Path:
    return git_dir / "maa" / "applied" / f"{target}.json"


def _replace(path: Path, content: str) -> None:
    """Write a file so that it is the old one or the new one, whenever the process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.write_text(content, encoding="utf-8")
    new.replace(path)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, sqlite3.Error) as error:
        raise RepositoryError(f"{path} cannot be used: {error}", hint="see what became of it, or delete it") from error
