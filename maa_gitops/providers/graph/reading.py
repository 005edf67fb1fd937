"""Reading a tenant: the objects of its collections with their assignments, and the names of groups and filters."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from maa_gitops.errors import RemoteError
from maa_gitops.providers import DesiredObject, LeftOut, Reach, RemoteObject
from maa_gitops.providers.graph.client import GraphClient, Json, misunderstood
from maa_gitops.providers.graph.kinds import Collection
from maa_gitops.providers.graph.sending import groups_in
from maa_gitops.providers.graph.shapes import (
    FILTER_ID,
    Names,
    assignment_of,
    compared,
    compared_assignments,
    kind_of,
    mark_in,
    properties_of,
    without_mark,
)

FILTERS = "deviceManagement/assignmentFilters"

_NO_BUILT_IN = (
    "(microsoft.graph.managedApp/appAvailability) eq null or "
    "(microsoft.graph.managedApp/appAvailability) eq 'lineOfBusiness' or isAssigned eq true"
)
"""Apps that Intune brings along and nobody has assigned are left out of a list by this filter."""

_POLICY_SETS = "policySets"
_MORE = "@odata.nextLink"
_ID = re.compile(r"[!-~]{1,256}")
_GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


@dataclass(frozen=True, slots=True)
class Raw:
    """An object as Graph has it, with its own assignments; so many are ``given`` by policy sets and governed there."""

    collection: Collection
    properties: Mapping[str, Json]
    assignments: tuple[Mapping[str, Json], ...]
    given: int = 0

    @property
    def remote_id(self) -> str:
        """Its id."""
        return str(self.properties.get("id"))

    @property
    def marker(self) -> str | None:
        """The mark that it bears."""
        return mark_in(self.properties.get(self.collection.marker))

    @property
    def is_kept(self) -> bool:
        """Whether it is of a kind that a resource can be."""
        return not self.collection.kinds or kind_of(self.properties, self.collection) in self.collection.kinds

    @property
    def is_hidden(self) -> bool:
        """Whether it is Microsoft's own, which nobody can change."""
        return any(self.properties.get(key) is True for key in self.collection.hidden)

    def state(self, names: Names) -> DesiredObject:
        """Its state, in the form that is compared."""
        data = properties_of(self.properties, self.collection)
        if self.collection.marker in data:
            data[self.collection.marker] = without_mark(data[self.collection.marker])
        assignments = compared_assignments(assignment_of(found, names) for found in self.assignments)
        return DesiredObject(self.collection.profile_type, compared(data, self.collection), assignments)

    def remote(self, names: Names) -> RemoteObject:
        """It as an object of a target."""
        return RemoteObject(self.remote_id, self.marker, self.state(names))

    def left_out(self) -> LeftOut:
        """It as something that cannot be kept."""
        kind = kind_of(self.properties, self.collection) or "no type"
        why = f"objects of the kind {kind} cannot be kept as resources"
        if self.is_hidden:
            why = f"objects of the kind {kind} that are Microsoft's own cannot be kept as resources"
        if self.given:
            why = "assignments that a policy set gives cannot be kept with the object"
        return LeftOut(self.remote_id, str(self.properties.get(self.collection.name) or ""), why)

    @property
    def group_ids(self) -> frozenset[str]:
        """The groups that its assignments name; Graph refuses to be asked for what can be no group's id."""
        targets = (found.get("target") for found in self.assignments)
        ids = (str(found.get("groupId")) for found in targets if isinstance(found, dict))
        return frozenset(found for found in ids if _GUID.fullmatch(found))

    @property
    def has_filter(self) -> bool:
        """Whether an assignment filter narrows one of its assignments."""
        targets = (found.get("target") for found in self.assignments)
        return any(isinstance(found, dict) and found.get(FILTER_ID) for found in targets)


