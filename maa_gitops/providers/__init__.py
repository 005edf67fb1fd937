"""Where approved changes are applied: what a provider can do, the values that it speaks in, and that of a target.

What is to be sent, in which order and on whose word is decided in ``apply``.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from maa_gitops.errors import RemoteError
from maa_gitops.model import JUSTIFICATION_LIMIT, Outcome, Target


@dataclass(frozen=True, slots=True)
class DesiredObject:
    """An object's state: Graph's properties, with ``type`` for ``@odata.type`` and the text of scripts as text.

    ``data`` and every one of ``assignments`` are plain data as documents hold them; assignments name groups, not ids,
    and their order means nothing. ``sent`` is what is sent, where that is more than what the target gives back;
    ``is_unseen``: of that, comparing does not tell whether it is there.
    """

    profile_type: str
    data: Mapping[str, object]
    assignments: tuple[Mapping[str, object], ...] = ()
    sent: "DesiredObject | None" = None
    is_unseen: bool = False

    @property
    def whole(self) -> "DesiredObject":
        """What is sent."""
        return self.sent if self.sent is not None else self

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


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something on a target that cannot be kept as a resource, by its id and its name there, and why."""

    remote_id: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Reach:
    """How many people and devices are in what an assignment names; None: nobody can tell.

    ``was``: it is assigned no longer.
    """

    name: str
    people: int | None
    devices: int | None
    was: bool = False


@dataclass(frozen=True, slots=True)
class Approval:
    """A request that waits in the target's own approval: its code there, and the digest of the call to send again."""

    code: str
    call: str


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a write is done for: the words for a target that has an approval of its own, and what waits there."""

    justification: str
    approval: Approval | None = None


class NativeApprovalError(RemoteError):
    """The target's own approval is not there, so nothing was changed. ``waits``: it may still be given."""

    def __init__(self, message: str, approval: Approval, *, waits: bool) -> None:
        super().__init__(message, retry=waits, code=Outcome.AWAITING_NATIVE_APPROVAL if waits else "nativeApproval")
        self.approval = approval
        self.waits = waits


JUSTIFICATION_ROOM = JUSTIFICATION_LIMIT - 32
"""Code points of an occasion's justification; a provider adds what it needs to find its request again."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a provider is given of this machine: the environment's variables, where to tell how far reading is."""

    environment: Mapping[str, str] = field(default_factory=dict)
    progress: Callable[[int, int], None] = lambda _done, _all: None


def change_of_reach(
    provider: "Provider", before: Sequence[Mapping[str, object]], after: Sequence[Mapping[str, object]]
) -> tuple[Reach, ...]:
    """Ask a provider whom a change of assignments reaches, and whom it reached before and no longer does."""
    now = provider.reach(after)
    names = {found.name for found in now}
    return (*now, *(replace(found, was=True) for found in provider.reach(before) if found.name not in names))


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

    def left_out(self) -> tuple[LeftOut, ...]:
        """What is there of these types besides, of kinds that cannot be kept as resources; sorted."""

    def obstacle(self, remote: RemoteObject | None, desired: DesiredObject) -> str | None:
        """Why an object cannot be brought to a state, or made where ``remote`` is None; None: it can."""

    def reach(self, assignments: Sequence[Mapping[str, object]]) -> tuple[Reach, ...]:
        """How many are in what the assignments name, in their order; what is unknown is left out."""

    def on(self, occasion: Occasion) -> "Provider":
        """The same target, for writing on an occasion."""

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


def open_provider(target: Target, git_dir: Path, surroundings: Surroundings | None = None) -> Provider:
    """Open the provider of a target; close it when it is no longer needed.

    Raises:
        RemoteError: the target cannot be used, or there is no such provider.
    """
    match target.provider:
        case "local":
            from maa_gitops.providers import local  # it needs the values above

            return local.LocalProvider.open(local.location(target, git_dir))
        case "graph":
            from maa_gitops.providers.graph.provider import GraphProvider  # as above

            return GraphProvider.open(target, surroundings or Surroundings())
        case _:
            raise _unknown(target)


def takes(target: Target, profile_type: str) -> bool:
    """Whether a target takes objects of a profile type, without opening its provider.

    Raises:
        RemoteError: there is no such provider.
    """
    match target.provider:
        case "local":
            from maa_gitops.providers import local  # as above

            return local.LocalProvider.takes(profile_type)
        case "graph":
            from maa_gitops.providers.graph import kinds  # as above

            return any(collection.profile_type == profile_type for collection in kinds.collections(target))
        case _:
            raise _unknown(target)


def _unknown(target: Target) -> RemoteError:
    return RemoteError(f"target {target.name} names the provider '{target.provider}'; there is: graph, local")


def spelling(value: object) -> str:
    """The one spelling of plain data, floating point numbers included; for comparing, never for signing."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
