"""Which object of a target is a resource's: by its mark, by the object map, by the id that the resource adopts.

A display name never tells. Where what is there contradicts itself, nothing is chosen and the words say why.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from maa_gitops.model import ObjectId
from maa_gitops.providers import RemoteObject
from maa_gitops.receipt import AppliedObject
from maa_gitops.receipt.chain import OBJECT


@dataclass(frozen=True, slots=True)
class Found:
    """The object that is a resource's; None: nothing is there, or with a ``problem`` nobody can tell."""

    remote: RemoteObject | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Remotes:
    """What a target holds, by remote id and by mark; ``tenant`` is the one whose marks are ours.

    ``claims`` are the marks of all resources that there are or were, each with the id that was received under its name,
    if any was. ``holders`` are, by that id, the resources that there are.
    """

    tenant: str
    by_id: Mapping[str, RemoteObject]
    by_marker: Mapping[str, Sequence[RemoteObject]]
    claims: Mapping[str, str | None]
    holders: Mapping[str, str]

    def of(self, name: str, received: AppliedObject | None) -> Found:
        """The object of a resource: the one with its mark, else the one that it was applied to, if nobody has that."""
        mark, profile_type = marker(self.tenant, name), object_id(name).type
        marked = [found for found in self.by_marker.get(mark, ()) if found.held.profile_type == profile_type]
        known = self.by_id.get(received.remote_id) if received is not None else None
        if len(marked) > 1:
            ids = ", ".join(sorted(remote.remote_id for remote in marked))
            return Found(problem=f"several objects of the target bear its mark, {ids}; delete the wrong ones")
        if known is None or known.marker == mark or self._has_moved(known):
            return Found(marked[0] if marked else None)
        if marked:
            ids = f"{marked[0].remote_id} bears its mark, but it was applied to {known.remote_id}"
            return Found(problem=f"{ids}, which is still there; delete the wrong one")
        if self._is_anothers(known):
            text = f"it was applied to {known.remote_id}, which bears the mark {known.marker} now"
            return Found(problem=f"{text}; take that off, if it is still ours")
        return Found(known)

    def _has_moved(self, known: RemoteObject) -> bool:
        """Whether an object became that of another resource, which has no other one: a run that moved it was killed."""
        if known.marker is None or known.marker not in self.claims:
            return False
        theirs = self.claims[known.marker]
        return theirs is None or theirs == known.remote_id or theirs not in self.by_id

    def _is_anothers(self, known: RemoteObject) -> bool:
        """Whether an object bears the mark of another tenant, or of a resource that has another object."""
        if known.marker is None:
            return False
        return known.marker in self.claims or not known.marker.startswith(marker(self.tenant, ""))

    def adopted(self, name: str, found: Found, wanted: str | None) -> Found:
        """The object of a resource that has received nothing yet, where its document names one to adopt."""
        if wanted is None or found.problem is not None:
            return found
        remote = self.by_id.get(wanted)
        if remote is None:
            return Found(problem=f"it adopts {wanted}, which the target does not have")
        if remote.held.profile_type != object_id(name).type:
            return Found(problem=f"it adopts {wanted}, which is of profile type {remote.held.profile_type}")
        if self.holders.get(wanted, name) != name:
            return Found(problem=f"it adopts {wanted}, which is that of {self.holders[wanted]}")
        if remote.marker not in (None, marker(self.tenant, name)):
            return Found(problem=f"it adopts {wanted}, which bears the mark {remote.marker}")
        if found.remote is not None and found.remote.remote_id != wanted:
            return Found(problem=f"it adopts {wanted}, but {found.remote.remote_id} bears its mark already")
        return Found(remote)

    def resource_of(self, remote: RemoteObject) -> ObjectId | None:
        """The resource whose mark an object bears; None: it bears none of ours, or one for another type."""
        prefix = marker(self.tenant, "")
        if remote.marker is None or not remote.marker.startswith(prefix):
            return None
        name = remote.marker.removeprefix(prefix)
        found = object_id(name)
        return found if OBJECT.fullmatch(name) and found.type == remote.held.profile_type else None


def remotes_of(
    tenant: str, objects: Mapping[str, RemoteObject], received: Mapping[str, AppliedObject], resources: Iterable[str]
) -> Remotes:
    """Sort what a target holds; ``received`` is the object map, ``resources`` are those that there are."""
    there = set(resources)
    ids = {name: received[name].remote_id if name in received else None for name in there | received.keys()}
    claims = {marker(tenant, name): remote_id for name, remote_id in ids.items()}
    holders = {remote_id: name for name, remote_id in ids.items() if remote_id is not None and name in there}
    return Remotes(tenant, objects, by_marker(objects), claims, holders)


def marker(tenant: str, name: str) -> str:
    """The mark that an object of a tenant bears on every target; the name is ``type/name``."""
    return f"maa:{tenant}:{name}"


def object_id(name: str) -> ObjectId:
    """An object by its name, ``type/name``."""
    profile_type, _, rest = name.partition("/")
    return ObjectId(profile_type, rest)


def by_marker(objects: Mapping[str, RemoteObject]) -> dict[str, list[RemoteObject]]:
    """The objects of a target that bear a mark, by it."""
    found: dict[str, list[RemoteObject]] = {}
    for remote in objects.values():
        if remote.marker is not None:
            found.setdefault(remote.marker, []).append(remote)
    return found


def ids_of(remotes: Iterable[RemoteObject | None]) -> frozenset[str]:
    """The remote ids of the objects that there are."""
    return frozenset(remote.remote_id for remote in remotes if remote is not None)
