"""What is sent of an object: the body that makes or changes it, and that which assigns it. Pure but for errors."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from maa_gitops.errors import RemoteError
from maa_gitops.providers import DesiredObject, spelling
from maa_gitops.providers.graph.kinds import Collection
from maa_gitops.providers.graph.shapes import Names, graph_assignment, graph_properties, is_named, with_mark


def body(desired: DesiredObject, collection: Collection, marker: str, held: DesiredObject | None) -> dict[str, object]:
    """Give the body that brings an object from what is held to a state; None: it makes one.

    A change says everything that can be said of the object, so that what is unsaid is as if it never was.
    """
    data = dict(desired.whole.data)
    kind = collection.kinds.get(str(data.get("type", "")))
    unsaid = kind.writable if kind is not None else _no_longer_said(held)
    for key, value in unsaid.items() if held is not None else ():
        data.setdefault(key, list(value) if isinstance(value, tuple) else value)
    for key, members in kind.whole.items() if kind is not None else ():
        flags = data.get(key)
        if isinstance(flags, Mapping):
            data[key] = {**dict.fromkeys(members, False), **flags}
    data[collection.marker] = with_mark(data.get(collection.marker), marker)
    if held is not None and not collection.replaces:
        fixed = collection.immutable_of(str(data.get("type", "")))
        data = {key: value for key, value in data.items() if key not in fixed}
    return graph_properties(data, collection)


def _no_longer_said(held: DesiredObject | None) -> dict[str, object]:
    """What to send for a property of a kind that is not known here, if it is there and no longer wanted."""
    data = held.data if held is not None else {}
    return {key: False if value is True else None for key, value in data.items() if key != "type"}


def sent_assignments(
    kind: object, assignments: Sequence[Mapping[str, object]], collection: Collection, names: Names
) -> list[dict[str, object]]:
    """Give the assignments of an object as Graph takes them; ``kind`` is its type, None: it has none.

    Raises:
        RemoteError: a group or an assignment filter is unknown, its name is not one's alone, it is not told by its
            name, or two assignments have the same target.
    """
    if any(map(is_named, _targets(assignments))):
        text = "an assignment's target is written in Graph's form, which hides whom it reaches"
        raise RemoteError(text, hint="name the group: target: {group: NAME}", code="unknownGroup")
    try:
        name = None if kind is None else str(kind)
        found = [graph_assignment(one, collection, name, names) for one in assignments]
    except LookupError as error:
        hint = "write the display name as Entra has it"
        raise RemoteError(str(error.args[0]), hint=hint, code="unknownGroup") from error
    addressees = [_addressee(one["target"]) for one in found]
    if len({*addressees}) < len(addressees):
        raise RemoteError("two of its assignments have the same target; Graph would ignore one", code="sameTarget")
    return found


def _addressee(target: object) -> str:
    """Whom an assignment's target means, its filter aside; to leave a group out is to mean it too."""
    if isinstance(target, dict) and "groupId" in target:
        return str(target["groupId"]).lower()
    plain = {key: value for key, value in target.items() if "Filter" not in key} if isinstance(target, dict) else target
    return spelling(plain)


def groups_in(assignments: Iterable[Mapping[str, object]]) -> frozenset[str]:
    """The names of the groups that assignments mean, or leave out."""
    keys = ("group", "excludeGroup")
    return frozenset(str(target[key]) for target in _targets(assignments) for key in keys if key in target)


def has_filter(assignments: Iterable[Mapping[str, object]]) -> bool:
    """Whether assignments are narrowed by an assignment filter."""
    return any("filter" in target for target in _targets(assignments))


def _targets(assignments: Iterable[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
    for found in assignments:
        target = found.get("target")
        if isinstance(target, Mapping):
            yield target
