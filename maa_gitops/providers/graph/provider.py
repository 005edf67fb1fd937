"""The provider ``graph``: resources in Microsoft Intune, by its marks and ids, written no more than is needed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from maa_gitops.errors import RemoteError
from maa_gitops.http import Connection
from maa_gitops.model import Target
from maa_gitops.providers import DesiredObject, LeftOut, Occasion, Reach, RemoteObject, Surroundings
from maa_gitops.providers.graph.client import GraphClient, Json, UnclearError
from maa_gitops.providers.graph.credentials import credential
from maa_gitops.providers.graph.kinds import Collection, collections
from maa_gitops.providers.graph.native import Writer
from maa_gitops.providers.graph.reading import (
    Directory,
    Raw,
    object_id,
    object_path,
    organization,
    read_collection,
    read_whole,
)
from maa_gitops.providers.graph.sending import body, groups_in, has_filter, sent_assignments
from maa_gitops.providers.graph.shapes import Names, compared, compared_assignments, is_unseen, kind_of, without_mark

DEFAULT_URL = "https://graph.microsoft.com/beta"

_PUBLISH_TRIES = 10


@dataclass(slots=True)
class _Known:
    """What has been asked of the tenant in this run."""

    directory: Directory
    store: str | None = None
    raws: dict[str, Raw] = field(default_factory=dict)
    others: list[Raw] = field(default_factory=list)
    marks: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GraphProvider:
    """One tenant. Not for several threads at once."""

    target: Target
    client: GraphClient
    collections: tuple[Collection, ...]
    writer: Writer
    known: _Known
    progress: Callable[[int, int], None] = lambda _done, _all: None

    @classmethod
    def open(cls, target: Target, surroundings: Surroundings, client: GraphClient | None = None) -> "GraphProvider":
        """Open a target; nothing is asked yet.

        Raises:
            RemoteError: there is no credential, or the address may not be asked.
        """
        if client is None:
            environment = surroundings.environment
            connection = Connection(proxy=environment.get("HTTPS_PROXY") or environment.get("https_proxy"))
            token = credential(target.options, environment, connection)
            client = GraphClient(target.options.get("url", DEFAULT_URL).rstrip("/"), token, connection)
        writer = Writer(client, target.options.get("nativeApproval", "handshake") == "handshake")
        known = _Known(Directory(client))
        return cls(target, client, collections(target), writer, known, surroundings.progress)

    @property
    def store(self) -> str:
        """The id of the tenant, which must be the one that the target names.

        Raises:
            RemoteError: ``wrongTenant``, or Graph does not answer.
        """
        if self.known.store is None:
            found, wanted = organization(self.client), self.target.options.get("tenantId", "")
            if found.lower() != wanted.lower():
                text = f"the credential is for tenant {found}, but target {self.target.name} names {wanted}"
                raise RemoteError(text, hint="sign in to that tenant, or mend tenantId in maa.yaml", code="wrongTenant")
            self.known.store = found
        return self.known.store

    def takes(self, profile_type: str) -> bool:
        """Whether Graph has a place for objects of this profile type."""
        return any(collection.profile_type == profile_type for collection in self.collections)

    def as_sent(self, desired: DesiredObject) -> DesiredObject:
        """The form that is compared.

        Raises:
            RemoteError: an assignment cannot be sent: its group is unknown, say.
        """
        collection = self._place(desired)
        self._sent_assignments(collection, desired.data.get("type"), desired.assignments)
        data = dict(desired.data)
        if isinstance(data.get(collection.marker), str):
            data[collection.marker] = without_mark(data[collection.marker])
        return DesiredObject(
            desired.profile_type,
            compared(data, collection),
            compared_assignments(desired.assignments),
            sent=desired,
            is_unseen=is_unseen(desired.assignments),
        )

    def objects(self) -> Mapping[str, RemoteObject]:
        """Everything that is there of the kinds that resources can be, by id."""
        _ = self.store
        self.known.raws.clear()
        self.known.others.clear()
        for collection in self.collections:
            kept, others = self._collected(collection)
            self._refuse_shared(kept)
            self.known.raws.update({raw.remote_id: raw for raw in kept})
            self.known.others.extend(others)
        return self._remotes(self.known.raws.values())

    def _refuse_shared(self, raws: Iterable[Raw]) -> None:
        """Refuse two places that show the same object: it could be changed as one of a type that nobody protects."""
        for raw in raws:
            other = self.known.raws.get(raw.remote_id)
            if other is not None:
                text = f"{other.collection.path} and {raw.collection.path} both have the object {raw.remote_id}"
                raise RemoteError(text, hint="give their objects one profile type", code="sharedPlace")

    def _collected(self, collection: Collection) -> tuple[list[Raw], list[Raw]]:
        """Read a collection; what goes wrong is told with the profile type, for all of them are read."""
        try:
            return read_collection(self.client, collection, self.progress)
        except RemoteError as error:
            hint = error.hint
            if error.code == "graphNotFound":
                hint = f"mend profileTypes.{collection.profile_type}.graph.path in maa.yaml"
            text = f"profile type {collection.profile_type}: {error.message}"
            raise RemoteError(text, retry=error.retry, hint=hint, code=error.code) from error

    def _remotes(self, raws: Iterable[Raw]) -> dict[str, RemoteObject]:
        raws = list(raws)
        ids = {found for raw in raws for found in raw.group_ids}
        names = self.known.directory.names(group_ids=ids, filters=any(raw.has_filter for raw in raws))
        return {raw.remote_id: raw.remote(names) for raw in raws}

    def left_out(self) -> tuple[LeftOut, ...]:
        """What was read besides: kinds that cannot be kept, what is Microsoft's own, what policy sets assign."""
        return tuple(sorted((raw.left_out() for raw in self.known.others), key=lambda found: found.remote_id))

    def obstacle(self, remote: RemoteObject | None, desired: DesiredObject) -> str | None:
        """What cannot be changed once an object exists; and, for one to be made, another of its name."""
        collection = self._place(desired)
        if remote is None:
            return self._homonym(collection, desired)
        kind = desired.data.get("type")
        if remote.held.data.get("type") != kind:
            return f"its type cannot be changed from {remote.held.data.get('type')} to {kind}; make another object"
        fixed = collection.immutable_of(str(kind) if kind is not None else None)
        changed = sorted(key for key in fixed if remote.held.data.get(key) != desired.data.get(key))
        return f"{', '.join(changed)} cannot be changed once it exists; make another object" if changed else None

    def _homonym(self, collection: Collection, desired: DesiredObject) -> str | None:
        name = desired.data.get(collection.name)
        same = sorted(
            raw.remote_id
            for raw in self.known.raws.values()
            if raw.marker is None and raw.collection == collection and raw.properties.get(collection.name) == name
        )
        if not same:
            return None
        what = f"an object named '{name}' is there already, {', '.join(same)}, and not from this repository"
        return f"{what}; adopt it (adopt: {{{self.target.name}: {same[0]}}}), or rename or delete it"

    def reach(self, assignments: Sequence[Mapping[str, object]]) -> tuple[Reach, ...]:
        """How many people and devices are in the groups."""
        return self.known.directory.reach(assignments, self._names(assignments)) if assignments else ()

    def on(self, occasion: Occasion) -> "GraphProvider":
        """The same tenant, for writing on an occasion."""
        writer = Writer(self.client, self.writer.hands_over, occasion)
        return GraphProvider(self.target, self.client, self.collections, writer, self.known, self.progress)

    def find(self, marker: str) -> str | None:
        """The id of the object that bears the mark; each collection is read once for that, before the first create."""
        profile_type = marker.split(":", 2)[-1].partition("/")[0]
        if profile_type not in self.known.marks:
            self.known.marks[profile_type] = self._read_marks(profile_type)
        return self.known.marks[profile_type].get(marker)

    def _read_marks(self, profile_type: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for collection in self._of_type(profile_type):
            for item in self.client.pages(collection.path):
                raw = Raw(collection, item, ())
                is_object = raw.is_kept and not raw.is_hidden and object_id(item) is not None
                if raw.marker is not None and is_object:
                    found[raw.marker] = raw.remote_id
        return found

    # Writing

    def create(self, desired: DesiredObject, marker: str) -> str:
        """Make an object, then assign it."""
        other = self.find(marker)
        if other is not None:
            raise RemoteError(f"object {other} bears the mark {marker} already")
        collection = self._place(desired)
        given = body(desired, collection, marker, None)
        try:
            made = self.writer.send("POST", collection.path, given, repeats=False)
            remote_id = object_id(made)
        except UnclearError as error:
            remote_id = self._found_again(marker, error)
        if remote_id is None:
            raise RemoteError("Graph does not say what it made; the next run finds it", retry=True)
        self.known.marks.setdefault(desired.profile_type, {})[marker] = remote_id
        if desired.whole.assignments:
            self._assign(collection, remote_id, desired.data.get("type"), desired.whole.assignments)
        return remote_id

    def _found_again(self, marker: str, error: UnclearError) -> str:
        """Look for what a create without an answer may have made; it is never sent twice."""
        self.known.marks.clear()
        found = self.find(marker)
        if found is None:
            raise error
        return found

    def update(self, remote_id: str, desired: DesiredObject, marker: str) -> None:
        """Bring an object to a state, as far as it is not there."""
        collection = self._place(desired)
        raw = self._read(collection, remote_id)
        remote = self._remotes([raw])[remote_id]
        if remote.held.data != desired.data or remote.marker != marker:
            given = body(desired, collection, marker, remote.held)
            self.writer.send("PUT" if collection.replaces else "PATCH", object_path(collection, remote_id), given)
            self.known.marks.pop(desired.profile_type, None)
        is_assigned = (
            remote.held.digest == DesiredObject(desired.profile_type, remote.held.data, desired.assignments).digest
        )
        if collection.assign is not None and (desired.is_unseen or not is_assigned):
            self._assign(collection, remote_id, desired.data.get("type"), desired.whole.assignments)

    def assign(self, remote_id: str, assignments: Sequence[Mapping[str, object]]) -> None:
        """Replace all assignments of an object."""
        raw = self.known.raws.get(remote_id) or self._searched(remote_id)
        self._assign(raw.collection, remote_id, kind_of(raw.properties, raw.collection), assignments)

    def delete(self, remote_id: str) -> None:
        """Take an object away; one that is gone already is no error."""
        raw = self.known.raws.get(remote_id)
        if raw is None:
            try:
                raw = self._searched(remote_id)
            except RemoteError as error:
                if error.code == "graphNotFound":
                    return
                raise
        try:
            self.writer.send("DELETE", object_path(raw.collection, remote_id), None)
        except RemoteError as error:
            if error.code != "graphNotFound":
                raise
        self.known.raws.pop(remote_id, None)
        self.known.marks.pop(raw.collection.profile_type, None)

    def close(self) -> None:
        """Let go of the connection."""
        self.client.connection.close()

    def _assign(
        self, collection: Collection, remote_id: str, kind: object, assignments: Sequence[Mapping[str, object]]
    ) -> None:
        if collection.assign is None:
            if assignments:
                raise RemoteError(f"objects of type {collection.profile_type} cannot be assigned")
            return
        if collection.publishes:
            self._wait_until_published(collection, remote_id)
        items = self._sent_assignments(collection, kind, assignments)
        self.writer.send("POST", f"{object_path(collection, remote_id)}/assign", {collection.assign: items})

    def _wait_until_published(self, collection: Collection, remote_id: str) -> None:
        """Graph takes no assignment of an app before; the next run goes on if it takes too long."""
        state: Json = None
        for attempt in range(_PUBLISH_TRIES):
            found = self.client.get(object_path(collection, remote_id))
            state = found.get("publishingState") if isinstance(found, dict) else None
            if state == "published":
                return
            self.client.wait(min(10.0, 0.5 * 2**attempt))
        raise RemoteError(f"the app is made but not published yet ({state}); maa apply assigns it later", retry=True)

    def _sent_assignments(
        self, collection: Collection, kind: object, assignments: Sequence[Mapping[str, object]]
    ) -> list[dict[str, object]]:
        return sent_assignments(kind, assignments, collection, self._names(assignments))

    def _names(self, assignments: Sequence[Mapping[str, object]]) -> Names:
        _ = self.store  # the names of another tenant tell nothing
        return self.known.directory.names(group_names=groups_in(assignments), filters=has_filter(assignments))

    def _of_type(self, profile_type: str) -> list[Collection]:
        return [found for found in self.collections if found.profile_type == profile_type]

    def _place(self, desired: DesiredObject) -> Collection:
        """The collection that an object belongs to."""
        kind = desired.data.get("type")
        for collection in self._of_type(desired.profile_type):
            if not collection.kinds or kind in collection.kinds:
                return collection
        raise RemoteError(f"Graph has no place for {desired.profile_type} of type {kind}")

    def _read(self, collection: Collection, remote_id: str) -> Raw:
        found = read_whole(self.client, collection, [remote_id])
        if not found:
            raise RemoteError(f"the target has no object {remote_id} any more", retry=True, code="graphNotFound")
        return found[0]

    def _searched(self, remote_id: str) -> Raw:
        """An object by its id alone, wherever it is."""
        for collection in self.collections:
            found = read_whole(self.client, collection, [remote_id])
            if found:
                return found[0]
        raise RemoteError(f"the target has no object {remote_id} any more", retry=True, code="graphNotFound")
