"""Where approved changes are applied: what a provider can do, the values that it speaks in, and that of a target.

What is to be sent, in which order and on whose word is decided in ``apply``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from maa_gitops.errors import RemoteError
from maa_gitops.model import Target


@dataclass(frozen=True, slots=True)
class DesiredObject:
    """An object's state: Graph's properties, with ``type`` for ``@odata.type`` and the text of scripts as text.

    ``data`` and every one of ``assignments`` are plain data as documents hold them; assignments name groups, not ids,
    and their order means nothing.
    """

    profile_type: str
    data: Mapping[str, object]
    assignments: tuple[Mapping[str, object], ...] = ()

    @property
    def digest(self) -> str:
        """``sha256:`` and the SHA-256 of its one spelling: two states are the same if and only if this is."""
        assignments = ",".join(sorted(map(spelling, self.assignments)))
        text = f"{spelling(self.profile_type)}\n{spelling(self.data)}\n{assignments}"
        return "sha256:" + sha256(text.encode()).hexdigest()

    def differs_in_assignments_only(self, other: "DesiredObject") -> bool:
        """Whether everything but the assignments is the same."""
        same = self.profile_type == other.profile_type and spelling(self.data) == spelling(other.data)
        return same and self.digest != other.digest


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """An object as a target has it. ``marker`` is the mark by which it is ours; None: it bears none."""

    remote_id: str
    marker: str | None
    held: DesiredObject


class Provider(Protocol):
    """Code that talks to one target. Every method may raise RemoteError, and nothing else.

    A write that raises may have happened or not; an object's marker tells, and every write can be done again. Remote
    ids are 1 to 256 printable characters, ``store`` is 1 to 64 letters, digits, ``-`` and ``_``.
    """

    @property
    def store(self) -> str:
        """What identifies the copy of the target that it talks to; receipts name it."""

    def takes(self, profile_type: str) -> bool:
        """Whether it takes objects of this profile type."""

    def as_sent(self, desired: DesiredObject) -> DesiredObject:
        """The form in which ``objects`` would give the object back, if it were there exactly so."""

    def objects(self) -> Mapping[str, RemoteObject]:
        """Everything that is there of the types that it takes, by remote id."""

    def find(self, marker: str) -> str | None:
        """The remote id of the object that bears the marker; asked of the target itself, not of what was read."""

    def create(self, desired: DesiredObject, marker: str) -> str:
        """Make an object with its assignments; returns its remote id."""

    def update(self, remote_id: str, desired: DesiredObject, marker: str) -> None:
        """Bring an object to a state, assignments and marker included."""

    def assign(self, remote_id: str, assignments: Sequence[Mapping[str, object]]) -> None:
        """Replace all assignments of an object."""

    def delete(self, remote_id: str) -> None:
        """Take an object away; one that is gone already is no error."""

    def close(self) -> None:
        """Let go of the target."""


def open_provider(target: Target, git_dir: Path) -> Provider:
    """Open the provider of a target; close it when it is no longer needed.

    Raises:
        RemoteError: the target cannot be used, or there is no such provider.
    """
    from maa_gitops.providers import local  # it needs the values above

    if target.provider == "local":
        return local.LocalProvider.open(local.location(target, git_dir))
    raise _unknown(target)


def takes(target: Target, profile_type: str) -> bool:
    """Whether a target takes objects of a profile type, without opening its provider.

    Raises:
        RemoteError: there is no such provider.
    """
    from maa_gitops.providers import local  # as above

    if target.provider == "local":
        return local.LocalProvider.takes(profile_type)
    raise _unknown(target)


def _unknown(target: Target) -> RemoteError:
    return RemoteError(f"target {target.name} names the provider '{target.provider}'; there is: local")


def spelling(value: object) -> str:
    """The one spelling of plain data, floating point numbers included; for comparing, never for signing."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
