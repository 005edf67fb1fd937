"""Which object of a target is a resource's: by its mark, by the object map, by the id that the resource adopts.

A display name never tells. Where what is there contradicts itself, nothing is chosen and the words say why.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from maa_gitops.model import ObjectId
from maa_gitops.providers import RemoteObject
from maa_gitops.receipt import AppliedObject


@dataclass(frozen=True, slots=True)
class Found:
    """The object that is a resource's; None: nothing is there, or with a ``problem`` nobody can tell."""

    remote: RemoteObject | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Remotes:
    """What a target holds, by remote id and by mark; ``tenant`` is the one whose marks are ours."""

    tenant: str
    by_id: Mapping[str, RemoteObject]
    by_marker: Mapping[str, Sequence[RemoteObject]]

    def of(self, name: str, received: AppliedObject | None) -> Found:
        """The object of a resource: the one with its mark, else the one that it was applied to, if that has none."""
        marked = self.by_marker.get(marker(self.tenant, name), ())
        known = self.by_id.get(received.remote_id) if received is not None else None
        unmarked = known if known is not None and known.marker is None else None
        if len(marked) > 1:
            ids = ", ".join(sorted(remote.remote_id for remote in marked))
            return Found(problem=f"several objects of the target bear its mark, {ids}; delete the wrong ones")
        if marked and unmarked is not None:
            ids = f"{marked[0].remote_id} bears its mark, but it was applied to {unmarked.remote_id}"
            return Found(problem=f"{ids}, which is still there; delete the wrong one")
        return Found(marked[0] if marked else unmarked)

    def adopted(self, name: str, found: Found, wanted: str | None) -> Found:
        """The object of a resource that has received nothing yet, where its document names one to adopt."""
        if wanted is None or found.problem is not None:
            return found
        remote = self.by_id.get(wanted)
        if remote is None:
            return Found(problem=f"it adopts {wanted}, which the target does not have")
        if remote.marker not in (None, marker(self.tenant, name)):
            return Found(problem=f"it adopts {wanted}, which bears the mark {remote.marker}")
        if found.remote is not None and found.remote.remote_id != wanted:
            return Found(problem=f"it adopts {wanted}, but {found.remote.remote_id} bears its mark already")
        return Found(remote)


def remotes_of(tenant: str, objects: Mapping[str, RemoteObject]) -> Remotes:
    """Sort what a target holds."""
    return Remotes(tenant, objects, by_marker(objects))


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
