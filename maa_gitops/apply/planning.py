"""What has to be done for a target to have the resources of a tree, and showing it; nothing is written here."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from maa_gitops import receipt
from maa_gitops.apply.context import Context, Landed, ObjectResult, Report, applied
from maa_gitops.apply.desired import Resources, desired_object, resources_of
from maa_gitops.apply.identity import Found, Remotes, object_id, remotes_of
from maa_gitops.apply.readable import difference
from maa_gitops.errors import DocumentError, RemoteError
from maa_gitops.model import ObjectId, Target
from maa_gitops.providers import DesiredObject, Provider, Reach, RemoteObject, change_of_reach
from maa_gitops.receipt import Applied, AppliedObject, AppliedOperation
from maa_gitops.tenant.paths import document_path

NO_COPY = "this clone has no copy of the local tenant; `maa apply` rebuilds it"
OLD_COPY = "this clone's copy of the local tenant is older than the newest receipt; `maa apply` brings it up to date"


@dataclass(frozen=True, slots=True)
class Planned:
    """What has to be done to one object.

    ``desired`` is None where it goes away, ``remote`` where nothing is there. Of a move ``source`` is the object that
    it was. With a ``problem`` nothing can be done; ``files`` is the digest of its files, None where it goes away.
    ``reach`` tells, of what it is assigned to after and was before, how many are in it.
    """

    governed: ObjectId
    operation: AppliedOperation
    files: str | None = None
    desired: DesiredObject | None = None
    remote: RemoteObject | None = None
    source: ObjectId | None = None
    problem: str | None = None
    reach: tuple[Reach, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The objects that it is about: both, of a move."""
        return (str(self.governed), *((str(self.source),) if self.source is not None else ()))


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be done, sorted by object; ``baseline`` is the object map that it goes on from."""

    objects: tuple[Planned, ...]
    baseline: Mapping[str, AppliedObject]
    message: str | None = None


def plan(
    context: Context,
    target: Target,
    provider: Provider,
    *,
    tree: str | None = None,
    requests: Mapping[str, Sequence[Landed]] | None = None,
) -> Report:
    """Show what applying would do: the good tip, or another tree in its place (that of completing a request, say).

    ``requests`` are the merged requests that led to an object's state, by object.

    Raises:
        NotAllowedError: no tree is given and the tip is not good.
        RepositoryError: the receipts do not read, or the rules of the tree are broken.
        RemoteError: the target does not answer.
    """
    if tree is None:
        context.refuse_bad_tip()
        tree = context.repository.commit(context.history.tip).tree
    found = plan_objects(context, target, provider, applied(context, target.name), tree)
    results = [
        shown(planned, requests, outcome="failed" if planned.problem else None, message=planned.problem)
        for planned in found.objects
        if planned.problem or planned.operation is not AppliedOperation.NONE
    ]
    return Report(target.name, context.history.tip, sorted_results(results), found.message)


def plan_objects(context: Context, target: Target, provider: Provider, before: Applied, tree: str) -> Plan:
    """Compare the resources of a tree with what the target last received and with what it really has."""
    baseline, message = baseline_of(context, provider, before)
    resources = resources_of(context.repository, tree)
    remotes = remotes_of(context.tenant.settings.tenant, provider.objects(), baseline, map(str, resources.files))
    comparison = _Comparison(resources, baseline, provider, remotes, target.name)
    known = {*resources.files, *map(object_id, baseline), *_left_behind(context, resources, remotes, before)}
    found = [comparison.planned(governed) for governed in sorted(known)]
    planned = _with_adoptions([one for one in found if one is not None], context.tenant.protects)
    objects = _with_moves(planned)
    return Plan(tuple(_finished(one, provider) for one in objects), baseline, message)


def _left_behind(context: Context, resources: Resources, remotes: Remotes, before: Applied) -> list[ObjectId]:
    """Objects that bear our mark for a resource that is gone, though a good commit since the newest receipt had it.

    A run made them that died, or that was not told so, before its receipt; nothing else knows of them any more. After
    a run that ended a mark alone proves nothing: whoever can write it on somebody's object would have that deleted.
    """
    types, newest = resources.rules.types, before.newest
    ours = {found for remote in remotes.by_id.values() if (found := remotes.resource_of(remote)) is not None}
    gone = {found for found in ours - resources.files.keys() if found.type in {known.name for known in types}}
    failed = set(newest.failed) if newest is not None else set()
    since = context.places.get(newest.commit, 0) if newest is not None else 0
    has_died = gone and before.intent is not None
    commits = [commit for commit, place in context.places.items() if place >= since] if has_died else []
    repository = context.repository
    trees = [repository.commit(commit).tree for commit in commits]
    paths = {found: document_path(found, types) for found in gone}
    return [
        found for found in gone if str(found) in failed or any(repository.entry(tree, paths[found]) for tree in trees)
    ]


def baseline_of(
    context: Context, provider: Provider, before: Applied
) -> tuple[Mapping[str, AppliedObject], str | None]:
    """The object map for the store that the provider talks to, and what to say if it is not the newest receipt's."""
    if before.newest is None or before.newest.store == provider.store:
        return before.objects, None
    for older in reversed(before.receipts):
        if older.store == provider.store and before.commit is not None:
            return receipt.objects_after(context.repository, before.commit, older), OLD_COPY
    return {}, NO_COPY


