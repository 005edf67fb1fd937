"""The tenant behind the embedded Graph: objects as Graph has them and as resources, kept the same in one file.

A resource is what other providers see; what only Graph can say of it lies beside it. Whatever somebody else wrote into
the file is taken in before the next call is answered.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from maa_gitops.embedded.catalog import place_of, served
from maa_gitops.embedded.messages import Json, stamp
from maa_gitops.embedded.options import Options
from maa_gitops.providers import DesiredObject, RemoteObject
from maa_gitops.providers.graph.kinds import Collection
from maa_gitops.providers.graph.shapes import (
    PREFIX,
    Names,
    assignment_of,
    graph_assignment,
    graph_properties,
    mark_in,
    properties_of,
    type_name,
    with_mark,
    without_mark,
)
from maa_gitops.providers.store import GraphSide, Store

GROUP, FILTER = "group", "assignmentFilter"
"""Kinds of entries in the directory that assignments name."""

_FILTER_ID, _FILTER_MODE = "deviceAndAppManagementAssignmentFilterId", "deviceAndAppManagementAssignmentFilterType"
_OF_GROUPS = ("group", "excludeGroup")
_TARGETS = {
    "group": "groupAssignmentTarget",
    "excludeGroup": "exclusionGroupAssignmentTarget",
    "allDevices": "allDevicesAssignmentTarget",
    "allUsers": "allLicensedUsersAssignmentTarget",
}
"""What a resource says of a target, and the type that it is in Graph."""


class Tenant:
    """One open file, served. Everything but ``settle`` is called within a transaction of its store."""

    def __init__(self, store: Store, options: Options) -> None:
        self.store = store
        self.options = options
        self.collections = served(options.types)
        self._settled: int | None = None
        self._names: Names | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nobody else has written since ``settle``; certain only within a transaction."""
        return self.store.foreign_changes() == self._settled

    def settle(self, now: datetime) -> None:
        """Take in what somebody else wrote since the call before."""
        if self.is_settled:
            return
        self.forget()
        with self.store.transaction():
            seen, sides = self.store.foreign_changes(), self.store.graph_sides()
            for remote in self.store.objects().values():
                side = sides.get(remote.remote_id)
                if side is None or side.basis != basis_of(remote) or side.path not in self.collections:
                    self._take_in(remote, side, now)
        self._settled = seen

    def forget(self) -> None:
        """Read the directory's names again: they have changed, or what changed them was taken back."""
        self._names = None

    def _take_in(self, remote: RemoteObject, before: GraphSide | None, now: datetime) -> None:
        """Make the Graph side of an object that was written as a resource."""
        collection = self._collection_of(remote.held)
        if collection is None:
            return
        properties = graph_properties(remote.held.data, collection)
        usual = place_of(collection.path).type
        if "@odata.type" not in properties and usual is not None:
            properties["@odata.type"] = PREFIX + usual
        if remote.marker is not None:
            properties[collection.marker] = with_mark(properties.get(collection.marker), remote.marker)
        assignments = self._graph_assignments(remote.held.assignments, collection, type_name(properties))
        reported = changed(before.reported, now) if before is not None else born(now)
        side = GraphSide(remote.remote_id, collection.path, basis_of(remote), properties, assignments, reported)
        self.store.put_graph_side(side)

    def _collection_of(self, held: DesiredObject) -> Collection | None:
        """Where Graph has an object; None: it does not know such objects."""
        own = [found for found in self.collections.values() if found.profile_type == held.profile_type]
        exact = [found for found in own if held.data.get("type") in found.kinds]
        open_ones = [found for found in own if not found.kinds or place_of(found.path).types]
        return next(iter((*exact, *open_ones)), None)

    # Assignments

    def names(self) -> Names:
        """The names of groups and assignment filters, by id."""
        if self._names is None:
            self._names = Names(self._named(GROUP), self._named(FILTER))
        return self._names

    def _named(self, kind: str) -> dict[str, str]:
        return {key: str(found.get("displayName")) for key, found in self.store.entries(kind).items()}

    def _graph_assignments(
        self, assignments: Iterable[Mapping[str, object]], collection: Collection, kind: str | None
    ) -> list[Mapping[str, Json]]:
        """Assignments as Graph has them; a group or a filter that is not there yet is made, without anybody in it."""
        found: list[Mapping[str, Json]] = []
        for assignment in assignments:
            self._make_missing(assignment.get("target"))
            known = by_id(assignment, self.names())
            with suppress(LookupError):  # what names nobody reaches nobody
                found.append(graph_assignment(known, collection, kind, self.names()))
        return found

    def _make_missing(self, target: object) -> None:
        if not isinstance(target, Mapping) or "@odata.type" in target:
            return
        names, wanted = self.names(), target.get("filter")
        for key in _OF_GROUPS:
            if key in target and f"{key}Id" not in target and not names.group_ids(str(target[key])):
                self.store.put_entry(GROUP, str(uuid4()), new_group(str(target[key])))
                self.forget()
        if isinstance(wanted, Mapping) and "nameId" not in wanted and not names.filter_ids(str(wanted.get("name"))):
            entry = {"displayName": str(wanted.get("name")), "platform": "windows10AndLater", "rule": ""}
            self.store.put_entry(FILTER, str(uuid4()), entry)
            self.forget()

    # Writing

    def put(self, side: GraphSide, *, is_new: bool = False) -> GraphSide:
        """Keep an object as Graph has it, and as the resource that says the same."""
        held, marker = self._resource(side)
        (self.store.add if is_new else self.store.change)(side.remote_id, held, marker)
        kept = replace(side, basis=basis_of(RemoteObject(side.remote_id, marker, held)))
        self.store.put_graph_side(kept)
        return kept

    def respell(self) -> None:
        """Write every resource's assignments again, after the name of a group or of a filter has changed."""
        self.forget()
        for side in self.store.graph_sides().values():
            if side.assignments and side.path in self.collections:
                self.put(side)

    def _resource(self, side: GraphSide) -> tuple[DesiredObject, str | None]:
        """An object as a resource, and the mark that it bears; a mark that another object has is only text."""
        collection = self.collections[side.path]
        data = properties_of(side.properties, collection)
        text = data.get(collection.marker)
        marker, words = mark_in(text), without_mark(text)
        if marker is None or not self._can_bear(side, marker, words, text):
            marker = None
        else:
            data = {**data, collection.marker: words} if words else _without(data, collection.marker)
        assignments = tuple(assignment_of(found, self.names()) for found in side.assignments)
        return DesiredObject(collection.profile_type, data, assignments), marker

    def _can_bear(self, side: GraphSide, marker: str, words: str, text: object) -> bool:
        """Whether a mark can be kept apart from its text, to be put together again as it was."""
        is_free = marker.isprintable() and self.store.find(marker) in (None, side.remote_id)
        return is_free and with_mark(words, marker) == text


