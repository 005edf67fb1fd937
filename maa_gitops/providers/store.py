"""The file of an embedded tenant: SQLite, one transaction a change; what is in it beyond rows is not its business.

It keeps the default rollback journal with full synchronisation: a process that is killed leaves the old state or the
new one, and one file is all there is to copy or to delete. ``objects`` is what every provider sees; beside it lies
what only Graph knows of them, and Graph's directory.
"""

import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maa_gitops.errors import RemoteError
from maa_gitops.providers import DesiredObject, RemoteObject, spelling

Json = Any
"""Plain data as it came."""

_APPLICATION = 0x4D414131
"""SQLite's application id of our files: ``MAA1``."""

_VERSION = 2
_PATIENCE = 5.0
"""Seconds to wait for another process that is writing."""

_FIRST = (
    "CREATE TABLE store (id TEXT NOT NULL)",
    """CREATE TABLE objects (
        id TEXT PRIMARY KEY, marker TEXT UNIQUE,
        profile_type TEXT NOT NULL, data TEXT NOT NULL, assignments TEXT NOT NULL
    )""",
    f"PRAGMA application_id = {_APPLICATION}",
)
_SECOND = (
    """CREATE TABLE graph_objects (
        id TEXT PRIMARY KEY, path TEXT NOT NULL, basis TEXT NOT NULL,
        properties TEXT NOT NULL, assignments TEXT NOT NULL, reported TEXT NOT NULL
    )""",
    "CREATE TABLE directory (kind TEXT NOT NULL, id TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (kind, id))",
    f"PRAGMA user_version = {_VERSION}",
)
"""What version 2 added; a file of version 1 gets it when it is opened."""

_GRAPH_SIDE = "g.id, g.path, g.basis, g.properties, g.assignments, g.reported"


@dataclass(frozen=True, slots=True)
class GraphSide:
    """What only Graph knows of an object.

    ``properties`` and ``assignments`` are as Graph has them; ``basis`` is what they were made from, or made: as long as
    it fits the object they say the same. ``reported`` is what Graph tells on its own: dates, versions, states.
    """

    remote_id: str
    path: str
    basis: str
    properties: Mapping[str, Json]
    assignments: Sequence[Mapping[str, Json]]
    reported: Mapping[str, Json]


