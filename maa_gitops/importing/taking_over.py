"""Planning to take over what was done around the gate: resources are brought to what their target holds.

What was changed there is rewritten, what is missing goes, what nobody knows becomes a resource. Whether that is wanted
is for the approvers of the change to say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from maa_gitops.apply.drifting import FOREIGN, MISSING, Drifted
from maa_gitops.apply.identity import object_id
from maa_gitops.errors import DocumentError, RemoteError
from maa_gitops.importing.assigning import first_trouble
from maa_gitops.importing.checking import AsThere, Composed, check, stands_for
from maa_gitops.importing.composing import named_files, resource_files, script_files
from maa_gitops.importing.ground import Ground, adopted, document_of, known_resources
from maa_gitops.importing.matching import match
from maa_gitops.importing.planning import composed_new, files_of, notes_on, settled_of
from maa_gitops.importing.sources import found_there
from maa_gitops.importing.values import Found, LeftOut, Plan, Progress, Settled
from maa_gitops.model import ObjectId, Target
from maa_gitops.providers import DesiredObject, spelling
from maa_gitops.providers.graph.shapes import compared_assignments
from maa_gitops.tenant.resources import object_files

_GONE = "there is no such resource any more, so there is nothing to take over; maa apply brings the target to that"


@dataclass(frozen=True, slots=True)
class _Sorted:
    """Drift by what has to be done: objects with their resources, strangers, resources whose object is gone."""

    changed: list[tuple[Found, ObjectId]] = field(default_factory=list)
    foreign: list[Found] = field(default_factory=list)
    missing: list[ObjectId] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def plan_to_take_over(
    ground: Ground, target: Target, drifted: Sequence[Drifted], as_there: AsThere, progress: Progress
) -> Plan:
    """Plan the change that makes drift what is approved; ``as_there`` gives a state the form in which it is held."""
    found = _sorted(ground, target, drifted)
    tenant = ground.clone.tenant.settings.tenant
    matched = match(found.foreign, known_resources(ground.resources), tenant, target.name)
    pairs = [*found.changed, *matched.there]
    told = [(_is_taken_over(ground, *pair, as_there), pair) for pair in pairs]
    unchanged = [pair for is_done, pair in told if is_done]
    again = [_composed_again(ground, *pair, as_there) for is_done, pair in told if not is_done]
    new = [composed_new(ground, one, governed, target.name) for one, governed in matched.new]
    checked = check(ground, [*again, *new], as_there, progress)
    fresh = {one.settled for one in new}
    deleted = {path: None for governed in found.missing for path in _paths(ground, governed)}
    return Plan(
        written=settled_of(one for one in checked.sound if one.settled in fresh),
        rewritten=settled_of(one for one in checked.sound if one.settled not in fresh),
        deleted=tuple(sorted(_settled(ground, governed) for governed in found.missing)),
        unchanged=tuple(sorted(_settled(ground, governed, one) for one, governed in unchanged)),
        left_out=tuple(sorted((*found.left_out, *matched.left_out, *checked.left_out))),
        notes=notes_on(checked),
        warnings=ground.warnings,
        files={**files_of(checked.sound), **deleted},
    )


def _sorted(ground: Ground, target: Target, drifted: Sequence[Drifted]) -> _Sorted:
    found = _Sorted()
    for one in drifted:
        governed, outcome = object_id(one.result.object), one.result.outcome
        origin = f"{target.name}:{one.remote.remote_id if one.remote is not None else governed}"
        trouble = _trouble(ground, one, governed)
        if trouble is not None:
            found.left_out.append(LeftOut(origin, one.result.object, trouble))
        elif one.remote is None:
            found.missing.append(governed)
        elif outcome == FOREIGN:
            found.foreign.append(found_there(target, one.remote))
        else:
            found.changed.append((found_there(target, one.remote), governed))
    return found


def _trouble(ground: Ground, one: Drifted, governed: ObjectId) -> str | None:
    """Why drift of one object cannot be taken over; None: it can, as far as this tells."""
    outcome = one.result.outcome
    if outcome != FOREIGN and governed not in ground.resources.files:
        return _GONE
    if one.remote is None and outcome != MISSING:
        return one.result.message or "nobody can tell which object it is"
    if one.remote is None:
        dirty = next((path for path in _paths(ground, governed) if path in ground.dirty), None)
        return f"{dirty} has changes that are not committed" if dirty is not None else None
    unsayable = first_trouble(one.remote.held.assignments)
    return f"one of its assignments: {unsayable}" if unsayable is not None else None


def _settled(ground: Ground, governed: ObjectId, one: Found | None = None) -> Settled:
    return Settled(governed, ground.document_path(governed), one.remote_id if one is not None else None)


def _paths(ground: Ground, governed: ObjectId) -> list[str]:
    """The files of a resource."""
    resources = ground.resources
    return sorted(object_files(resources.repository, resources.tree, governed, resources.rules.types))


def _is_taken_over(ground: Ground, one: Found, governed: ObjectId, as_there: AsThere) -> bool:
    """Whether the resource is what the target holds already, on this branch or since."""
    try:
        return stands_for(ground.resources, governed, one.state, as_there)
    except DocumentError:
        return False


def _composed_again(ground: Ground, one: Found, governed: ObjectId, as_there: AsThere) -> Composed:
    """A resource with what its target holds: under the names of files that it has, adopting what it adopts."""
    path = ground.document_path(governed)
    before = document_of(ground.resources, path)
    stem = path.rpartition("/")[2].removesuffix(".yaml")
    names = {**script_files(one.state, stem), **named_files(before, one.state, stem)}
    files = resource_files(_with_unseen(one.state, before, as_there), path, names, adopted(before))
    gone = dict.fromkeys(_paths(ground, governed))
    return Composed(_settled(ground, governed, one), one.state, {**gone, **files}, one.origin, one.display_name)


def _with_unseen(state: DesiredObject, before: Mapping[str, object], as_there: AsThere) -> DesiredObject:
    """A state with what its target never tells of assignments, as the resource had said it: whether a fix runs, say."""
    assignments = before.get("assignments")
    said = [found for found in assignments if isinstance(found, Mapping)] if isinstance(assignments, list) else []
    known = {spelling(seen): found for found in said for seen in compared_assignments([found])}
    whole = replace(state, assignments=tuple(known.get(spelling(found), found) for found in state.assignments))
    try:
        return whole if as_there(whole).digest == state.digest else state
    except RemoteError:
        return state
