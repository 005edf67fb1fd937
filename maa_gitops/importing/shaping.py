"""From objects as Graph has them, which backups are made of, to objects as resources have them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from maa_gitops.importing.assigning import trouble_with
from maa_gitops.importing.places import hint
from maa_gitops.importing.values import Found, LeftOut
from maa_gitops.providers import DesiredObject
from maa_gitops.providers.graph.kinds import Collection
from maa_gitops.providers.graph.shapes import (
    Names,
    assignment_of,
    compared,
    compared_assignments,
    mark_in,
    properties_of,
    type_name,
    without_mark,
)

_POLICY_SETS = "policySets"
_OTHER_SPELLING = "Assignments"


@dataclass(frozen=True, slots=True)
class Piece:
    """One object of a backup as Graph has it. ``path`` is its collection's; None: nothing tells."""

    origin: str
    graph: Mapping[str, object]
    path: str | None
    remote_id: str | None = None

    @property
    def display_name(self) -> str:
        """What people call it; where it was found, if it has no name."""
        return str(self.graph.get("displayName") or self.graph.get("name") or self.origin)

    def left_out(self, why: str) -> LeftOut:
        """The object as one that stays out, or a part of it."""
        return LeftOut(self.origin, self.display_name, why)


@dataclass(frozen=True, slots=True)
class Backup:
    """What was read of a backup: objects as Graph has them, the names of groups and filters, what stays out.

    ``tenant_id`` is that of the tenant that it was made of, where it says so; ``notes`` are about the whole.
    """

    pieces: Sequence[Piece]
    names: Names
    left_out: Sequence[LeftOut]
    tenant_id: str | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Shaper:
    """Shapes objects for the collections of a tenant, and gathers what it makes of them.

    ``reduced`` are found objects that have fewer assignments of their own than they had.
    """

    collections: Sequence[Collection]
    names: Names
    found: list[Found] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    reduced: list[Piece] = field(default_factory=list)

    def take(self, piece: Piece) -> None:
        """Shape one object, or say why it stays out."""
        collection = self._collection(piece)
        if collection is None:
            self.left_out.append(piece.left_out(self._without_place(piece)))
        elif any(piece.graph.get(key) is True for key in collection.hidden):
            self.left_out.append(piece.left_out("it is Microsoft's own, which nobody can change"))
        else:
            self._shape(piece, collection)

    def as_there(self, state: DesiredObject) -> DesiredObject:
        """The form in which a state would be shaped, had a backup been made of it."""
        kind = str(state.data.get("type"))
        ours = [one for one in self.collections if one.profile_type == state.profile_type]
        collection = next((one for one in ours if kind in one.kinds or not one.kinds), None)
        if collection is None:
            return state
        assignments = compared_assignments(state.assignments)
        return DesiredObject(state.profile_type, compared(state.data, collection), assignments)

    def _collection(self, piece: Piece) -> Collection | None:
        """Where an object belongs: by its kind, which only one collection has, or by where it was kept."""
        kind = type_name(piece.graph)
        by_kind = next((one for one in self.collections if kind in one.kinds), None)
        if by_kind is not None:
            return by_kind
        by_path = next((one for one in self.collections if one.path == piece.path), None)
        is_its_only_kind = by_path is not None and kind is None and len(by_path.kinds) == 1
        return by_path if by_path is not None and (not by_path.kinds or is_its_only_kind) else None

    def _without_place(self, piece: Piece) -> str:
        kind = type_name(piece.graph)
        if any(one.path == piece.path for one in self.collections):
            return f"objects of the kind {kind or 'no type'} cannot be kept as resources"
        line = hint(piece.path) if piece.path is not None else None
        what = piece.path or (f"objects of the kind {kind}" if kind is not None else "it")
        return f"maa.yaml has no profile type for {what}" + (f"; to add one: {line}" if line is not None else "")

    def _shape(self, piece: Piece, collection: Collection) -> None:
        graph = _pruned(piece.graph, collection)
        data = properties_of(graph, collection)
        if collection.marker in data:
            data[collection.marker] = without_mark(data[collection.marker])
        assignments = compared_assignments(self._assignments(piece, collection))
        state = DesiredObject(collection.profile_type, compared(data, collection), assignments)
        mark = mark_in(graph.get(collection.marker))
        self.found.append(Found(state, piece.origin, piece.display_name, piece.remote_id, mark=mark))

    def _assignments(self, piece: Piece, collection: Collection) -> Iterator[Mapping[str, object]]:
        """The assignments that a resource can say; the others are told."""
        there = piece.graph.get("assignments") or piece.graph.get(_OTHER_SPELLING)
        is_reduced = False
        for assignment in there if isinstance(there, list) else ():
            shaped = assignment_of(assignment, self.names) if isinstance(assignment, Mapping) else {}
            trouble = kept = None
            if collection.assign is None:
                kept = f"maa.yaml does not say how {collection.profile_type} is assigned (assignProperty)"
            elif isinstance(assignment, Mapping) and assignment.get("source") == _POLICY_SETS:
                kept = "it comes from a policy set, and is governed there"
            else:
                trouble = trouble_with(shaped)
            if (why := kept or trouble) is None:
                yield shaped
                continue
            is_reduced = is_reduced or trouble is not None
            self.left_out.append(piece.left_out(f"one of its assignments: {why}"))
        self.reduced.extend((piece,) if is_reduced else ())


def _pruned(graph: Mapping[str, object], collection: Collection) -> dict[str, object]:
    """An object without what is said beside its properties; the types of values only where the kind needs them."""
    kept = {key: value for key, value in graph.items() if not key.startswith("#") and key != _OTHER_SPELLING}
    if "@odata.type" not in kept and len(collection.kinds) == 1:
        kept["@odata.type"] = next(iter(collection.kinds))
    return {key: _bare(value, keeps_types=not collection.kinds) for key, value in kept.items()}


def _bare(value: object, *, keeps_types: bool) -> object:
    match value:
        case Mapping():
            return {
                key: _bare(item, keeps_types=keeps_types)
                for key, item in value.items()
                if not key.startswith("#") and (keeps_types or key != "@odata.type")
            }
        case list():
            return [_bare(item, keeps_types=keeps_types) for item in value]
        case _:
            return value
