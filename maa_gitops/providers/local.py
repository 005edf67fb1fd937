"""The embedded local tenant: a file that takes every resource as it is; one transaction an object.

How the file is kept is ``store``'s business; the embedded Graph serves the same one.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

from maa_gitops.errors import RemoteError
from maa_gitops.model import ACCESS_POLICY_TYPE, Target
from maa_gitops.providers import DesiredObject, LeftOut, Occasion, Reach, RemoteObject
from maa_gitops.providers.store import Store, translated


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

    def __init__(self, store: Store) -> None:
        self._file = store

    @classmethod
    def open(cls, path: Path) -> "LocalProvider":
        """Open the file; one that is not there yet becomes an empty tenant with an id of its own.

        Raises:
            RemoteError: it cannot be opened, is no database, or none of ours.
        """
        return cls(Store.open(path))

    @property
    def store(self) -> str:
        """The random id that the file got when it was made."""
        return self._file.id

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._file.connection

    @staticmethod
    def takes(profile_type: str) -> bool:
        """Every resource; the rules themselves are never applied."""
        return profile_type != ACCESS_POLICY_TYPE

    def as_sent(self, desired: DesiredObject) -> DesiredObject:
        """The object itself: it is kept as it is given."""
        return desired

    def objects(self) -> Mapping[str, RemoteObject]:
        """Everything that is there, by remote id."""
        with translated(self._file.path):
            return self._file.objects()

    def left_out(self) -> tuple[LeftOut, ...]:
        """Nothing: whatever is there is a resource."""
        return ()

    def obstacle(self, remote: RemoteObject | None, desired: DesiredObject) -> str | None:  # noqa: ARG002 - the protocol's signature
        """Nothing: every state can follow every other."""
        return None

    def reach(self, assignments: Sequence[Mapping[str, object]]) -> tuple[Reach, ...]:  # noqa: ARG002 - as above
        """Nobody knows: the tenant takes assignments by name, whoever is behind them."""
        return ()

    def on(self, occasion: Occasion) -> "LocalProvider":  # noqa: ARG002 - as above
        """The same; it has no approval of its own."""
        return self

    def find(self, marker: str) -> str | None:
        """The remote id of the object that bears the marker."""
        with translated(self._file.path):
            return self._file.find(marker)

    def create(self, desired: DesiredObject, marker: str) -> str:
        """Make an object; two that bear one marker are refused."""
        remote_id = str(uuid4())
        with self._file.transaction():
            other = self._file.find(marker)
            if other is not None:
                raise RemoteError(f"object {other} of the local tenant bears the mark {marker} already")
            self._file.add(remote_id, desired, marker)
        return remote_id

    def update(self, remote_id: str, desired: DesiredObject, marker: str) -> None:
        """Bring an object to a state, assignments and marker included."""
        with self._file.transaction():
            self._file.change(remote_id, desired, marker)

    def assign(self, remote_id: str, assignments: Sequence[Mapping[str, object]]) -> None:
        """Replace all assignments of an object."""
        with self._file.transaction():
            self._file.assign(remote_id, assignments)

    def delete(self, remote_id: str) -> None:
        """Take an object away."""
        with self._file.transaction():
            self._file.remove(remote_id)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
