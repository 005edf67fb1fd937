"""The embedded local tenant: an SQLite file that takes every resource as it is; one transaction an object.

It keeps the default rollback journal with full synchronisation: a process that is killed leaves the old state or the
new one, and one file is all there is to copy or to delete.
"""

import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

from maa_gitops.errors import RemoteError
from maa_gitops.model import ACCESS_POLICY_TYPE, Target
from maa_gitops.providers import DesiredObject, RemoteObject, spelling

_APPLICATION = 0x4D414131
"""SQLite's application id of our files: ``MAA1``."""

_VERSION = 1
_PATIENCE = 5.0
"""Seconds to wait for another process that is writing."""

_TABLES = (
    "CREATE TABLE store (id TEXT NOT NULL)",
    """CREATE TABLE objects (
        id TEXT PRIMARY KEY, marker TEXT UNIQUE,
        profile_type TEXT NOT NULL, data TEXT NOT NULL, assignments TEXT NOT NULL
    )""",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_VERSION}",
)


def location(target: Target, git_dir: Path) -> Path:
    """Where a target's file is: in the git directory, or where ``path`` says, below the folder of the repository.

    Raises:
        RemoteError: ``path`` leads elsewhere; a file of the tenant repository decides nothing outside of it.
    """
    git_dir = git_dir.resolve()
    path = target.options.get("path")
    if path is None:
        return git_dir / "maa" / "tenants" / f"{target.name}.sqlite3"
    folder = git_dir.parent if git_dir.name == ".git" else git_dir
    found = (folder / path).resolve()
    if not found.is_relative_to(folder) or found == folder:
        raise RemoteError(
            f"target {target.name}: path '{path}' leads out of {folder}", hint="write a relative path, without '..'"
        )
    return found


class LocalProvider:
    """One open file. Not for several threads at once."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._store = self._prepared()

    @classmethod
    def open(cls, path: Path) -> "LocalProvider":
        """Open the file; one that is not there yet becomes an empty tenant with an id of its own.

        Raises:
            RemoteError: it cannot be opened, is no database, or none of ours.
        """
        with _translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
        try:
            return cls(connection, path)
        except RemoteError:
            connection.close()
            raise

    @property
    def store(self) -> str:
        """The random id that the file got when it was made."""
        return self._store

    @staticmethod
    def takes(profile_type: str) -> bool:
        """Every resource; the rules themselves are never applied."""
        return profile_type != ACCESS_POLICY_TYPE

    def as_sent(self, desired: DesiredObject) -> DesiredObject:
        """The object itself: it is kept as it is given."""
        return desired

    def objects(self) -> Mapping[str, RemoteObject]:
        """Everything that is there, by remote id."""
        with _translated(self._path):
            rows = self._connection.execute("SELECT id, marker, profile_type, data, assignments FROM objects")
            return {str(row[0]): _remote_object(*row) for row in rows}

    def find(self, marker: str) -> str | None:
        """The remote id of the object that bears the marker."""
        with _translated(self._path):
            return self._find(marker)

    def create(self, desired: DesiredObject, marker: str) -> str:
        """Make an object; two that bear one marker are refused."""
        remote_id = str(uuid4())
        with self._transaction():
            other = self._find(marker)
            if other is not None:
                raise RemoteError(f"object {other} of the local tenant bears the mark {marker} already")
            self._connection.execute(
                "INSERT INTO objects (id, marker, profile_type, data, assignments) VALUES (?, ?, ?, ?, ?)",
                (remote_id, marker, *_columns(desired)),
            )
        return remote_id

    def update(self, remote_id: str, desired: DesiredObject, marker: str) -> None:
        """Bring an object to a state, assignments and marker included."""
        change = "UPDATE objects SET marker = ?, profile_type = ?, data = ?, assignments = ? WHERE id = ?"
        with self._transaction():
            self._change_one(remote_id, change, (marker, *_columns(desired), remote_id))

    def assign(self, remote_id: str, assignments: Sequence[Mapping[str, object]]) -> None:
        """Replace all assignments of an object."""
        with self._transaction():
            change = "UPDATE objects SET assignments = ? WHERE id = ?"
            self._change_one(remote_id, change, (spelling(list(assignments)), remote_id))

    def delete(self, remote_id: str) -> None:
        """Take an object away."""
        with self._transaction():
            self._connection.execute("DELETE FROM objects WHERE id = ?", (remote_id,))

    def close(self) -> None:
        """Close the file."""
        with _translated(self._path):
            self._connection.close()

    def _find(self, marker: str) -> str | None:
        row = self._connection.execute("SELECT id FROM objects WHERE marker = ?", (marker,)).fetchone()
        return None if row is None else str(row[0])

    def _change_one(self, remote_id: str, change: str, values: tuple[str, ...]) -> None:
        if self._connection.execute(change, values).rowcount != 1:
            raise RemoteError(f"the local tenant has no object {remote_id} any more", retry=True)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or nothing, on the disk when it ends."""
        with _translated(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def _prepared(self) -> str:
        """Make sure that the file is one of ours, or make it one if it is empty; returns its store id."""
        with _translated(self._path):
            self._connection.execute("PRAGMA synchronous = FULL")
            if self._is_empty():
                with self._transaction():
                    if self._is_empty():
                        self._make_tables()
            found = (self._number("application_id"), self._number("user_version"))
            if found != (_APPLICATION, _VERSION):
                what = "is no local tenant" if found[0] != _APPLICATION else f"is of version {found[1]}, not {_VERSION}"
                raise _unusable(self._path, what)
            row = self._connection.execute("SELECT id FROM store").fetchone()
        if row is None:
            raise _unusable(self._path, "has lost its id")
        return str(row[0])

    def _is_empty(self) -> bool:
        with closing(self._connection.execute("SELECT 1 FROM sqlite_master")) as rows:
            return rows.fetchone() is None

    def _make_tables(self) -> None:
        for statement in _TABLES:
            self._connection.execute(statement)
        self._connection.execute("INSERT INTO store (id) VALUES (?)", (secrets.token_hex(16),))

    def _number(self, pragma: str) -> int:
        return int(self._connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _columns(desired: DesiredObject) -> tuple[str, str, str]:
    return desired.profile_type, spelling(desired.data), spelling(list(desired.assignments))


def _remote_object(remote_id: str, marker: str | None, profile_type: str, data: str, assignments: str) -> RemoteObject:
    """Read a row, which anybody may have written.

    Raises:
        ValueError: it holds something else than an object.
    """
    plain, assigned = json.loads(data), json.loads(assignments)
    if not isinstance(plain, dict) or not isinstance(assigned, list) or not all(isinstance(a, dict) for a in assigned):
        raise ValueError(f"object {remote_id} is none")
    return RemoteObject(remote_id, marker, DesiredObject(profile_type, plain, tuple(assigned)))


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn what SQLite, the file system and unreadable rows raise into our errors."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise _unusable(path, f"cannot be used now: {error}", retry="locked" in str(error)) from error
    except (sqlite3.Error, OSError, ValueError, TypeError) as error:
        raise _unusable(path, f"cannot be used: {error}") from error


def _unusable(path: Path, what: str, *, retry: bool = False) -> RemoteError:
    hint = "run the command again" if retry else f"move {path} away; maa apply makes a new one"
    return RemoteError(f"the local tenant in {path} {what}", retry=retry, hint=hint, code="localTenant")