def _without(data: Mapping[str, object], key: str) -> dict[str, object]:
    return {name: value for name, value in data.items() if name != key}


def basis_of(remote: RemoteObject) -> str:
    """What tells whether an object is still as it was."""
    return f"{remote.held.digest} {remote.marker or ''}"


def by_id(assignment: Mapping[str, object], names: Names) -> Mapping[str, object]:
    """An assignment of a resource that has ids where names tell nothing: in Graph's form, in which ids can stand."""
    target = assignment.get("target")
    if not isinstance(target, Mapping):
        return assignment
    wanted = target.get("filter")
    narrow = wanted if isinstance(wanted, Mapping) and "nameId" in wanted else {}
    key = next((key for key in _TARGETS if key in target or f"{key}Id" in target), None)
    if key is None or (f"{key}Id" not in target and not narrow):
        return assignment
    found: dict[str, object] = {"@odata.type": f"{PREFIX}{_TARGETS[key]}"}
    if key in _OF_GROUPS:
        named = names.group_ids(str(target.get(key)))
        found["groupId"] = target.get(f"{key}Id", next(iter(named), None))
    if narrow:
        found |= {_FILTER_ID: narrow["nameId"], _FILTER_MODE: narrow.get("mode")}
    return {**assignment, "target": found}


def new_group(name: str) -> dict[str, Json]:
    """A security group with nobody in it."""
    return {"displayName": name, "securityEnabled": True, "mailEnabled": False, "groupTypes": [], "members": []}


def born(now: datetime) -> dict[str, Json]:
    """What Graph reports of an object that is made now."""
    return {"createdDateTime": stamp(now), "lastModifiedDateTime": stamp(now), "version": 1}


def changed(reported: Mapping[str, Json], now: datetime) -> dict[str, Json]:
    """What Graph reports of an object once it is changed."""
    return {**reported, "lastModifiedDateTime": stamp(now), "version": int(reported.get("version", 1)) + 1}