@dataclass(frozen=True, slots=True)
class _Comparison:
    """One tree, what was last received and what is there, to compare object by object."""

    resources: Resources
    baseline: Mapping[str, AppliedObject]
    provider: Provider
    remotes: Remotes
    target: str

    def planned(self, governed: ObjectId) -> Planned | None:
        """What has to be done to an object; None: nothing, and nothing new is known of it."""
        received = self.baseline.get(str(governed))
        if not self.provider.takes(governed.type):
            return _out_of_reach(governed, received) if received is not None else None
        found = self.remotes.of(str(governed), received)
        files = self.resources.files.get(governed)
        if found.problem is not None:
            return Planned(governed, AppliedOperation.NONE, files, problem=found.problem)
        if files is None:
            operation = AppliedOperation.DELETE if found.remote is not None else AppliedOperation.NONE
            return Planned(governed, operation, remote=found.remote)
        if received is not None and found.remote is not None:
            seen = (received.remote_id, received.files, received.digest)
            if seen == (found.remote.remote_id, files, found.remote.held.digest):
                return None
        return self._compared(governed, files, found, received)

    def _compared(self, governed: ObjectId, files: str, found: Found, received: AppliedObject | None) -> Planned:
        try:
            wanted = desired_object(self.resources, governed)
        except (DocumentError, RemoteError) as error:
            return Planned(governed, AppliedOperation.NONE, files, remote=found.remote, problem=error.message)
        adopts = received is None and found.remote is None
        if received is None:
            found = self.remotes.adopted(str(governed), found, wanted.adopt.get(self.target))
        if found.problem is not None:
            return Planned(governed, AppliedOperation.NONE, files, problem=found.problem)
        try:
            desired = self.provider.as_sent(wanted.state)
        except RemoteError as error:
            return Planned(governed, AppliedOperation.NONE, files, remote=found.remote, problem=error.message)
        operation = _operation(desired, found.remote)
        if operation is AppliedOperation.NONE and adopts:
            operation = AppliedOperation.ADOPT
        if operation is AppliedOperation.NONE and desired.is_unseen and (received is None or received.files != files):
            operation = AppliedOperation.ASSIGN
        return Planned(governed, operation, files, desired, found.remote)


def _out_of_reach(governed: ObjectId, received: AppliedObject) -> Planned:
    """An object that was received, of a profile type for which the target has no place any more: it must not stay."""
    text = f"{received.remote_id} stays as it is: the target has no place for profile type {governed.type} any more"
    return Planned(governed, AppliedOperation.NONE, problem=f"{text}; give it its place back")


def _operation(desired: DesiredObject, remote: RemoteObject | None) -> AppliedOperation:
    if remote is None:
        return AppliedOperation.CREATE
    if remote.held.digest == desired.digest:
        return AppliedOperation.NONE
    assigns = desired.differs_in_assignments_only(remote.held)
    return AppliedOperation.ASSIGN if assigns else AppliedOperation.EDIT


def _with_adoptions(objects: Sequence[Planned], protects: Callable[[ObjectId], bool]) -> list[Planned]:
    """Let nothing be done twice to one object: what is adopted under a new name moves, what two adopt is nobody's.

    But of a protected resource and one that anybody may change, it is the protected one's.
    """
    holders: dict[str, list[Planned]] = {}
    for planned in objects:
        if planned.remote is not None:
            holders.setdefault(planned.remote.remote_id, []).append(planned)
    settled = [
        _settled(planned, holders[planned.remote.remote_id] if planned.remote else (), protects) for planned in objects
    ]
    return [planned for planned in settled if planned is not None]