class Store:
    """One open file. Not for several threads at once.

    What reads or writes is called within ``transaction``; what SQLite raises there comes out as a RemoteError.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        self.path = path
        self.id = self._prepared()

    @classmethod
    def open(cls, path: Path) -> "Store":
        """Open the file; one that is not there yet becomes an empty tenant with an id of its own.

        Raises:
            RemoteError: it cannot be opened, is no database, or none of ours.
        """
        with translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
        try:
            return cls(connection, path)
        except RemoteError:
            connection.close()
            raise

    def close(self) -> None:
        """Close the file."""
        with translated(self.path):
            self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing, on the disk when it ends."""
        with translated(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    def foreign_changes(self) -> int:
        """A number that is another one when somebody else has written since; it may be asked for at any time."""
        with translated(self.path):
            return self._number("data_version")

    # Objects

    def objects(self) -> dict[str, RemoteObject]:
        """Everything that is there, by remote id, oldest first."""
        rows = self.connection.execute("SELECT id, marker, profile_type, data, assignments FROM objects ORDER BY rowid")
        return {str(row[0]): remote_object(*row) for row in rows}

    def find(self, marker: str) -> str | None:
        """The remote id of the object that bears the marker."""
        row = self.connection.execute("SELECT id FROM objects WHERE marker = ?", (marker,)).fetchone()
        return None if row is None else str(row[0])

    def add(self, remote_id: str, desired: DesiredObject, marker: str | None) -> None:
        """Put an object in."""
        self.connection.execute(
            "INSERT INTO objects (id, marker, profile_type, data, assignments) VALUES (?, ?, ?, ?, ?)",
            (remote_id, marker, *_columns(desired)),
        )

    def change(self, remote_id: str, desired: DesiredObject, marker: str | None) -> None:
        """Replace an object.

        Raises:
            RemoteError: it is not there.
        """
        change = "UPDATE objects SET marker = ?, profile_type = ?, data = ?, assignments = ? WHERE id = ?"
        self._change_one(remote_id, change, (marker, *_columns(desired), remote_id))

    def assign(self, remote_id: str, assignments: Sequence[Mapping[str, object]]) -> None:
        """Replace the assignments of an object.

        Raises:
            RemoteError: it is not there.
        """
        change = "UPDATE objects SET assignments = ? WHERE id = ?"
        self._change_one(remote_id, change, (spelling(list(assignments)), remote_id))

    def remove(self, remote_id: str) -> None:
        """Take an object away, and what Graph knows of it."""
        self.connection.execute("DELETE FROM objects WHERE id = ?", (remote_id,))
        self.connection.execute("DELETE FROM graph_objects WHERE id = ?", (remote_id,))

    def _change_one(self, remote_id: str, change: str, values: tuple[str | None, ...]) -> None:
        if self.connection.execute(change, values).rowcount != 1:
            raise RemoteError(f"the local tenant has no object {remote_id} any more", retry=True)

    # What only Graph knows

    def graph_sides(self, path: str | None = None, remote_id: str | None = None) -> dict[str, GraphSide]:
        """What Graph knows of the objects that are there, by id, oldest first; of one collection, or one object."""
        given = {"path": path, "id": remote_id}
        wanted = [f"g.{name} = :{name}" for name, value in given.items() if value is not None]
        rows = self.connection.execute(
            f"SELECT {_GRAPH_SIDE} FROM graph_objects g JOIN objects o ON o.id = g.id "  # noqa: S608 - our own words
            f"WHERE {' AND '.join(('true', *wanted))} ORDER BY o.rowid",
            given,
        )
        return {str(row[0]): GraphSide(*row[:3], *map(json.loads, row[3:])) for row in rows}

    def put_graph_side(self, side: GraphSide) -> None:
        """Keep what Graph knows of an object."""
        plain = (side.properties, list(side.assignments), side.reported)
        self.connection.execute(
            "INSERT OR REPLACE INTO graph_objects (id, path, basis, properties, assignments, reported) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (side.remote_id, side.path, side.basis, *map(spelling, plain)),
        )

    # Graph's directory

    def entries(self, kind: str) -> dict[str, dict[str, Json]]:
        """The entries of one kind, by id, oldest first."""
        rows = self.connection.execute("SELECT id, data FROM directory WHERE kind = ? ORDER BY rowid", (kind,))
        return {str(row[0]): json.loads(row[1]) for row in rows}

    def entry(self, kind: str, entry_id: str) -> dict[str, Json] | None:
        """One entry; None: there is none of this kind with the id."""
        row = self.connection.execute(
            "SELECT data FROM directory WHERE kind = ? AND id = ?", (kind, entry_id)
        ).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def put_entry(self, kind: str, entry_id: str, data: Mapping[str, Json]) -> None:
        """Keep an entry, in the place of the one with its id."""
        self.connection.execute(
            "INSERT INTO directory (kind, id, data) VALUES (?, ?, ?) "
            "ON CONFLICT (kind, id) DO UPDATE SET data = excluded.data",
            (kind, entry_id, spelling(data)),
        )

    def remove_entry(self, kind: str, entry_id: str) -> None:
        """Take an entry away."""
        self.connection.execute("DELETE FROM directory WHERE kind = ? AND id = ?", (kind, entry_id))

    # Preparing the file

    def _prepared(self) -> str:
        """Make sure that the file is one of ours, or make it one if it is empty; returns its store id."""
        with translated(self.path):
            self.connection.execute("PRAGMA synchronous = FULL")
            if self._is_empty():
                with self.transaction():
                    if self._is_empty():
                        self._make_tables()
            if self._is_of(1):
                with self.transaction():
                    if self._is_of(1):
                        self._run(_SECOND)
            self._refuse_others()
            row = self.connection.execute("SELECT id FROM store").fetchone()
        if row is None:
            raise _unusable(self.path, "has lost its id")
        return str(row[0])

    def _refuse_others(self) -> None:
        if self._number("application_id") != _APPLICATION:
            raise _unusable(self.path, "is no local tenant")
        if not self._is_of(_VERSION):
            raise _unusable(self.path, f"is of version {self._number('user_version')}, not {_VERSION}")

    def _is_of(self, version: int) -> bool:
        return (self._number("application_id"), self._number("user_version")) == (_APPLICATION, version)

    def _is_empty(self) -> bool:
        with closing(self.connection.execute("SELECT 1 FROM sqlite_master")) as rows:
            return rows.fetchone() is None

    def _make_tables(self) -> None:
        self._run((*_FIRST, *_SECOND))
        self.connection.execute("INSERT INTO store (id) VALUES (?)", (secrets.token_hex(16),))

    def _run(self, statements: Sequence[str]) -> None:
        for statement in statements:
            self.connection.execute(statement)

    def _number(self, pragma: str) -> int:
        return int(self.connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _columns(desired: DesiredObject) -> tuple[str, str, str]:
    return desired.profile_type, spelling(desired.data), spelling(list(desired.assignments))


def remote_object(remote_id: str, marker: str | None, profile_type: str, data: str, assignments: str) -> RemoteObject:
    """Read a row, which anybody may have written.

    Raises:
        ValueError: it holds something else than an object.
    """
    plain, assigned = json.loads(data), json.loads(assignments)
    if not isinstance(plain, dict) or not isinstance(assigned, list) or not all(isinstance(a, dict) for a in assigned):
        raise ValueError(f"object {remote_id} is none")
    return RemoteObject(remote_id, marker, DesiredObject(profile_type, plain, tuple(assigned)))


@contextmanager
def translated(path: Path) -> Iterator[None]:
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