def read_collection(
    client: GraphClient, collection: Collection, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> tuple[list[Raw], list[Raw]]:
    """Read a collection: what a resource can be, whole, and the rest as the list has it.

    The list alone is not enough: it leaves out scripts' texts, icons and, for some, assignments.
    """
    query = {"filter": _NO_BUILT_IN} if collection.publishes else {}
    listed = [Raw(collection, _object(found), ()) for found in client.pages(collection.path, **query)]
    kept = [raw for raw in listed if raw.is_kept and not raw.is_hidden]
    whole = read_whole(client, collection, [raw.remote_id for raw in kept], progress)
    others = [raw for raw in listed if not raw.is_kept or raw.is_hidden]
    return whole, [*others, *(raw for raw in whole if raw.given)]


def read_whole(
    client: GraphClient,
    collection: Collection,
    ids: Sequence[str],
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> list[Raw]:
    """Read objects by their ids; one that is gone is left out.

    Raises:
        RemoteError: among others, an object has no assignments: it went away in between, or never can have any.
    """
    expand = f"?$expand={quote(','.join(collection.expand), safe='$(),=')}" if collection.expand else ""
    places = [f"/{object_path(collection, found)}" for found in ids]
    paths = [f"{place}{expand}" for place in places]
    if collection.assign is not None:
        paths += [f"{place}/assignments" for place in places]
    answers = client.batch(paths, progress=progress)
    whole = []
    for index, properties in enumerate(answers[: len(ids)]):
        assigned = answers[len(ids) + index] if collection.assign is not None else {"value": []}
        if properties is None:
            continue
        if assigned is None:
            text = f"{object_path(collection, ids[index])} is there, but not its assignments"
            raise RemoteError(text, retry=True, code="graphFailed")
        found = _object(properties, ids[index])
        if collection.expand:
            found = _completed(client, found)
        items = _assignments(client, assigned)
        own = tuple(item for item in items if item.get("source") != _POLICY_SETS)
        whole.append(Raw(collection, found, own, given=len(items) - len(own)))
    return whole


def object_path(collection: Collection, remote_id: str) -> str:
    """The path of one object."""
    return f"{collection.path}/{quote(remote_id, safe='')}"


def object_id(found: Json) -> str | None:
    """The id that an object says it has; None: it has none, or one that cannot be."""
    remote_id = found.get("id") if isinstance(found, dict) else None
    return remote_id if isinstance(remote_id, str) and _ID.fullmatch(remote_id) else None


def _object(found: Json, wanted: str | None = None) -> Mapping[str, Json]:
    """An object as it came; with ``wanted`` it must be that of this id."""
    remote_id = object_id(found)
    if remote_id is None or wanted not in (None, remote_id):
        raise misunderstood("an object")
    return dict(found)


def _completed(client: GraphClient, found: Json) -> Json:
    """What came, with the rest of each list in it of which only the first page was given along."""
    if isinstance(found, list):
        return [_completed(client, item) for item in found]
    if not isinstance(found, dict):
        return found
    whole = {key: _completed(client, value) for key, value in found.items() if not key.endswith(_MORE)}
    for key in found.keys() - whole.keys():
        name = key.removesuffix(_MORE)
        whole[name] = [*_items(whole.get(name), name), *_rest(client, found[key])]
    return whole


def _items(found: Json, what: str) -> list[Json]:
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise misunderstood(what)
    return found


def _rest(client: GraphClient, link: Json) -> list[Json]:
    """The pages after the first, by the link that leads to them; none if there is no link."""
    if link is None:
        return []
    if not isinstance(link, str):
        raise misunderstood("a link")
    return list(client.pages(link.removeprefix(f"{client.url}/")))


def _assignments(client: GraphClient, found: Json) -> list[Mapping[str, Json]]:
    page = found if isinstance(found, dict) else {}
    return [*_items(page.get("value"), "assignments"), *_rest(client, page.get(_MORE))]


# --- names -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Directory:
    """What groups and assignment filters are called; asked once for each, since a run is short."""

    client: GraphClient
    _groups: dict[str, str] = field(default_factory=dict)
    _known_names: set[str] = field(default_factory=set)
    _known_ids: set[str] = field(default_factory=set)
    _counts: dict[str, tuple[int | None, int | None]] = field(default_factory=dict)
    _filters: dict[str, str] | None = None

    def names(self, *, group_ids: Iterable[str] = (), group_names: Iterable[str] = (), filters: bool = False) -> Names:
        """The names of these groups, and every group of these names; those of all assignment filters if wanted.

        A name is asked for as well where an id was, so that it is known whether it is one group's alone.
        """
        self._learn_ids(sorted({*group_ids} - self._known_ids))
        wanted = {*group_names, *(self._groups[found] for found in self._known_ids if found in self._groups)}
        self._learn_names(sorted(wanted - self._known_names))
        if filters and self._filters is None:
            self._filters = {
                str(found.get("id")): str(found.get("displayName"))
                for found in self.client.pages(FILTERS, select="id,displayName")
            }
        return Names(self._groups, self._filters or {})

    def _learn_ids(self, ids: Sequence[str]) -> None:
        answers = self.client.batch([f"/groups/{quote(found, safe='')}?$select=id,displayName" for found in ids])
        named = (_named(found) for found in answers if found is not None)
        self._groups.update(pair for pair in named if pair[1])
        self._known_ids |= set(ids)

    def _learn_names(self, names: Sequence[str]) -> None:
        paths = []
        for name in names:
            wanted = quote("displayName eq '" + name.replace("'", "''") + "'", safe="", errors="replace")
            paths.append(f"/groups?$filter={wanted}&$select=id,displayName")
        for name, found in zip(names, self.client.batch(paths), strict=True):
            page = found if isinstance(found, dict) else {}
            items = [*_items(page.get("value"), "groups"), *_rest(self.client, page.get(_MORE))]
            same = (pair for pair in map(_named, items) if pair[1] == name)  # Graph compares without regard to case
            self._groups.update(same)
        self._known_names |= set(names)

    def reach(self, assignments: Sequence[Mapping[str, object]], names: Names) -> tuple[Reach, ...]:
        """How many people and devices are in the groups that assignments name, nested ones included."""
        targets = [found.get("target") for found in assignments]
        wanted = groups_in(assignments)
        ids = {name: found[0] for name in sorted(wanted) if len(found := names.group_ids(name)) == 1}
        self._count(sorted({*ids.values()} - self._counts.keys()))
        known = {name: self._counts[found] for name, found in ids.items()}
        labels = [_label(target) for target in targets if isinstance(target, Mapping)]
        told = dict.fromkeys(label for label in labels if label is not None and (not label[1] or label[1] in known))
        return tuple(Reach(label, *known.get(name, (None, None))) for label, name in told)

    def _count(self, ids: Sequence[str]) -> None:
        """Ask how many are in groups; who may not count them is not kept from the rest."""
        paths = [f"groups/{found}/transitiveMembers/microsoft.graph.{kind}" for found in ids for kind in _KINDS]
        try:
            counts = self.client.counts(paths)
        except RemoteError as error:
            if error.code != "graphForbidden":
                raise
            counts = [None] * len(paths)
        pairs = zip(ids, counts[::2], counts[1::2], strict=True)
        self._counts.update({found: (people, devices) for found, people, devices in pairs})


_KINDS = ("user", "device")


def _label(target: Mapping[str, object]) -> tuple[str, str] | None:
    """What a target is called, and the name of its group if it has one."""
    wanted = target.get("filter")
    narrowed = ""
    if isinstance(wanted, Mapping):
        narrowed = f", {'without' if wanted.get('mode') == 'exclude' else 'only'} the filter {wanted.get('name')}"
    if "allDevices" in target or "allUsers" in target:
        return (("all devices" if "allDevices" in target else "all users") + narrowed, "")
    if "group" in target:
        return f"{target['group']}{narrowed}", str(target["group"])
    return (f"not {target['excludeGroup']}", str(target["excludeGroup"])) if "excludeGroup" in target else None


def _named(found: Json) -> tuple[str, str]:
    if not isinstance(found, dict) or not isinstance(found.get("id"), str):
        raise misunderstood("a group")
    return found["id"], str(found.get("displayName") or "")


def organization(client: GraphClient) -> str:
    """The id of the tenant that answers.

    Raises:
        RemoteError: it does not say.
    """
    found = next(iter(client.pages("organization", select="id")), None)
    if found is None or not isinstance(found.get("id"), str):
        raise RemoteError("Graph does not say which tenant this is", code="graphMisunderstood")
    return str(found["id"])