def _settled(planned: Planned, holders: Sequence[Planned], protects: Callable[[ObjectId], bool]) -> Planned | None:
    """One of several that are about one object of the target; None: it lives on under the name that adopts it."""
    others = [other for other in holders if other is not planned]
    leaving = [other.governed for other in others if other.operation is AppliedOperation.DELETE]
    staying = [other.governed for other in others if other.operation is not AppliedOperation.DELETE]
    if planned.operation is AppliedOperation.DELETE:
        return None if staying else planned
    if staying and (not protects(planned.governed) or any(map(protects, staying))):
        names = ", ".join(map(str, staying))
        return replace(planned, operation=AppliedOperation.NONE, problem=f"{names} is the same object")
    if leaving and planned.problem is None:
        return replace(planned, operation=AppliedOperation.MOVE, source=leaving[0])
    return planned


def _with_moves(objects: Sequence[Planned]) -> list[Planned]:
    """Turn a delete and a create of what is the same object into a move, where there is one candidate on each side."""
    leaving: dict[str, list[Planned]] = {}
    arriving: dict[str, list[Planned]] = {}
    for planned in objects:
        if planned.operation is AppliedOperation.DELETE and planned.remote is not None:
            leaving.setdefault(_nameless(planned.remote.held), []).append(planned)
        elif planned.operation is AppliedOperation.CREATE and planned.desired is not None:
            arriving.setdefault(_nameless(planned.desired), []).append(planned)
    moved = {
        leaving[key][0].governed: arriving[key][0].governed
        for key in leaving.keys() & arriving.keys()
        if len(leaving[key]) == len(arriving[key]) == 1
    }
    sources = {new: old for old, new in moved.items()}
    there = {planned.governed: planned for planned in objects}
    return [
        replace(
            planned,
            operation=AppliedOperation.MOVE,
            remote=there[sources[planned.governed]].remote,
            source=sources[planned.governed],
        )
        if planned.governed in sources
        else planned
        for planned in objects
        if planned.governed not in moved
    ]


def _finished(planned: Planned, provider: Provider) -> Planned:
    """A planned object with what stands in its way, and whom it reaches."""
    if planned.problem is not None or (planned.desired is None and planned.remote is None):
        return planned
    if planned.desired is not None and planned.operation is not AppliedOperation.NONE:
        problem = provider.obstacle(planned.remote, planned.desired)
        if problem is not None:
            return replace(planned, operation=AppliedOperation.NONE, problem=problem)
    if planned.operation in (AppliedOperation.NONE, AppliedOperation.ADOPT):
        return planned
    before = planned.remote.held.assignments if planned.remote is not None else ()
    after = planned.desired.assignments if planned.desired is not None else ()
    return replace(planned, reach=change_of_reach(provider, before, after))


def _nameless(state: DesiredObject) -> str:
    """The digest of a state without the name of a script's file, which goes with the object's own."""
    data = {key: value for key, value in state.data.items() if key != "fileName"}
    return DesiredObject(state.profile_type, data, state.assignments).digest


def shown(
    planned: Planned, requests: Mapping[str, Sequence[Landed]] | None, *, outcome: str | None, message: str | None
) -> ObjectResult:
    """One planned object as a report has it."""
    ids = {request.id for name in planned.names for request in (requests or {}).get(name, ())}
    text = "" if planned.problem else difference(planned.remote.held if planned.remote else None, planned.desired)
    if planned.source is not None:
        message = f"moved from {planned.source}" if message is None else f"moved from {planned.source}: {message}"
    if planned.operation is AppliedOperation.DELETE and planned.remote is not None and planned.remote.marker is None:
        words = "it was there before it was adopted, and goes"
        message = words if message is None else f"{words}: {message}"
    name = str(planned.governed)
    return ObjectResult(name, planned.operation, tuple(sorted(ids)), outcome, message, text, planned.reach)


def sorted_results(results: Iterable[ObjectResult]) -> tuple[ObjectResult, ...]:
    """Results in the order of their objects."""
    return tuple(sorted(results, key=lambda result: result.object))
